"""Why a shot uses a hint, or does not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from videocolor.events import ShotRecord
from videocolor.hints.plan import HintPlan, PlannedHint, cap_hints_per_shot
from videocolor.hints.uses import hints_used
from videocolor.models.base import ModelCard
from videocolor.types import Array, Hint, HintUse

CARD = ModelCard("net", "", "many", 0, None, propagates=True)
RGB = np.zeros((4, 6, 3), np.float32)
SPOTS, HOLES = np.zeros((4, 6), np.float32), np.eye(4, 6, dtype=np.float32)
SPOTS[1, 1] = 1


def own(name: str, similarity: float = 0.9, mask: Array | None = None) -> PlannedHint:
    return PlannedHint(Hint(name, RGB, Fraction(1), mask), 25, {0: 1.0}, 0, similarity)


def other(name: str, similarity: float, assigned: bool = False) -> PlannedHint:
    return PlannedHint(Hint(name, RGB), None, {0: similarity}, assigned=assigned)


@pytest.mark.parametrize(
    ("planned", "use", "reason"),
    [
        (own("a"), "reference", "frame 25 of this shot, painted; reproduced there and propagated by motion"),
        (own("a", mask=SPOTS), "scribble", "painted in places on frame 25"),
        (own("a", mask=HOLES), "reference", "frame 25 of this shot, painted in part; reproduced there and propagated"),
        (own("a", 0.2), "style", "does not look like it (similarity 0.20)"),
        (other("a", 0.7), "style", "looks like this shot (similarity 0.70); what it shows is found in the frames"),
        (other("a", 0.4), "style", "looks like this shot (similarity 0.40)"),
        (other("a", 1.0, assigned=True), "style", "assigned by hand"),
    ],
)
def test_each_kind_of_hint_has_its_reason(planned: PlannedHint, use: str, reason: str) -> None:
    (found,) = hints_used(HintPlan((planned,)), 0, CARD)
    assert (found.hint, found.use) == ("a", use) and reason in found.reason


def test_what_the_network_does_not_receive_is_listed_with_the_reason() -> None:
    plan = cap_hints_per_shot([own("own"), *(other(f"{n}", n / 10) for n in range(1, 8))])
    uses = hints_used(plan, 0, CARD)
    assert [use.hint for use in uses] == ["own", "7", "6", "5", "4", "3", "1", "2"]
    assert [use.use for use in uses[6:]] == ["unused", "unused"] and "takes 6 hints" in uses[-1].reason
    first, second, *_ = hints_used(plan, 0, replace(CARD, hints="one"))
    assert (first.use, second.use, second.reason) == ("reference", "unused", "the network takes one hint")


def test_a_shot_without_hints_names_the_one_that_it_reuses() -> None:
    assert [(use.hint, use.use) for use in hints_used(HintPlan(), 3, CARD, reuses=1)] == [("shot 2", "reused")]
    assert hints_used(HintPlan(), 3, CARD) == []
    assert [use.use for use in hints_used(HintPlan((own("a"),)), 0, CARD, reuses=1)] == ["reference"]


def test_the_record_keeps_the_reasons() -> None:
    record = ShotRecord(0, 0, 0, Fraction(1, 25), 10, ["a"], [HintUse("a", "style", "assigned by hand")])
    assert ShotRecord.from_dict(record.as_dict(), Fraction(1, 25)).uses == record.uses
    assert record.as_dict()["uses"] == [{"hint": "a", "use": "style", "reason": "assigned by hand"}]
