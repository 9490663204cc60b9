"""What a worker does: colour shards of one film in a row, each into a file of its own."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from videocolor.concurrency.stages import opencv_single_threaded
from videocolor.config import ColorizeConfig, ModelConfig
from videocolor.errors import ConfigError, InputError
from videocolor.events import Event, Observer, RunLog, ShotRecord
from videocolor.models.base import Colorizer
from videocolor.pipeline.boundaries import ListedBoundaries
from videocolor.pipeline.film import Film, FilmReader, Part, load_network, open_film
from videocolor.pipeline.path import Finished, Run, color_film
from videocolor.pipeline.prepare import ListedCuts, unused_cuts
from videocolor.pipeline.reuse import PlannedReferenceShots, SeenReferenceShots, reference_lumas
from videocolor.record import Fixity, describe_model
from videocolor.shards.plan import (
    PLAN_NAME,
    boundaries_of,
    decided_shots,
    fixity_of,
    is_current,
    make_plan,
    plan_head,
    source_stamp,
    with_shards,
)
from videocolor.shards.planfile import read_plan, write_plan
from videocolor.shards.records import (
    any_records,
    as_dict,
    drop_stale,
    finished_shards,
    load_memory,
    memory_path,
    save_memory,
    shard_path,
    write_record,
)
from videocolor.shards.types import FilmJob, FilmPlan, PlannedShot, ShardRecord, Task, Tell
from videocolor.shots.scan import cuts_for, one_frame
from videocolor.types import Array, Frame
from videocolor.video import ShardSink, VideoWriter

__all__ = ["color_film_shards", "color_missing", "current_plan", "finished_shards", "run_task"]

_TOLD: Final = 0.25
"""Seconds between two reports of progress."""


def run_task(task: Task, tell: Tell) -> None:
    """Colour the shards of a task; engines call this in their workers.

    Where the task names no shards, the whole film is coloured and cut as it goes by; where an earlier try left
    finished shards, it is planned first and the missing ones are coloured.

    Args:
        task: what to do.
        tell: hears of `planned`, `shard`, `progress`, `warning`.

    Raises:
        VideocolorError: see `videocolor.errors`.
    """
    job = FilmJob.from_dict(task.job)
    config = ColorizeConfig.model_validate(job.config)
    log = RunLog(_observer(tell))
    network = _network(config.model.model_dump_json())
    plan = current_plan(job, config, network)
    if task.shards is not None:
        if plan is None:
            raise ConfigError(f"{job.folder / PLAN_NAME}: is missing or was made for other settings; plan again")
        film = _planned_film(job, plan, config, network, log)
        done = finished_shards(job, plan)
        color_missing(film, job, plan, [n for n in task.shards if n not in done], tell)
        return
    film = open_film(job.source, job.target, config, log, colorizer=network)
    color_film_shards(film, job, tell, plan=plan)


def color_film_shards(
    film: Film,
    job: FilmJob,
    tell: Tell,
    *,
    plan: FilmPlan | None = None,
    done: Mapping[int, ShardRecord] | None = None,
) -> tuple[FilmPlan, dict[int, ShardRecord]]:
    """Colour all shards of a film that are missing, and write its plan if there is none.

    Args:
        film: opened; what was found in a scan of it is used.
        job: says where the shards go.
        tell: hears of what is done.
        plan: of this very film and these settings; None: there is none yet.
        done: as `finished_shards` of that plan, where it was looked at already.

    Returns:
        The plan, and the records of all its shards.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    if plan is None and not any_records(job.folder) and film.scan is None and film.cuts_alike:
        return _color_unplanned(film, job, tell)
    if plan is None:
        if film.scan is None:
            film = open_film(film.source, film.target, film.config, film.log, scan="always", colorizer=film.colorizer)
        plan = make_plan(film, fixity_of(film.source))
        write_plan(job.folder / PLAN_NAME, plan)
        records = finished_shards(job, plan)
        before = sum(record.frames for record in records.values())
        tell({"kind": "planned", "shards": len(plan.shards), "frames": plan.frames, "before": before})
    else:
        decided = decided_shots(plan, film.config)
        film = replace(film, hints=decided.hints, saturations=decided.saturations)
        records = dict(finished_shards(job, plan) if done is None else done)
    drop_stale(job.folder, records)
    missing = [shard.number for shard in plan.shards if shard.number not in records]
    return plan, records | color_missing(film, job, plan, missing, tell)


def current_plan(job: FilmJob, config: ColorizeConfig, network: Colorizer) -> FilmPlan | None:
    """The job's plan, if there is one and it still says what would be said today.

    Raises:
        ConfigError: there is one that cannot be read.
        InputError: the source is not the film that was planned.
    """
    path = job.folder / PLAN_NAME
    if not path.is_file():
        return None
    plan = read_plan(path)
    if plan.stamp != source_stamp(job.source) and plan.sha256 != fixity_of(job.source):
        raise InputError(f"{job.source}: has changed since it was planned; remove {job.folder} to begin anew")
    return plan if is_current(plan, config, network) else None


