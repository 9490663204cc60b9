"""Some shots of a finished film are colored again, with other hints or settings; the rest stays as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from videocolor.config import ColorizeConfig
from videocolor.errors import InputError, UsageError
from videocolor.events import Observer, RunLog, ignore
from videocolor.files import folder_lock
from videocolor.pipeline.film import Film, open_film, scanned
from videocolor.record import describe_model, sidecar_path
from videocolor.shards.merge import MergeReport, merge_shards
from videocolor.shards.plan import fixity_of, plan_head, planned_shots, with_shards
from videocolor.shards.records import discard_work, shard_path
from videocolor.shards.types import FilmJob, FilmPlan, PlannedShot, ShardRecord
from videocolor.shards.work import color_missing
from videocolor.video import take_out

__all__ = ["parse_shots", "recolor_shots"]


def parse_shots(text: str) -> tuple[int, ...]:
    """Numbers of shots, from 0, out of `3,5-7`, which count from 1.

    Raises:
        UsageError: not such a list.
    """
    numbers: set[int] = set()
    for word in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", word)
        first, last = (0, 0) if match is None else (int(match[1]), int(match[2] or match[1]))
        if first < 1 or last < first:
            raise UsageError(f"shots {text!r}: {word.strip()!r} is no shot or range; expected a list such as 3,5-7")
        numbers.update(range(first - 1, last))
    return tuple(sorted(numbers))


def recolor_shots(
    job: FilmJob, shots: Collection[int], observer: Observer = ignore, *, reusing: Collection[int] = ()
) -> MergeReport:
    """Color some shots of a finished film again, and keep the picture of all others as it is, bit for bit.

    The film's output settings (codec, quality) must be those that it was made with; hints, saturation and all
    that color depends on may differ. Shots that reuse a shot change with it only if they
    are named, too, or the shot is named in `reusing`.

    Args:
        job: the film; its target is finished.
        shots: numbers from 0.
        observer: hears of progress and warnings.
        reusing: of these shots (numbers from 0) those that take up their colors are colored again as well, and
            with them all that take up colors of another shot than the film's record says.

    Raises:
        InputError: the target is missing or does not belong to the source, or cannot be parted at these shots.
        UsageError: there is no such shot.
        OutputError: it cannot be written.
    """
    if not job.target.is_file():
        raise InputError(f"{job.target}: no such file; only shots of a finished film can be colored again")
    config = ColorizeConfig.model_validate(job.config)
    config = config.model_copy(update={"output": config.output.model_copy(update={"overwrite": True})})
    log = RunLog(observer)
    film = scanned(open_film(job.source, job.target, config, log), log)
    work = replace(job, config=config.as_dict(), folder=job.folder.with_name(job.folder.name + ".recolor"))
    with folder_lock(work.folder, str(job.target)):
        try:
            return _recolor(film, work, shots, reusing, log)
        finally:
            discard_work(work)


def _recolor(film: Film, job: FilmJob, wanted: Collection[int], reusing: Collection[int], log: RunLog) -> MergeReport:
    scan = film.scan
    assert scan is not None
    shots = planned_shots(film)
    unknown = sorted(number + 1 for number in {*wanted, *reusing} if number >= len(shots))
    if unknown:
        raise UsageError(f"{film.source}: has {len(shots)} shots, there is no shot {', '.join(map(str, unknown))}")
    earlier = _earlier_shots(job, shots)
    if reusing:
        wanted = _with_reusing(shots, wanted, reusing, earlier)
    starts = [s.start for s in shots if not s.index or (s.index in wanted) != (s.index - 1 in wanted)]
    head = replace(
        plan_head(film, fixity_of(film.source)),
        shots=tuple(shots),
        frames=scan.frames,
        offsets=scan.offsets,
        repaired=bool(scan.losses),
        warnings=tuple(scan.losses),
    )
    plan = with_shards(head, [(start, scan.pts[start]) for start in starts], scan.shots[-1].shot.end_pts)
    kept = [shard.number for shard in plan.shards if shard.first_shot not in wanted]
    parts = [(plan.shards[n].start, plan.shards[n].end, shard_path(job.folder, n)) for n in kept]
    take_out(film.target, film.info, film.plan, scan.pts, parts)
    again = [shard.number for shard in plan.shards if shard.number not in kept]
    total = sum(plan.shards[n].frames for n in again)
    log.start(film.source, film.target, film.colorizer.card.name, total, film.info)

    def hear(message: dict[str, Any]) -> None:
        if message["kind"] == "progress":
            log.frames_done(message["frames"], total)

    records = color_missing(film, job, plan, again, log, hear)
    records |= {number: _kept(film, plan, number, earlier) for number in kept}
    return merge_shards(job, plan, records, log, film=film, like=film.target if kept else None)


def _with_reusing(
    shots: Sequence[PlannedShot],
    wanted: Collection[int],
    references: Collection[int],
    earlier: Mapping[int, dict[str, Any]],
) -> set[int]:
    """Return the wanted shots, and those that reuse them or reuse another shot than before."""
    found, again = set(wanted), set(references)
    for shot in shots:  # a reused shot comes before those that reuse it, and reuses none
        was = earlier.get(shot.start)
        reference = None if shot.reuses is None else shot.reuses + 1
        if was is None or (was["end"], was["reuses"]) != (shot.end, reference):
            found.add(shot.index)
            again.add(shot.index)
        elif shot.reuses in again:
            found.add(shot.index)
    return found


def _earlier_shots(job: FilmJob, shots: Sequence[PlannedShot]) -> dict[int, dict[str, Any]]:
    """Read what the film's record says of its shots, by their first frames; nothing where none can be read.

    Shots are counted as now: one before may have been parted since. A reused shot that is no shot any more is number 0.
    """
    try:
        listed = json.loads(sidecar_path(job.target).read_text(encoding="utf-8"))["shots"]
        numbers = {shot.start: shot.index + 1 for shot in shots}
        now = {shot["index"]: numbers.get(shot["start"], 0) for shot in listed}
        return {shot["start"]: {**shot, "reuses": now.get(shot["reuses"])} for shot in listed}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _kept(film: Film, plan: FilmPlan, number: int, known: Mapping[int, dict[str, Any]]) -> ShardRecord:
    """Make the record of a part that stays as it is; the facts on its shots come from the film's own record."""
    shard = plan.shards[number]
    shots = []
    for shot in plan.shots[shard.first_shot : shard.last_shot + 1]:
        seconds = float(shot.start_pts * plan.time_base)
        facts = {"index": shot.index + 1, "start": shot.start, "end": shot.end, "start_pts": shot.start_pts}
        said = {"start_seconds": seconds, "hints": [], "uses": [], "reuses": None, "confidence": None}
        was = known.get(shot.start, {})
        shots.append({**said, **was, **facts, "reuses": was.get("reuses") or None})
    notes = {"reproduced": [], "said": [], **describe_model(film.colorizer, film.config)}
    file = shard_path(film.target.parent, number).name
    times = (shard.start_pts, plan.shots[shard.last_shot].last_pts)
    return ShardRecord(number, shard.key, file, "", 0, shard.frames, *times, 0.0, "kept", tuple(shots), (), notes)
