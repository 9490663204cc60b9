"""Shards give exactly the film that is colored in one go, in whatever order and however often the work is stopped."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from batch.films import packets_of, picture, samples_of, write_reel

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import ConfigError, InputError, OutputError
from videocolor.shards.merge import merge_film
from videocolor.shards.planfile import read_plan, write_plan
from videocolor.shards.records import finished_shards, shard_path
from videocolor.shards.types import FilmJob, Task
from videocolor.shards.work import plan_film, run_task
from videocolor.types import Hint

SHOTS = ((1, 20), (2, 16), (1, 18), (3, 60), (2, 14), (4, 9), (3, 20))
"""157 frames at 12 a second; shots 3, 5 and 7 return; shot 4 is longer than `max_shard`."""
SETTINGS = ("output.codec=ffv1", "shots.shard=3", "shots.max_shard=4", "model.batch=1", "model.keyframe_interval=8")


def config(*settings: str) -> ColorizeConfig:
    return ColorizeConfig.load(None, [*SETTINGS, *settings])


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reel(tmp_path_factory.mktemp("reel") / "reel.mkv", SHOTS)


@pytest.fixture(scope="module")
def hints(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """A painted frame of shot 1, one in the middle of the long shot."""
    folder = tmp_path_factory.mktemp("hints")
    items = []
    for seed, frame, at in ((1, 3, 3), (3, 30, 84)):
        rgb = np.moveaxis(picture(seed, frame), 0, -1)
        path = folder / f"{seed}.png"
        cv2.imwrite(str(path), np.rint(rgb[..., ::-1] * 255).astype(np.uint8))
        items.append(f"{float(Fraction(at, 12)):.6f}={path}")
    return tuple(items)


def in_one_go(reel: Path, folder: Path, *settings: str) -> Path:
    colorize_video(reel, folder / "whole.mkv", config("output.resume=false", *settings))
    return folder / "whole.mkv"


def job(reel: Path, folder: Path, *settings: str) -> FilmJob:
    return FilmJob("reel", reel, folder / "out.mkv", config(*settings).as_dict(), folder / "work")


def hint_setting(hints: Sequence[str]) -> str:
    return f"hints.items={json.dumps(list(hints))}"


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "kind",
    ["network", *(pytest.param(kind, marks=SLOW) for kind in ("hints", "cleaned", "unsmoothed"))],
)
def test_shards_give_the_film_in_one_go(
    kind: str, reel: Path, hints: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "cleaned":  # what a shot gets of a hint is not the hint, and later shards must get the same
        cleaned: list[str] = []
        monkeypatch.setattr(
            "videocolor.pipeline.references.without_flare",
            lambda hint, *_: cleaned.append(hint.name) or Hint(hint.name, 1 - hint.rgb, hint.time),
        )
    settings = {
        "hints": hint_setting(hints),
        "cleaned": hint_setting(hints),
        "unsmoothed": "smoothing.enabled=false",
    }
    extra = (settings[kind],) if kind in settings else ()
    whole = in_one_go(reel, tmp_path, *extra)
    result = colorize_video(reel, tmp_path / "out.mkv", config("output.keep_shards=true", *extra))
    assert samples_of(tmp_path / "out.mkv") == samples_of(whole)
    assert packets_of(tmp_path / "out.mkv") == packets_of(whole) == packets_of(reel)
    plan = read_plan(tmp_path / ".out.mkv.videocolor" / "plan.yaml")
    assert len(plan.shards) >= 3 and any(shard.opens_inside for shard in plan.shards), "the test needs a split shot"
    assert [(s.start, s.end) for s in result.shots] == [(s.start, s.end) for s in plan.shots]
    a, b = (json.loads((tmp_path / f"{name}.mkv.json").read_text()) for name in ("out", "whole"))
    for record in (a, b):
        record["config"]["output"] = record["shots"] = None  # confidence is a mean over windows
        record["config"]["shots"] = record["timing"] = None
    assert a == b
    if kind == "cleaned":
        assert len(cleaned) == 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["network", "hints", "unsmoothed"])
def test_shards_in_any_order_by_any_number_of_workers(
    kind: str, reel: Path, hints: tuple[str, ...], tmp_path: Path
) -> None:
    extra = {"hints": (hint_setting(hints),), "unsmoothed": ("smoothing.enabled=false",)}.get(kind, ())
    whole = in_one_go(reel, tmp_path, *extra)
    mine = job(reel, tmp_path, *extra)
    plan = plan_film(mine)
    assert read_plan(mine.folder / "plan.yaml") == plan
    free = [shard.number for shard in plan.shards if not shard.opens_inside]
    random.Random(4).shuffle(free)
    order = [n for first in free for n in _with_followers(plan, first)]
    told: list[dict[str, Any]] = []
    for number in order:
        run_task(Task(f"t{number}", mine.as_dict(), (number,)), told.append)
    assert sorted(m["record"]["number"] for m in told if m["kind"] == "shard") == [s.number for s in plan.shards]
    report = merge_film(mine)
    assert samples_of(report.target) == samples_of(whole)
    assert packets_of(report.target) == packets_of(reel)
    assert report.frames == 157


def _with_followers(plan: Any, first: int) -> list[int]:
    """A shard and those that go on inside its last shot."""
    numbers = [first]
    while numbers[-1] + 1 < len(plan.shards) and plan.shards[numbers[-1] + 1].opens_inside:
        numbers.append(numbers[-1] + 1)
    return numbers


@pytest.mark.slow
def test_a_film_cut_as_it_goes_by_gets_the_plan_that_is_made_beforehand(reel: Path, tmp_path: Path) -> None:
    mine = job(reel, tmp_path)
    beforehand = plan_film(mine)
    assert [shot.reuses for shot in beforehand.shots] == [None, None, 0, None, 1, None, 3]
    shutil.rmtree(mine.folder)
    told: list[dict[str, Any]] = []
    run_task(Task("all", mine.as_dict(), None), told.append)
    assert read_plan(mine.folder / "plan.yaml") == beforehand
    assert len(finished_shards(mine, beforehand)) == len(beforehand.shards)


@pytest.mark.slow
def test_what_is_lost_is_done_again_and_nothing_else(reel: Path, tmp_path: Path) -> None:
    mine = job(reel, tmp_path)
    run_task(Task("all", mine.as_dict(), None), lambda _: None)
    plan = read_plan(mine.folder / "plan.yaml")
    made = {shard.number: shard_path(mine.folder, shard.number).stat().st_mtime_ns for shard in plan.shards}
    shard_path(mine.folder, 0).write_bytes(b"cut short")
    shard_path(mine.folder, 2).unlink()
    assert sorted(set(made) - set(finished_shards(mine, plan))) == [0, 2]
    with pytest.raises(InputError, match=r"2 of \d+ shards are not done \(1, 3\)"):
        merge_film(mine)
    run_task(Task("again", mine.as_dict(), None, 2), lambda _: None)
    merged = merge_film(mine)
    again = {n for n, before in made.items() if shard_path(mine.folder, n).stat().st_mtime_ns != before}
    assert again == {0, 2}
    assert samples_of(merged.target) == samples_of(in_one_go(reel, tmp_path))


@pytest.mark.slow
def test_other_settings_begin_anew(reel: Path, tmp_path: Path) -> None:
    mine = job(reel, tmp_path)
    run_task(Task("all", mine.as_dict(), None), lambda _: None)
    other = job(reel, tmp_path, "chroma.saturation=0.5")
    with pytest.raises(ConfigError, match="made for other settings"):
        run_task(Task("one", other.as_dict(), (0,)), lambda _: None)
    run_task(Task("all", other.as_dict(), None), lambda _: None)
    assert samples_of(merge_film(other).target) == samples_of(in_one_go(reel, tmp_path, "chroma.saturation=0.5"))


def test_a_plan_can_be_edited(reel: Path, tmp_path: Path) -> None:
    mine = job(reel, tmp_path)
    plan = plan_film(mine)
    path = mine.folder / "plan.yaml"
    before = [shard.key for shard in plan.shards]
    text = path.read_text()
    path.write_text(text.replace('"reuses": 2', '"reuses": null'))  # shot 5 no longer reuses shot 2
    changed = [a != b.key for a, b in zip(before, read_plan(path).shards, strict=True)]
    holders = [shard.first_shot <= 4 <= shard.last_shot for shard in plan.shards]
    assert changed == holders
    for wrong, message in (
        (text.replace('"reuses": 2', '"reuses": 6'), "shot 5 reuses shot 6; expected an earlier one"),
        (text.replace('{"shard": 2, "frame": ', '{"shard": 2, "frame": 1'), "where no shot begins"),
        (text.replace("videocolor_plan: 5", "videocolor_plan: 9"), "not a plan of this version"),
        (text.replace('"pts": 0', '"pts": x'), "not YAML|is damaged"),
    ):
        assert wrong != text
        path.write_text(wrong)
        with pytest.raises(ConfigError, match=message):
            read_plan(path)
    path.write_text(re.sub(r'\{"shard": \d+, ("frame": \d+), "pts": \d+, "cost": [\d.]+\}', r"{\1}", text))
    assert read_plan(path).shards == plan.shards, "a shard needs its first frame alone"
    write_plan(path, plan)
    assert read_plan(path) == plan


@pytest.mark.slow
def test_two_runs_at_once_are_refused(reel: Path, tmp_path: Path) -> None:
    import fcntl

    folder = tmp_path / ".out.mkv.videocolor"
    folder.mkdir()
    with (folder / "lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="another process is at work on it"):
            colorize_video(reel, tmp_path / "out.mkv", config("model.name=constant"))
    assert colorize_video(reel, tmp_path / "out.mkv", config("model.name=constant")).resumed == 0


@pytest.mark.slow
def test_nothing_is_left_behind(reel: Path, tmp_path: Path) -> None:
    colorize_video(reel, tmp_path / "out.mkv", config("model.name=constant"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mkv", "out.mkv.json"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".mp4", "libx264"),
        *(pytest.param(*pair, marks=SLOW) for pair in ((".mkv", "libx264"), (".mkv", "libx265"), (".mp4", "libx265"))),
        *(pytest.param(".mov", codec, marks=SLOW) for codec in ("libx264", "libx265")),
    ],
)
def test_predicted_frames_survive_the_joints(codec: str, suffix: str, reel: Path, tmp_path: Path) -> None:
    settings = (f"output.codec={codec}", "output.preset=veryfast", "model.name=constant")
    colorize_video(reel, tmp_path / f"out{suffix}", config(*settings))
    colorize_video(reel, tmp_path / f"whole{suffix}", config("output.resume=false", *settings))
    made, whole = (samples_of(tmp_path / f"{name}{suffix}") for name in ("out", "whole"))
    assert [t for t, _ in made] == [t for t, _ in whole]
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        keys = [p.pts * p.time_base for p in container.demux(video=0) if p.is_keyframe and p.pts is not None]
    starts = np.cumsum([0, *(length for _, length in SHOTS)])[:-1]
    assert {round(float(t) * 12) for t in keys} >= set(starts), "a film can be cut at its shots"


def killed_at(reel: Path, target: Path, delay: float) -> bool:
    """Color in a process of its own and kill it after some seconds; whether it was still at work."""
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    process = subprocess.Popen(
        [sys.executable, "-m", "videocolor", "colorize", str(reel), str(target), *words, "-q"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    began = time.monotonic()
    while process.poll() is None and time.monotonic() - began < delay:
        time.sleep(0.005)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return alive


def wait_for_shards(reel: Path, target: Path, count: int) -> None:
    """The same, killed when `count` shards are done."""
    folder = target.with_name(f".{target.name}.videocolor")
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    process = subprocess.Popen(
        [sys.executable, "-m", "videocolor", "colorize", str(reel), str(target), *words, "-q"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and len(list(folder.glob("shard-*.json"))) < count:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_a_killed_run_goes_on(reel: Path, tmp_path: Path) -> None:
    whole = samples_of(in_one_go(reel, tmp_path))
    target = tmp_path / "out.mkv"
    for count in (1, 2):
        wait_for_shards(reel, target, count)
        assert not target.exists()
    said: list[str] = []
    result = colorize_video(
        reel, target, config(), observer=lambda e: said.append(str(e.data.get("message"))) if e.kind == "note" else None
    )
    assert result.resumed > 0 and any("colored by an earlier run" in message for message in said)
    assert samples_of(target) == whole and packets_of(target) == packets_of(reel)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
def test_killed_at_random_moments(reel: Path, tmp_path: Path) -> None:
    whole = samples_of(in_one_go(reel, tmp_path))
    rng = random.Random(20)
    kills = round_ = 0
    while kills < 20:
        target = tmp_path / f"out{round_}.mkv"
        for _ in range(4):
            if not target.exists():
                kills += killed_at(reel, target, rng.uniform(0.6, 4.0))
        if not target.exists():
            colorize_video(reel, target, config())
        assert samples_of(target) == whole, round_
        round_ += 1