@lru_cache(maxsize=1)
def _network(model: str) -> Colorizer:
    """The network of a configuration's section `model`; a worker keeps the last one."""
    return load_network(ColorizeConfig(model=ModelConfig.model_validate_json(model)))


def _observer(tell: Tell) -> Observer:
    def hear(event: Event) -> None:
        if event.kind == "warning":
            tell({"kind": "warning", "message": event.data["message"]})

    return hear


def _planned_film(job: FilmJob, plan: FilmPlan, config: ColorizeConfig, network: Colorizer, log: RunLog) -> Film:
    decided = decided_shots(plan, config)
    return open_film(job.source, job.target, config, log, scan="never", decided=decided, colorizer=network)


class _Writing:
    """Finished frames go into shard files; each gets its record when it is whole."""

    def __init__(self, film: Film, folder: Path, tell: Tell, keyed: Callable[[int, _Written], str]) -> None:
        self._film, self._folder, self._tell, self._keyed = film, folder, tell, keyed
        self._writer: VideoWriter | None = None
        self._sink: ShardSink | None = None
        self._now: _Written | None = None
        self._told = time.monotonic()
        self.frames = 0
        self.records: dict[int, ShardRecord] = {}

    def write(self, done: Finished) -> None:
        """One more frame."""
        if self._now is None or self._now.number != done.place.shard:
            self.close()
            self._now = _Written(done.place.shard, done.frame, one_frame(self._film.info))
            path = shard_path(self._folder, done.place.shard)
            path.with_suffix(".json").unlink(missing_ok=True)
            self._writer, self._sink = VideoWriter.into_shard(self._film.info, self._film.plan, path)
        assert self._writer is not None
        key = self._now.add(done)
        self._writer.write(done.frame, done.cb, done.cr, key=key)
        self.frames += 1
        if time.monotonic() - self._told > _TOLD:
            self._told = time.monotonic()
            self._tell({"kind": "progress", "frames": self.frames})

    def close(self) -> None:
        """The shard is whole: sync it, write its record, tell."""
        if self._writer is None or self._sink is None or self._now is None:
            return
        report = self._writer.close()
        log, now = self._film.log, self._now
        record = ShardRecord(
            number=now.number,
            key=self._keyed(now.number, now),
            file=self._sink.path.name,
            sha256=self._sink.sha256,
            bytes=self._sink.bytes,
            frames=report.frames,
            first_pts=report.first_pts,
            last_pts=report.last_pts,
            seconds=round(time.monotonic() - now.began, 3),
            worker=f"{socket.gethostname()}:{os.getpid()}",
            shots=tuple(shot.as_dict() for shot in now.shots),
            warnings=tuple(log.warnings),
            notes={
                "reproduced": sorted(i for i in log.reproduced if now.start <= i < now.start + report.frames),
                "said": list(log.notes),
                **describe_model(self._film.colorizer),
            },
        )
        write_record(self._folder, record)
        self.records[now.number] = record
        self._tell({"kind": "shard", "record": as_dict(record)})
        self._writer = self._sink = self._now = None

    def abort(self) -> None:
        """Leave nothing of the shard that is not whole."""
        if self._writer is not None:
            self._writer.abort()


class _Written:
    """What is known of a shard while it is written."""

    def __init__(self, number: int, first: Frame, one_frame: int) -> None:
        self.number, self.start, self.start_pts = number, first.index, first.pts
        self.end_pts, self._one = first.pts, one_frame
        self.began = time.monotonic()
        self.shots: list[ShotRecord] = []
        self.last_pts: list[int] = []
        self.frames = 0

    def add(self, done: Finished) -> bool:
        """Note a frame; whether a shot begins with it."""
        begins = not self.shots or self.shots[-1] is not done.place.shot
        if begins:
            self.shots.append(done.place.shot)
            self.last_pts.append(done.frame.pts)
        self.last_pts[-1] = done.frame.pts
        self.end_pts = done.frame.pts + (done.frame.duration or self._one)
        self.frames += 1
        return begins


def _write_all(frames: Iterable[Finished], writing: _Writing, last: int | None) -> None:
    """Write frames up to the end of shard `last`; None: all."""
    try:
        for done in frames:
            if last is not None and done.place.shard > last:
                break
            writing.write(done)
        writing.close()
    except BaseException:
        writing.abort()
        raise


def color_missing(
    film: Film, job: FilmJob, plan: FilmPlan, missing: Sequence[int], tell: Tell
) -> dict[int, ShardRecord]:
    """Colour shards of a plan, those that follow each other in one go; their records."""
    runs: list[list[int]] = []
    for number in sorted(missing):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    records: dict[int, ShardRecord] = {}
    for run in runs:
        records |= _color_run(film, job, plan, run[0], run[-1], _after(records, tell))
    return records


def _after(records: Mapping[int, ShardRecord], tell: Tell) -> Tell:
    """Count frames on from those of earlier runs."""
    before = sum(record.frames for record in records.values())

    def count(message: dict[str, Any]) -> None:
        tell({**message, "frames": message["frames"] + before} if message["kind"] == "progress" else message)

    return count


