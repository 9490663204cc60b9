"""Color consecutive shards of one film, each into a separate file: the work of a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby

from videocolor.config import ColorizeConfig, ModelConfig
from videocolor.errors import ConfigError, InputError
from videocolor.events import Event, Observer, RunLog, ignore
from videocolor.models.base import Colorizer
from videocolor.pipeline.film import Film, load_network, open_film, scanned
from videocolor.pipeline.path import colorize_film, open_run
from videocolor.pipeline.reader import Part
from videocolor.pipeline.reuse import PlannedReferenceShots, SeenReferenceShots, reference_lumas
from videocolor.pipeline.scheduling import ListedShards, ShardCounter
from videocolor.pipeline.shot import Run, ShotState
from videocolor.record import Fixity
from videocolor.shards.plan import (
    PLAN_NAME,
    decided_shots,
    fixity_of,
    is_current,
    make_plan,
    missing_shards,
    plan_head,
    shard_rule,
    source_stamp,
    with_shards,
)
from videocolor.shards.planfile import read_plan, write_plan
from videocolor.shards.records import (
    any_records,
    drop_stale,
    finished_shards,
    load_state,
    save_state,
    state_path,
)
from videocolor.shards.types import FilmJob, FilmPlan, PlannedShot, ShardRecord, Task, Tell
from videocolor.shards.writing import ShardWriter, Written, write_all
from videocolor.shots.prepare import ListedCuts, unused_cuts
from videocolor.shots.scan import cuts_for
from videocolor.types import Array

__all__ = [
    "color_film_shards",
    "color_missing",
    "current_plan",
    "finished_shards",
    "plan_film",
    "run_task",
    "settle_plan",
]


def plan_film(job: FilmJob, *, observer: Observer = ignore) -> FilmPlan:
    """Scan a film, decide its shots and shards, and write `plan.yaml` into the job's folder.

    Raises:
        InputError, UsageError, OutputError, ModelError: as `open_film`; the folder cannot be written.
    """
    log = RunLog(observer)
    film = scanned(open_film(job.source, job.target, ColorizeConfig.model_validate(job.config), log), log)
    plan = make_plan(film, fixity_of(job.source))
    job.folder.mkdir(parents=True, exist_ok=True)
    write_plan(job.folder / PLAN_NAME, plan)
    return plan


def run_task(task: Task, tell: Tell) -> None:
    """Color the shards of a task; engines call this in their workers.

    Where the task names no shards, the entire film is colored and divided on the way; where an earlier try left
    finished shards, it is planned first and the missing ones are colored.

    Args:
        task: what to do.
        tell: receives `planned`, `shard`, `progress`, `warning`.

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
        decided = decided_shots(plan, config, job.source)
        film = open_film(job.source, job.target, config, log, decided=decided, colorizer=network)
        done = finished_shards(job, plan, task.shards)
        color_missing(film, job, plan, [n for n in task.shards if n not in done], log, tell)
        return
    film = open_film(job.source, job.target, config, log, colorizer=network)
    color_film_shards(film, job, log, tell, plan=plan)


def color_film_shards(
    film: Film,
    job: FilmJob,
    log: RunLog,
    tell: Tell,
    *,
    plan: FilmPlan | None = None,
    done: Mapping[int, ShardRecord] | None = None,
) -> tuple[FilmPlan, dict[int, ShardRecord]]:
    """Color all shards of a film that are missing, and write its plan if there is none.

    Args:
        film: opened; what was found in a scan of it is used.
        job: says where the shards go.
        log: receives warnings and what becomes of each shot.
        tell: receives what is done.
        plan: of this very film and these settings; None: there is none yet.
        done: as `finished_shards` of that plan, where it was looked at already.

    Returns:
        The plan, and the records of all its shards.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    if plan is None and not any_records(job.folder) and film.scan is None:
        return _color_unplanned(film, job, log, tell)
    film, plan, records = settle_plan(film, job, log, tell, plan=plan, done=done)
    missing = [shard.number for shard in missing_shards(plan.shards, records)]
    return plan, records | color_missing(film, job, plan, missing, log, tell)


def settle_plan(
    film: Film,
    job: FilmJob,
    log: RunLog,
    tell: Tell,
    *,
    plan: FilmPlan | None = None,
    done: Mapping[int, ShardRecord] | None = None,
) -> tuple[Film, FilmPlan, dict[int, ShardRecord]]:
    """Scan and plan a film where there is no plan, and drop what is left of other plans; arguments as above.

    Returns:
        The film with what the plan decided, the plan, and the records of the shards that are done.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    if plan is None:
        film = scanned(film, log)
        plan = make_plan(film, fixity_of(film.source))
        write_plan(job.folder / PLAN_NAME, plan)
        records = finished_shards(job, plan)
        before = sum(record.frames for record in records.values())
        tell({"kind": "planned", "shards": len(plan.shards), "frames": plan.frames, "before": before})
    else:
        decided = decided_shots(plan, film.config, film.source)
        film = replace(film, hints=decided.hints, saturations=decided.saturations)
        records = dict(finished_shards(job, plan) if done is None else done)
    drop_stale(job.folder, records)
    return film, plan, records


def current_plan(job: FilmJob, config: ColorizeConfig, network: Colorizer) -> FilmPlan | None:
    """Read the job's plan, if there is one and it is what would be planned today.

    Raises:
        ConfigError: there is one that cannot be read.
        InputError: the source is not the film that was planned.
    """
    path = job.folder / PLAN_NAME
    if not path.is_file():
        return None
    plan = read_plan(path)
    if plan.stamp != source_stamp(job.source) and plan.sha256 != fixity_of(job.source):
        raise InputError(f"{job.source}: has changed since it was planned; remove {job.folder} to begin again")
    return plan if is_current(plan, config, network) else None


