"""A film divided into shards: decided from luma alone, written as a file that a person can read and edit.

Everything that a shard's samples depend on goes into its key: the source's fixity, the network's weights, the
configuration, the times, the hints of its shots and of those that they reuse, and the shard before it where it begins
inside a shot. A finished shard counts as long as its key is the plan's.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from videocolor.config import ColorizeConfig
from videocolor.errors import InputError
from videocolor.files import source_sha256
from videocolor.fingerprint import digest, settings_of
from videocolor.hints.plan import HintPlan, PlannedHint, collect_assigned, collect_hints
from videocolor.models.base import Colorizer
from videocolor.pipeline.aligned import AlignedHint, FilmFrame
from videocolor.pipeline.film import Film, ShotPlan, film_info, network_threads
from videocolor.pipeline.reader import Part
from videocolor.pipeline.reuse import recurring_shots
from videocolor.pipeline.scheduling import REFERENCE_COST, GreedyShards, shard_starts, shot_schedule
from videocolor.record import describe_model
from videocolor.shards.types import FilmPlan, PlannedShot, Shard
from videocolor.shots.shotlist import read_shots
from videocolor.types import Hint
from videocolor.version import __version__
from videocolor.video import sequence_files

__all__ = [
    "FORMAT",
    "PLAN_NAME",
    "cut_into_tasks",
    "decided_shots",
    "fixity_of",
    "hint_notes",
    "is_current",
    "make_plan",
    "missing_shards",
    "plan_head",
    "planned_hints",
    "planned_shots",
    "settings_hash",
    "shard_key",
    "shard_rule",
    "source_stamp",
    "with_shards",
]

PLAN_NAME: Final = "plan.yaml"
FORMAT: Final = 5
_PARTS: Final = 32
"""Shards that a short film is cut into, about, so that several workers have something to do."""
_SHORTEST: Final = Fraction(5)
"""Seconds of a shard that is worth being opened and joined."""


def fixity_of(source: Path) -> str:
    """Compute the sha256 of a source; see `videocolor.files.source_sha256`."""
    try:
        return source_sha256(source, sequence_files(source))
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror or error})") from error


def source_stamp(source: Path) -> str:
    """Size and time of last change of a source's files, as text."""
    try:
        stats = [path.stat() for path in sequence_files(source) or (source,)]
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror or error})") from error
    return f"{sum(s.st_size for s in stats)} {max(s.st_mtime_ns for s in stats)} {len(stats)}"


def shard_rule(film: Film) -> GreedyShards:
    """Return the rule that decides where shards of this film end: the same for any number of workers."""
    shots, wanted = film.config.shots, Fraction(film.config.shots.shard)
    if film.info.duration is not None:
        wanted = min(wanted, max(_SHORTEST, film.info.duration / _PARTS))
    return GreedyShards(wanted, Fraction(shots.max_shard), film.info.rate)


def make_plan(film: Film, sha256: str) -> FilmPlan:
    """Divide a film that was scanned into shards.

    Args:
        film: with a scan.
        sha256: of the source.
    """
    scan = film.scan
    assert scan is not None
    shots = planned_shots(film)
    lengths = ((range(shot.start, shot.end), shot_schedule(film, shot.index)) for shot in shots)
    starts = shard_starts(lengths, shard_rule(film))
    end_pts = scan.shots[-1].shot.end_pts
    places = [(start, scan.pts[start]) for start in starts]
    head = replace(plan_head(film, sha256), shots=tuple(shots), frames=scan.frames)
    plan = with_shards(head, places, end_pts)
    return replace(plan, offsets=scan.offsets, repaired=bool(scan.losses), warnings=tuple(scan.losses))


def planned_shots(film: Film) -> list[PlannedShot]:
    """List the shots of a film that was scanned, and which of them reuse which."""
    scan = film.scan
    assert scan is not None
    reuses = {} if film.colorizer.card.hints == "none" else recurring_shots(scan, film.hints)
    shots: list[PlannedShot] = []
    for view in scan.shots:
        shot, number = view.shot, view.shot.index
        hints = tuple(planned.hint.name for planned in film.hints.for_shot(number))
        place = (number, shot.start, shot.end, shot.start_pts, view.last_pts)
        shots.append(PlannedShot(*place, reuses.get(number), hints, film.saturations.get(number)))
    return shots


def plan_head(film: Film, sha256: str) -> FilmPlan:
    """Begin a plan, without shots and shards."""
    return FilmPlan(
        film.source,
        sha256,
        0,
        film.info.time_base,
        (),
        (),
        tuple(hint_notes(film.hints, film.config)),
        settings=settings_hash(film.config, film.colorizer, sha256),
        decided=_decided_by(film.config),
        stamp=source_stamp(film.source),
    )