def _color_run(film: Film, job: FilmJob, plan: FilmPlan, first: int, last: int, tell: Tell) -> dict[int, ShardRecord]:
    """Colour the shards `first` to `last` of a plan; their records."""
    head, tail = plan.shards[first], plan.shards[last]
    to_the_end = tail.closes_inside or last == len(plan.shards) - 1
    part = Part(head.start, head.start_pts, None if to_the_end else tail.end_pts, from_beginning=plan.repaired)
    returns = {shot.index: shot.reuses for shot in plan.shots if shot.reuses is not None}
    cuts = ListedCuts([shot.start - head.start for shot in plan.shots if head.start < shot.start])
    run = Run(
        cuts,
        PlannedReferenceShots(returns, lambda lender: _lender_lumas(film, plan, lender)),
        ListedBoundaries([shard.start for shard in plan.shards if shard.start > head.start]),
        shot=head.first_shot,
        shard=first,
        opens=load_memory(memory_path(job.folder, first - 1)) if head.opens_inside else None,
    )
    run.keep = lambda memory: save_memory(memory_path(job.folder, run.shard), memory)

    def keyed(number: int, written: _Written) -> str:
        shard = plan.shards[number]
        if (written.start, written.start_pts, written.frames) != (shard.start, shard.start_pts, shard.frames):
            raise InputError(
                f"{film.source}: shard {number + 1} has {written.frames} frames from {written.start} on, its plan "
                f"{shard.frames} from {shard.start}; has the film changed? Remove {job.folder} to begin anew"
            )
        return shard.key

    reader = FilmReader(film.source, film.config, film.info, part)
    writing = _Writing(film, job.folder, tell, keyed)
    with opencv_single_threaded(), reader, closing(color_film(reader, film, run)) as frames:
        _write_all(frames, writing, last)
    return writing.records


def _lender_lumas(film: Film, plan: FilmPlan, lender: int) -> list[Array]:
    """Luma of a shot's first and last frame at the working size, read from the film."""
    shot = plan.shots[lender]
    places = [(shot.start, shot.start_pts), (shot.end - 1, shot.last_pts)]
    return reference_lumas(film, places, from_beginning=plan.repaired)


def _color_unplanned(film: Film, job: FilmJob, tell: Tell) -> tuple[FilmPlan, dict[int, ShardRecord]]:
    """Colour a film from its beginning, cut it into shards as it goes by, and write the plan that this amounts to."""
    fixity = Fixity(film.source)
    cuts = cuts_for(film.config)
    run = Run(cuts, SeenReferenceShots(film.scan_size), boundaries_of(film))
    sketch = _Sketch(film, fixity)

    def keep(memory: dict[str, Array]) -> None:
        save_memory(memory_path(job.folder, run.shard), memory)
        sketch.closed_inside.add(run.shard)

    run.keep = keep
    reader = FilmReader(film.source, film.config, film.info)
    writing = _Writing(film, job.folder, tell, sketch.keyed)
    with opencv_single_threaded(), reader, closing(color_film(reader, film, run)) as frames:
        _write_all(frames, writing, None)
        losses = tuple(reader.losses)
        offsets = tuple(reader.video.offsets)
    plan = replace(sketch.plan(), offsets=offsets, repaired=bool(losses), warnings=(*losses, *unused_cuts(cuts)))
    write_plan(job.folder / PLAN_NAME, plan)
    tell({"kind": "planned", "shards": len(plan.shards), "frames": plan.frames, "before": 0})
    return plan, writing.records


class _Sketch:
    """The plan of a film that is cut while it goes by."""

    def __init__(self, film: Film, fixity: Fixity) -> None:
        self._film, self._fixity = film, fixity
        self._head: FilmPlan | None = None
        self._shots: list[PlannedShot] = []
        self._places: list[tuple[int, int]] = []
        self._end = 0
        self.closed_inside: set[int] = set()
        """Numbers of the shards that end inside a shot, each known before its last frame is written."""

    def keyed(self, number: int, written: _Written) -> str:
        """Take note of a shard; its key."""
        self._places.append((written.start, written.start_pts))
        for record, last_pts in zip(written.shots, written.last_pts, strict=True):
            if self._shots and self._shots[-1].index == record.number:
                self._shots[-1] = replace(self._shots[-1], end=record.end, last_pts=last_pts)
            else:
                place = (record.number, record.start, record.end, record.start_pts, last_pts)
                own = self._film.saturations.get(record.number)
                self._shots.append(PlannedShot(*place, record.reuses, tuple(record.hints), own))
        self._end = written.end_pts
        return self.plan().shards[number].key

    def plan(self) -> FilmPlan:
        """As far as the film has gone by."""
        if self._head is None:
            self._head = plan_head(self._film, self._fixity.result())
        shots = tuple(self._shots)
        head, goes_on = (
            replace(self._head, shots=shots, frames=shots[-1].end),
            len(self._places) - 1 in self.closed_inside,
        )
        return with_shards(head, self._places, self._end, goes_on=goes_on)
