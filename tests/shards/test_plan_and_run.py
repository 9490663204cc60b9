"""A plan made from a survey and a run that cuts as it goes agree, and however shards are made, so do the samples."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from batch.films import samples_of
from golden.cases import SMALL, Case
from golden.films import length_of, make_film, make_network, make_picture, starts_of

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.shards.merge import merge_film
from videocolor.shards.planfile import read_plan
from videocolor.shards.types import FilmJob, FilmPlan, Task
from videocolor.shards.work import plan_film, run_task


class Stopped(Exception):
    """The run was stopped."""


class Work:
    """The shards of a film, through the few internals that this test knows."""

    def __init__(self, source: Path, folder: Path, settings: list[str]) -> None:
        config = ColorizeConfig.load(None, settings)
        folder.mkdir()
        self.job = FilmJob("film", source, folder / "out.mkv", config.as_dict(), folder / "work")

    def plan(self) -> FilmPlan:
        """Plan from a survey."""
        return plan_film(self.job)

    def written(self) -> FilmPlan:
        """The plan that a run has left."""
        return read_plan(self.job.folder / "plan.yaml")

    def run(self, *shards: int, stop_after: int | None = None) -> list[str]:
        """Color these shards, or all that are missing; kinds of the messages heard, in order."""
        heard: list[str] = []

        def hear(message: dict[str, Any]) -> None:
            heard.append(message["kind"])
            if heard.count("shard") == stop_after:
                raise Stopped

        try:
            run_task(Task("task", self.job.as_dict(), shards or None), hear)
        except Stopped:
            assert stop_after is not None
        return [kind for kind in heard if kind in ("shard", "planned")]

    def join(self) -> list[tuple[Fraction, str]]:
        """Samples of the film made of the shards."""
        return samples_of(merge_film(self.job).target)


HINTS = ("none", "assigned", "painted", "none", "loose")
QUICK = (10,)
"""Seeds of the fast tier."""


def random_case(seed: int) -> Case:
    """A film with short, long and returning shots, and settings that move the borders of shards."""
    rng, hints = random.Random(seed), HINTS[seed % len(HINTS)]
    scenes = [rng.randint(0, 40) for _ in range(3)]
    lengths = [rng.choice([1, 2, 5, 9, 16, 17, 24]) for _ in range(rng.randint(1, 3))]
    lengths.insert(rng.randint(0, len(lengths)), rng.randint(26, 50))
    film = {
        "shots": [[rng.choice(scenes), length] for length in lengths],
        "size": rng.choice([[64, 48], [64, 64]]),
        "rate": rng.choice(["3", "4", "6", "25/2"]),
        "pix_fmt": "gray",
        "uneven": rng.choice([None, None, seed]),
        "flicker": 0.1,
    }
    case = Case(f"random-{seed}", film)
    case.settings = {
        "model.name": SMALL if hints == "none" else "hint",
        "model.batch": rng.choice([1, 1, 2]),
        "model.keyframe_interval": rng.choice([1, 4, 8, 16] if hints == "none" else [8, 16]),
        "model.keyframe_interval_painted": rng.choice([4, 8]),
        "model.memory": (seed + 1) % 3,
        "smoothing.enabled": rng.random() < 0.75,
        "smoothing.motion": rng.choice(["auto", "fast"]),
        "shots.shard": rng.choice([1, 2, 3, 5.5]),
        "shots.max_shard": rng.choice([4, 4, 7]),
        "shots.detector": rng.choice(["content", "content", "none"]),
        "restoration.deflicker": rng.random() < 0.2,
    }
    if hints == "assigned" or rng.random() < 0.3:
        case.shots = sorted({0, *starts_of(film), *rng.sample(range(length_of(film)), 2)})
        case.settings["shots.file"] = f"{case.id}.yaml"
    first, second = (rng.randrange(length_of(film)) for _ in range(2))
    if hints == "assigned":  # needs no survey where shots are listed: the run learns what a shot costs as it goes
        case.settings["hints.assigned"] = [{"image": case.picture(first), "frame": first, "shots": [second]}]
    elif hints == "painted":
        case.settings["hints.items"] = [case.painted(first), case.painted(second, spots=1)]
    elif hints == "loose":
        case.settings["hints.items"] = [case.picture(first)]
    return case


def agree(seed: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make one film in every way and compare."""
    monkeypatch.chdir(folder)
    rng, case = random.Random(-seed), random_case(seed)
    source = folder / "film.mkv"
    make_film(case.film, source)
    make_network(folder / SMALL, [[40, 10, 0], [-30, 20, 35]], [-20, -8], stride=2)
    for name, recipe in case.pictures.items():
        make_picture(recipe, folder / name)
    if case.shots is not None:
        lines = "".join(f"- {{frame: {start}}}\n" for start in case.shots)
        (folder / f"{case.id}.yaml").write_text(f"shots:\n{lines}")
    settings = [f"{key}={json.dumps(value)}" for key, value in case.settings.items()] + ["output.codec=ffv1"]

    colorize_video(source, folder / "whole.mkv", ColorizeConfig.load(None, [*settings, "output.resume=false"]))
    whole = samples_of(folder / "whole.mkv")
    assert len(whole) == length_of(case.film)

    beforehand = Work(source, folder / "beforehand", settings)
    plan = beforehand.plan()
    numbers = [shard.number for shard in plan.shards]
    assert plan.shards[0].start == 0 and plan.shards[-1].end == len(whole)

    passing = Work(source, folder / "passing", settings)
    heard = passing.run()
    assert passing.written() == plan, "borders, shots, returns and keys"
    assert heard.count("shard") == len(numbers)
    if "hints.items" not in case.settings:
        assert heard[0] == "shard", "such a film is colored without a survey"
    assert passing.join() == whole

    stopped = Work(source, folder / "stopped", settings)
    while (done := stopped.run(stop_after=rng.randint(1, 3))).count("shard"):
        numbers = numbers[done.count("shard") :]
    assert numbers == [], "a run that goes on colors what is missing, once"
    assert stopped.written() == plan and stopped.join() == whole

    first = [shard.number for shard in plan.shards if not shard.opens_inside]
    runs = [list(range(a, b)) for a, b in zip(first, [*first[1:], len(plan.shards)], strict=True)]
    while runs:  # any order, but that a shard which opens inside a shot needs the one before it
        run = rng.choice(runs)
        beforehand.run(run.pop(0))
        runs = [run for run in runs if run]
    assert beforehand.join() == whole


@pytest.mark.parametrize("seed", QUICK)
def test_plan_and_run_agree(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agree(seed, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [seed for seed in range(45) if seed not in QUICK])
def test_plan_and_run_agree_in_more_films(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agree(seed, tmp_path, monkeypatch)