def with_shards(plan: FilmPlan, places: Sequence[tuple[int, int]], end_pts: int, *, goes_on: bool = False) -> FilmPlan:
    """Complete a plan with its shards and their keys, from the (first frame, time) of each.

    `goes_on`: the last shot continues after the plan's last frame.
    """
    followed = {number for note in plan.hints for number in note["propagated"]}
    costs = [REFERENCE_COST if shot.index in followed else 1.0 for shot in plan.shots]
    ends = [*places[1:], (plan.frames, end_pts)]
    cuts = [shot.start for shot in plan.shots]
    shards: list[Shard] = []
    for number, ((start, start_pts), (end, after)) in enumerate(zip(places, ends, strict=True)):
        inside = plan.shots[bisect_right(cuts, start) - 1 : bisect_left(cuts, end)]
        cost = sum((min(s.end, end) - max(s.start, start)) * costs[s.index] for s in inside)
        closes = inside[-1].end > end or (goes_on and end == plan.frames)
        opens = inside[0].start < start
        before = shards[-1].key if opens else ""
        key = shard_key(plan, start, start_pts, end, before, inside, closes)
        first, last = inside[0].index, inside[-1].index
        shards.append(Shard(number, start, end, start_pts, after, first, last, opens, closes, cost, key))
    return replace(plan, shards=tuple(shards))


def shard_key(
    plan: FilmPlan, start: int, start_pts: int, end: int, before: str, shots: Sequence[PlannedShot], closes: bool
) -> str:
    """Hash of all that a shard's samples follow from; `closes`: its last shot goes on, and its frames look ahead."""
    facts = {
        "settings": plan.settings,
        "frames": [start, start_pts, end, closes],
        "before": before,
        "shots": [[max(shot.start, start), *_facts_of(plan, shot)] for shot in shots],
    }
    return digest(facts)


def _facts_of(plan: FilmPlan, shot: PlannedShot) -> list[Any]:
    """Return what the colors of a shot depend on, besides its frames and the film's settings."""
    facts: list[Any] = [_hints_of(plan, shot.index), None, []]
    if shot.reuses is not None:
        reused = plan.shots[shot.reuses]
        facts[1:] = [[reused.start_pts, reused.last_pts], _hints_of(plan, reused.index)]
    return facts if shot.saturation is None else [*facts, shot.saturation]


def _hints_of(plan: FilmPlan, number: int) -> list[Any]:
    """Return the hints that the colors of a shot depend on."""
    mine = [note for note in plan.hints if number in note["shots"] or note["own"] == number]
    facts = [[note["digest"], note["frame"], note["own"] == number, note["shots"].get(number)] for note in mine]
    return [[*fact, note["aligned"]] if "aligned" in note else fact for fact, note in zip(facts, mine, strict=True)]


def settings_hash(config: ColorizeConfig, colorizer: Colorizer, sha256: str) -> str:
    """Hash of what all shards of a film have in common."""
    values = settings_of(config, "color", "saturation", "encoding")
    model = describe_model(colorizer, config)
    if model["runtime"] == "torch":  # its sums depend on the device, and on how many threads share them
        values |= {"model.device": config.model.device, "model.threads": network_threads(config)}
    other = None if config.chroma.source is None else source_stamp(config.chroma.source)
    return digest(__version__, sha256, model, values, FORMAT, *([] if other is None else [other]))


def _decided_by(config: ColorizeConfig) -> str:
    """Hash of what tells where shots begin and which hints they get."""
    facts = settings_of(config, "shots")
    for key in ("hints.items", "hints.folder", "shots.file"):  # what they hold counts, here or in `is_current`
        del facts[key]
    if config.shots.file is not None:
        facts["shots.detector"] = [shot.start for shot in read_shots(config.shots.file)]
    return digest(facts)


def is_current(plan: FilmPlan, config: ColorizeConfig, colorizer: Colorizer) -> bool:
    """Whether a plan was made for this configuration, network, version of the program, shot list, and these hints."""
    if plan.settings != settings_hash(config, colorizer, plan.sha256) or plan.decided != _decided_by(config):
        return False
    return sorted(note["digest"] for note in plan.hints) == sorted(digest for digest, _ in _all_hints(config))


def _all_hints(config: ColorizeConfig) -> list[tuple[str, Hint]]:
    """Return hints that are matched, and those that are assigned, each with its digest."""
    matched = [(_digest(hint, False), hint) for hint in collect_hints(config)[0]]
    return matched + [(_digest(hint, True), hint) for _, hint in collect_assigned(config.hints.assigned)]


def hint_notes(hints: HintPlan, config: ColorizeConfig) -> list[dict[str, Any]]:
    """Describe how hints were matched, as plain values; hints that fit nowhere are included."""
    notes = [_note(planned) for planned in hints.hints]
    known = {note["digest"] for note in notes}
    unused = [hint for hint in collect_hints(config)[0] if _digest(hint, False) not in known]  # assigned ones are used
    return notes + [_note(PlannedHint(hint, None, {})) for hint in unused]


