"""Films at the start of a run: what is finished, what was begun, what cannot be done. Facts first, then the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from videocolor.batch.ledger import Ledger
from videocolor.batch.schedule import Order, missing_shards
from videocolor.batch.space import Outlook
from videocolor.batch.state import (
    Receipt,
    drop_work,
    keeps_shards,
    merging,
    plan_path,
    read_receipt,
    receipt_fits,
    receipt_path,
    same_job,
    source_state,
    write_job,
)
from videocolor.batch.steps import Steps
from videocolor.errors import InputError, OutputError, VideocolorError
from videocolor.files import disk_errors
from videocolor.shards.types import FilmJob, FilmPlan, Shard, ShardRecord

__all__ = ["Film", "check_damage", "take_in"]

_WEIGHT: Final = 1e-6
"""Frames that a byte of source stands for where nothing better is known: only the order of films follows from it."""


@dataclass(eq=False)
class Film:
    """A film of a run, as the driver sees it."""

    job: FilmJob
    place: int
    outlook: Outlook = field(default_factory=lambda: Outlook(None, None))
    receipt: Receipt | None = None
    """It is finished."""
    error: str | None = None
    """It failed."""
    shards: tuple[Shard, ...] | None = None
    """Of its plan, while it is worked on; None: not read, or there is none."""
    planned: bool = False
    """There is a plan on the disk."""
    complete: bool = False
    """All shards of the plan are done."""
    done: set[int] = field(default_factory=set)
    """Numbers of finished shards."""
    told: dict[int, ShardRecord] = field(default_factory=dict)
    """Shards that were finished before there was a plan."""
    done_frames: int = 0
    """Frames of the shards that earlier runs have finished."""
    present: int = 0
    """Bytes of finished shards."""
    weight: float = 0.0
    """Expected work, in frames."""
    made_now: bool = False
    """Finished by this run."""

    @property
    def open(self) -> bool:
        """Neither finished nor failed."""
        return self.receipt is None and self.error is None

    @property
    def missing(self) -> list[Shard]:
        """Shards of the plan that are not done."""
        return missing_shards(self.shards or (), self.done)

    def order(self) -> Order:
        """Its place in the queue."""
        return Order(-self.job.priority, 0 if self.done else 1, -self.weight, self.place)


def take_in(
    jobs: Sequence[FilmJob],
    out: Path,
    ledger: Ledger,
    steps: Steps,
    *,
    restart: bool = False,
    others: bool = False,
    refuse: bool = True,
    warn: Callable[[str, str], None],
    tick: Callable[[int, int], None],
) -> list[Film]:
    """Look at every film and bring the ledger in line with what lies on the disk.

    Args:
        jobs: the films, names unique.
        out: the output folder.
        ledger: open for writing.
        steps: what is done with films.
        restart: forget earlier work; finished films stay unless `output.overwrite` is set.
        others: films of the ledger that are not among these stay as they are.
        refuse: damaged reels fail.
        warn: is told (film, message).
        tick: is told (films looked at, all films): opening a thousand reels takes a minute.
    """
    ledger.put_films(jobs, others=others)
    films = []
    for place, job in enumerate(jobs):
        tick(place, len(jobs))
        film = Film(job, place)
        films.append(film)
        try:
            _take_in(film, out, ledger, steps, restart, refuse)
        except (VideocolorError, OSError) as error:
            film.error = str(error)
            ledger.film_failed(job.name, film.error)
            continue
        for message in film.outlook.warnings:
            warn(job.name, message)
    return films


def _take_in(film: Film, out: Path, ledger: Ledger, steps: Steps, restart: bool, refuse: bool) -> None:
    job, name = film.job, film.job.name
    overwrite = bool(job.config.get("output", {}).get("overwrite"))
    source = source_state(job.source)
    receipt = read_receipt(out, name)
    fits = receipt is not None and receipt_fits(receipt, job)
    if fits and not (restart and overwrite):
        assert receipt is not None
        film.receipt = receipt
        ledger.film_done(name, **receipt.facts())
        if job.folder.exists() and not keeps_shards(job):
            steps.discard(job)  # a driver was killed between the receipt and this
        return
    if restart:
        drop_work(job)
    _check_target(job, receipt, overwrite)
    with disk_errors(job.target):
        job.target.parent.mkdir(parents=True, exist_ok=True)
    film.outlook = steps.look(job)
    film.weight = film.outlook.frames if film.outlook.frames is not None else source.bytes * _WEIGHT
    if not same_job(job):
        _set_plan_aside(job)
        write_job(job)
    if receipt is not None and overwrite:
        receipt_path(out, name).unlink(missing_ok=True)
    ledger.film_planned(name, frames=film.outlook.frames)
    _read_facts(film, ledger, steps, refuse)


def _check_target(job: FilmJob, receipt: Receipt | None, overwrite: bool) -> None:
    if overwrite or not job.target.exists() or merging(job):
        return
    why = (
        "was made with other settings, other hints or from another source"
        if receipt is not None and receipt.target == str(job.target)
        else "exists already, and this batch has not made it"
    )
    raise OutputError(f"{job.target}: {why}; move it away, or --set output.overwrite=true")


def _set_plan_aside(job: FilmJob) -> None:
    """A plan that was made for something else may hold a person's edits: it is kept under another name."""
    plan = plan_path(job)
    with disk_errors(plan):
        if plan.exists():
            plan.replace(plan.with_suffix(".old.yaml"))
        (job.folder / "merging").unlink(missing_ok=True)


def _read_facts(film: Film, ledger: Ledger, steps: Steps, refuse: bool) -> None:
    path = plan_path(film.job)
    if not path.exists():
        ledger.drop_plan(film.job.name)
        return
    plan = steps.read_plan(path)
    check_damage(film.job, plan, steps, refuse)
    records = steps.finished(film.job, plan)
    ledger.put_plan(film.job.name, plan.shards, records.values())
    film.planned = True
    film.done = set(records)
    film.complete = {shard.number for shard in plan.shards} <= film.done
    film.done_frames = sum(record.frames for record in records.values())
    film.present = sum(record.bytes for record in records.values())
    film.weight = sum(shard.cost for shard in missing_shards(plan.shards, film.done))


def check_damage(job: FilmJob, plan: FilmPlan, steps: Steps, refuse: bool) -> str | None:
    """What is wrong with a reel that could be coloured all the same; None: nothing.

    Raises:
        InputError: something is, and such reels are refused.
    """
    damage = steps.damage(job, plan)
    if damage is not None and refuse:
        raise InputError(f"{job.source}: is damaged: {damage}; --set films.damaged=accept colours it as it is")
    return damage