@lru_cache(maxsize=1)
def _network(model: str) -> Colorizer:
    """Load the network of a configuration's section `model`; a worker keeps the last one."""
    return load_network(ColorizeConfig(model=ModelConfig.model_validate_json(model)))


def _observer(tell: Tell) -> Observer:
    def hear(event: Event) -> None:
        if event.kind == "warning":
            tell({"kind": "warning", "message": event.data["message"]})

    return hear


def color_missing(
    film: Film, job: FilmJob, plan: FilmPlan, missing: Sequence[int], log: RunLog, tell: Tell
) -> dict[int, ShardRecord]:
    """Color shards of a plan, those that follow each other in one go; their records."""
    records: dict[int, ShardRecord] = {}
    for _, run in groupby(enumerate(sorted(missing)), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in run]
        before = sum(record.frames for record in records.values())
        records |= _color_run(film, job, plan, range(numbers[0], numbers[-1] + 1), log, tell, before)
    return records


def _color_run(
    film: Film, job: FilmJob, plan: FilmPlan, numbers: range, log: RunLog, tell: Tell, before: int
) -> dict[int, ShardRecord]:
    """Color consecutive shards of a plan, after `before` frames of others; their records."""
    first, last = numbers[0], numbers[-1]
    head, tail = plan.shards[first], plan.shards[last]
    to_the_end = tail.closes_inside or last == len(plan.shards) - 1
    part = Part(head.start, head.start_pts, None if to_the_end else tail.end_pts, from_beginning=plan.repaired)
    reuses = {shot.index: shot.reuses for shot in plan.shots if shot.reuses is not None}
    run = Run(
        ListedCuts([shot.start - head.start for shot in plan.shots if head.start < shot.start]),
        log,
        PlannedReferenceShots(reuses, lambda reference: _reference_lumas(film, plan, reference)),
        ShardCounter(ListedShards([shard.start for shard in plan.shards if shard.start > head.start]), first),
        first_shot=head.first_shot,
        state=load_state(state_path(job.folder, first - 1)) if head.opens_inside else None,
        keep=lambda shard, state: save_state(state_path(job.folder, shard), state),
    )

    def keyed(number: int, written: Written) -> str:
        shard = plan.shards[number]
        if (written.start, written.start_pts, written.frames) != (shard.start, shard.start_pts, shard.frames):
            raise InputError(
                f"{film.source}: shard {number + 1} has {written.frames} frames from {written.start} on, its plan "
                f"{shard.frames} from {shard.start}; has the film changed? Remove {job.folder} to begin again"
            )
        return shard.key

    writing = ShardWriter(film, job.folder, log, tell, keyed, before)
    with open_run(film, run, colorize_film, part) as (_, frames):
        write_all(frames, writing, last)
    return writing.records


def _reference_lumas(film: Film, plan: FilmPlan, reference: int) -> list[Array]:
    """Luma of a shot's first and last frame at the working size, read from the film."""
    shot = plan.shots[reference]
    places = [(shot.start, shot.start_pts), (shot.end - 1, shot.last_pts)]
    return reference_lumas(film, places, from_beginning=plan.repaired)


def _color_unplanned(film: Film, job: FilmJob, log: RunLog, tell: Tell) -> tuple[FilmPlan, dict[int, ShardRecord]]:
    """Color a film from its beginning, decide its shards on the way, and write the plan that results."""
    cuts, sketch = cuts_for(film.config), _Sketch(film, Fixity(film.source))

    def keep(shard: int, state: ShotState) -> None:
        save_state(state_path(job.folder, shard), state)
        sketch.closed_inside.add(shard)

    run = Run(cuts, log, SeenReferenceShots(film.scan_size), ShardCounter(shard_rule(film)), keep=keep)
    writing = ShardWriter(film, job.folder, log, tell, sketch.keyed)
    with open_run(film, run, colorize_film) as (reader, frames):
        write_all(frames, writing, None)
        losses = tuple(reader.losses)
        offsets = tuple(reader.video.offsets)
    plan = replace(sketch.plan(), offsets=offsets, repaired=bool(losses), warnings=(*losses, *unused_cuts(cuts)))
    write_plan(job.folder / PLAN_NAME, plan)
    tell({"kind": "planned", "shards": len(plan.shards), "frames": plan.frames, "before": 0})
    return plan, writing.records


class _Sketch:
    """The plan of a film whose shards are decided while it is colored."""

    def __init__(self, film: Film, fixity: Fixity) -> None:
        self._film, self._fixity = film, fixity
        self._head: FilmPlan | None = None
        self._shots: list[PlannedShot] = []
        self._places: list[tuple[int, int]] = []
        self._end = 0
        self.closed_inside: set[int] = set()
        """Numbers of the shards that end inside a shot, each known before its last frame is written."""

    def keyed(self, number: int, written: Written) -> str:
        """Note a shard; return its key."""
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
        """Return the plan of the part that was colored so far."""
        if self._head is None:
            self._head = plan_head(self._film, self._fixity.result())
        head = replace(self._head, shots=tuple(self._shots), frames=self._shots[-1].end)
        goes_on = len(self._places) - 1 in self.closed_inside
        return with_shards(head, self._places, self._end, goes_on=goes_on)