def _note(planned: PlannedHint) -> dict[str, Any]:
    alone, own = HintPlan((planned,)), planned.own
    left_out = [own] if own is not None and own not in planned.shots and alone.propagates(own) else []
    return {
        "name": planned.hint.name,
        "digest": _digest(planned.hint, planned.assigned),
        "frame": planned.frame,
        "own": planned.own,
        "propagated": [number for number in planned.shots if alone.propagates(number)] + left_out,
        "shots": {number: float(like) for number, like in planned.shots.items()},
        "own_similarity": float(planned.own_similarity),
        "left_out": list(planned.left_out),
    } | ({"assigned": True} if planned.assigned else _alignment(planned.hint))


def _alignment(hint: Hint) -> dict[str, Any]:
    """Note how a hint that is registered to its frame is made again."""
    if not isinstance(hint, AlignedHint):
        return {}
    return {"aligned": "part" if hint.masked else "whole", "pts": hint.frame.part.start_pts}


def _digest(hint: Hint, assigned: bool) -> str:
    hint = hint.original if isinstance(hint, AlignedHint) else hint
    time = "assigned" if assigned else hint.time
    digest = hashlib.sha256(f"{hint.name} {time} {hint.rgb.shape}".encode())
    digest.update(hint.rgb.tobytes())
    if hint.mask is not None:
        digest.update(hint.mask.tobytes())
    digest.update(repr(hint.marks).encode() if hint.marks else b"")
    return digest.hexdigest()


def planned_hints(plan: FilmPlan, config: ColorizeConfig) -> HintPlan:
    """Read the hints again and match them to shots as a plan says.

    Raises:
        InputError: a hint is not what it was when the plan was made.
    """
    if not plan.hints:
        return HintPlan()
    hints = dict(_all_hints(config))
    planned = []
    for note in plan.hints:
        hint = hints.get(note["digest"])
        if hint is None:
            raise InputError(f"hint {note['name']}: has changed since {plan.film} was planned; plan it again")
        if note["shots"] or note["own"] is not None:
            shots = {int(number): float(like) for number, like in note["shots"].items()}
            left_out = tuple(note["left_out"])
            place = (note["frame"], shots, note["own"], note["own_similarity"], left_out)
            planned.append(PlannedHint(hint, *place, note.get("assigned", False)))
    return HintPlan(tuple(planned))


def decided_shots(plan: FilmPlan, config: ColorizeConfig, source: Path) -> ShotPlan:
    """Return what a plan says that single shots of `source` get; errors as of `planned_hints`."""
    saturations = {shot.index: shot.saturation for shot in plan.shots if shot.saturation is not None}
    hints = planned_hints(plan, config)
    aligned = {note["digest"]: note for note in plan.hints if "aligned" in note}
    if aligned:
        info = film_info(source, config)

        def laid(planned: PlannedHint) -> PlannedHint:
            note = aligned.get(_digest(planned.hint, planned.assigned))
            if note is None:
                return planned
            part = Part(note["frame"], note["pts"], None, from_beginning=plan.repaired)
            frame = FilmFrame(source, config, info, part)
            return replace(planned, hint=AlignedHint(planned.hint, frame, masked=note["aligned"] == "part"))

        hints = replace(hints, hints=tuple(map(laid, hints.hints)))
    return ShotPlan(hints, saturations)


_TASKS_A_WORKER: Final = 3
"""Tasks of one film per worker with shards_per_task auto: enough to even out differences."""


def missing_shards(shards: Sequence[Shard], done: Collection[int]) -> list[Shard]:
    """Return the shards that are not done, in order."""
    return [shard for shard in shards if shard.number not in done]


def cut_into_tasks(missing: Sequence[Shard], workers: int, per_task: int | None) -> list[tuple[int, ...]]:
    """Group shards into tasks of consecutive numbers.

    A shard that opens inside a shot follows the one whose state it starts from, in the same task.

    Args:
        missing: shards in order; numbers are missing where shards are done.
        workers: how many work at once; one takes everything that is consecutive.
        per_task: minimum number of shards; None: a few tasks of about equal cost for every worker.
    """
    total = sum(shard.cost for shard in missing)
    wanted = total if workers == 1 else total / (workers * _TASKS_A_WORKER)
    tasks: list[tuple[int, ...]] = []
    current: list[Shard] = []
    for shard in missing:
        if current:
            follows = shard.number == current[-1].number + 1
            full = len(current) >= per_task if per_task else sum(s.cost for s in current) + shard.cost / 2 > wanted
            if not follows or (full and not shard.opens_inside):
                tasks.append(tuple(s.number for s in current))
                current = []
        current.append(shard)
    if current:
        tasks.append(tuple(s.number for s in current))
    return tasks
