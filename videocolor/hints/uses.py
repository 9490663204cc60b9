"""Which hints a shot uses, how, and why: for the dry run and the record."""

from __future__ import annotations

from videocolor.hints.plan import MOST_PER_SHOT, HintPlan, PlannedHint
from videocolor.models.base import ModelCard
from videocolor.types import HintUse

__all__ = ["hints_used"]


def hints_used(plan: HintPlan, number: int, card: ModelCard, reuses: int | None = None) -> list[HintUse]:
    """List what a shot uses as hints, and what it does not use though it belongs to the shot.

    Args:
        plan: of the film.
        number: of the shot, from 0.
        card: of the network.
        reuses: number of the earlier shot whose colors it reuses, if it recurs.

    Returns:
        Those that the network receives first, in its order.
    """
    given = plan.for_shot(number)
    uses = [_use(plan, number, p, card) for p in given[: card.max_hints]]
    for planned in [*given[len(uses) :], *plan.left_out(number)]:
        only = "the network takes one hint" if card.hints == "one" else f"the network takes {MOST_PER_SHOT} hints"
        kept = "; its frame is reproduced all the same" if planned.own == number else ""
        uses.append(HintUse(planned.hint.name, "unused", only + kept))
    if not given and reuses is not None:
        uses.append(
            HintUse(f"shot {reuses + 1}", "reused", "it looks like this shot; its first and last frame are hints")
        )
    return uses


def _use(plan: HintPlan, number: int, planned: PlannedHint, card: ModelCard) -> HintUse:
    name, similarity = planned.hint.name, planned.similarity(number)
    if planned.own == number:
        frame = f"frame {planned.frame} of this shot"
        if not planned.is_painted:
            return HintUse(
                name, "scribble", f"painted in places on {frame}; applied there, as far as its marks or hints.reach say"
            )
        if plan.has_reference(number) and planned.shows_its_shot:
            then = "propagated by motion" if card.propagates else "given to the network"
            if planned.is_whole:
                return HintUse(name, "reference", f"{frame}, painted; reproduced there and {then}")
            there = "reproduced there and " if card.propagates else ""
            return HintUse(name, "reference", f"{frame}, painted in part; {there}{then}")
        return HintUse(
            name, "style", f"has the time of {frame}, but does not look like it (similarity {similarity:.2f})"
        )
    why = "assigned by hand" if planned.assigned else f"looks like this shot (similarity {similarity:.2f})"
    found = planned in plan.propagated(number) and card.propagates
    return HintUse(name, "style", why + ("; what it shows is found in the frames and propagated" if found else ""))
