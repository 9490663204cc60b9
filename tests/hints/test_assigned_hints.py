"""Hints that a person assigns to shots, and saturations of single shots: the same film however it is colored."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from batch.films import picture, samples_of, write_reel

from videocolor.batch.jobs import read_jobs
from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import settings_id
from videocolor.color import rgb_to_lab
from videocolor.colorize import colorize_video, recolor_film
from videocolor.config import ColorizeConfig
from videocolor.dryrun import plan_colorize
from videocolor.errors import ConfigError, HintError, OutputError, UsageError
from videocolor.hints.plan import frame_to_rgb
from videocolor.pipeline.reuse import SeenReferenceShots
from videocolor.shards.merge import merge_film
from videocolor.shards.planfile import read_plan
from videocolor.shards.types import FilmJob, Task
from videocolor.shards.work import plan_film, run_task
from videocolor.shots.prepare import prepare
from videocolor.video import open_video

Array = np.ndarray[Any, Any]
SHOTS = ((1, 18), (2, 14), (3, 60), (2, 12), (4, 10))
"""114 frames at 12 a second; shot 3 is longer than `max_shard`, shot 4 returns to shot 2."""
STARTS = [0, *accumulate(length for _, length in SHOTS)]
SETTINGS = ("output.codec=ffv1", "shots.shard=2", "shots.max_shard=4", "model.batch=1", "model.keyframe_interval=8")
PAINTED = STARTS[2] + 30
"""A frame in the middle of shot 3."""


def config(*settings: str) -> ColorizeConfig:
    return ColorizeConfig.load(None, [*SETTINGS, *settings])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """reel.mkv, shots.yaml, painted.png (frame 30 of shot 3) and loose.png (a picture of no shot)."""
    folder = tmp_path_factory.mktemp("assigned")
    write_reel(folder / "reel.mkv", SHOTS)
    for name, seed, frame in (("painted", 3, 30), ("loose", 9, 0)):
        rgb = np.moveaxis(picture(seed, frame), 0, -1)
        cv2.imwrite(str(folder / f"{name}.png"), np.rint(rgb[..., ::-1] * 255).astype(np.uint8))
    lines = [f"- {{frame: {start}}}" for start in STARTS[:-1]]
    (folder / "shots.yaml").write_text("\n".join([f"frames: {STARTS[-1]}", "shots:", *lines]) + "\n")
    return folder


def assigned(folder: Path, *, listed: bool = True) -> tuple[str, ...]:
    """The painted frame goes to its shot and to shot 1, the loose picture to shot 5; shots 2 and 3 have saturations."""
    hints = [
        {"image": str(folder / "painted.png"), "frame": PAINTED, "shots": [5]},
        {"image": str(folder / "loose.png"), "shots": [STARTS[4] + 3]},
    ]
    by_shot = [{"frame": STARTS[1] + 4, "saturation": 0.25}, {"frame": STARTS[2], "saturation": 1.5}]
    settings = (f"hints.assigned={json.dumps(hints)}", f"chroma.by_shot={json.dumps(by_shot)}")
    return (*settings, f"shots.file={folder / 'shots.yaml'}") if listed else settings


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    """Colored in one go."""
    colorize_video(folder / "reel.mkv", folder / "whole.mkv", config("output.resume=false", *assigned(folder)))
    return folder / "whole.mkv"


def parts(samples: list[tuple[Fraction, str]]) -> list[list[tuple[Fraction, str]]]:
    """Of each shot."""
    return [samples[a:b] for a, b in pairwise(STARTS)]


def ab_of(path: Path, index: int) -> Array:
    """(2, h, w) a*b* of a frame."""
    with open_video(path) as video:
        frame = next(frame for frame in video if frame.index == index)
        return rgb_to_lab(np.moveaxis(frame_to_rgb(frame), -1, 0))[1:]


def job(folder: Path, work: Path, *settings: str) -> FilmJob:
    return FilmJob("reel", folder / "reel.mkv", work / "out.mkv", config(*settings).as_dict(), work / "work")


def no_scan(*_: Any, **__: Any) -> Any:
    raise AssertionError("the film was scanned")


@pytest.mark.slow
def test_shots_are_known_from_the_list_without_a_survey(
    folder: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videocolor.pipeline.film.scan_film", no_scan)
    colorize_video(folder / "reel.mkv", tmp_path / "out.mkv", config(*assigned(folder)))
    assert samples_of(tmp_path / "out.mkv") == samples_of(whole)
    a, b = (json.loads(path.with_suffix(".mkv.json").read_text()) for path in (tmp_path / "out.mkv", whole))
    for record in (a, b):
        record["config"]["output"] = record["timing"] = None
        for shot in record["shots"]:
            shot["confidence"] = None  # a mean over windows
    assert a == b


@pytest.mark.slow
def test_shots_that_have_to_be_found_are_the_same(folder: Path, whole: Path, tmp_path: Path) -> None:
    settings = assigned(folder, listed=False)
    for resume in ("true", "false"):
        target = tmp_path / f"{resume}.mkv"
        colorize_video(folder / "reel.mkv", target, config(f"output.resume={resume}", *settings))
        assert samples_of(target) == samples_of(whole)


@pytest.mark.slow
def test_workers_in_any_order(folder: Path, whole: Path, tmp_path: Path) -> None:
    mine = job(folder, tmp_path, *assigned(folder))
    plan = plan_film(mine)
    assert read_plan(mine.folder / "plan.yaml") == plan
    assert [shot.saturation for shot in plan.shots] == [None, 0.25, 1.5, None, None]
    assert any(shard.opens_inside for shard in plan.shards), "the test needs a split shot"
    firsts = [shard.number for shard in plan.shards if not shard.opens_inside]
    runs = [list(range(a, b)) for a, b in pairwise([*firsts, len(plan.shards)])]
    random.Random(2).shuffle(runs)
    for number in (number for run in runs for number in run):
        run_task(Task(f"t{number}", mine.as_dict(), (number,)), lambda _: None)
    assert samples_of(merge_film(mine).target) == samples_of(whole)


@pytest.mark.slow
def test_the_plan_of_a_film_that_was_cut_as_it_went_by(folder: Path, tmp_path: Path) -> None:
    mine = job(folder, tmp_path, *assigned(folder))
    run_task(Task("all", mine.as_dict(), None), lambda _: None)
    made = read_plan(mine.folder / "plan.yaml")
    assert plan_film(replace(mine, folder=tmp_path / "beforehand")) == made
    assert made.shots[3].reuses == 1 and made.shots[0].hints == (str(folder / "painted.png"),)


@pytest.mark.slow
def test_only_what_changes_is_colored_again(folder: Path, tmp_path: Path) -> None:
    mine = job(folder, tmp_path, *assigned(folder))
    before = plan_film(mine)
    settings = list(assigned(folder))
    settings[1] = settings[1].replace("0.25", "0.5")
    after = plan_film(job(folder, tmp_path, *settings))
    changed = [a.key != b.key for a, b in zip(before.shards, after.shards, strict=True)]
    assert changed[1] and before.shards[1].first_shot == 1
    for number, shard in enumerate(before.shards):  # what goes on inside a shot hangs on the shard before it
        assert changed[number] == (number == 1 or (shard.opens_inside and changed[number - 1]))
    assert changed.count(False) >= 2
    settings = list(assigned(folder))
    settings[0] = settings[0].replace(f"[{STARTS[4] + 3}]", f"[{STARTS[3]}]")  # from shot 5 to shot 4
    after = plan_film(job(folder, tmp_path, *settings))
    known = {shard.key for shard in before.shards}  # shot 4 is followed now, shot 5 is not: shards end elsewhere there
    assert [shard.key not in known for shard in after.shards] == [shard.last_shot >= 3 for shard in after.shards]
    with pytest.raises(ConfigError, match="made for other settings"):
        run_task(Task("one", mine.as_dict(), (0,)), lambda _: None)


@pytest.mark.slow
def test_named_shots_are_colored_again(folder: Path, whole: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    settings = list(assigned(folder))
    settings[1] = 'chroma.by_shot=[{"frame": 0, "saturation": 2.0}]'
    colorize_video(folder / "reel.mkv", target, config(*settings))
    recolor_film(folder / "reel.mkv", target, config(*assigned(folder)), "1-3")
    assert samples_of(target) == samples_of(whole)
    record = json.loads(target.with_suffix(".mkv.json").read_text())
    assert [shot["saturation"] for shot in record["shots"]] == [1.0, 0.25, 1.5, 1.0, 1.0]


@pytest.mark.slow
def test_each_shot_gets_what_it_was_assigned_and_no_other(folder: Path, whole: Path, tmp_path: Path) -> None:
    record = json.loads(whole.with_suffix(".mkv.json").read_text())
    painted, loose = str(folder / "painted.png"), str(folder / "loose.png")
    assert [shot["hints"] for shot in record["shots"]] == [[painted], [], [painted], [], [loose]]
    assert [shot["saturation"] for shot in record["shots"]] == [1.0, 0.25, 1.5, 1.0, 1.0]
    assert [(hint["name"], hint["assigned"], hint["frame"], hint["reproduced"]) for hint in record["hints"]] == [
        (painted, True, PAINTED, True),
        (loose, True, None, False),
    ]
    plain = tmp_path / "plain.mkv"
    colorize_video(folder / "reel.mkv", plain, config(assigned(folder)[0], assigned(folder)[2]))
    same = [a == b for a, b in zip(parts(samples_of(plain)), parts(samples_of(whole)), strict=True)]
    assert same == [True, False, False, True, True], "a shot that returns lends colors, not their strength"
    weak, strong = (np.hypot(*ab_of(path, STARTS[1] + 4)).mean() for path in (whole, plain))
    assert weak < 0.35 * strong


@pytest.mark.slow
def test_a_painted_frame_comes_back(folder: Path, tmp_path: Path) -> None:
    hints = [{"image": str(folder / "painted.png"), "frame": PAINTED}]
    settings = (f"hints.assigned={json.dumps(hints)}", f"shots.file={folder / 'shots.yaml'}", "output.pix_fmt=yuv444p")
    colorize_video(folder / "reel.mkv", tmp_path / "out.mkv", config(*settings))
    truth = rgb_to_lab(picture(3, 30))[1:]
    assert np.abs(ab_of(tmp_path / "out.mkv", PAINTED) - truth).mean() < 1.0
    assert np.abs(ab_of(tmp_path / "out.mkv", STARTS[1] + 4) - truth).mean() > 3.0


@pytest.mark.slow
def test_dealt_hints_stand_beside_assigned_ones(folder: Path, tmp_path: Path) -> None:
    items = json.dumps([f"{float(Fraction(PAINTED, 12)):.6f}={folder / 'painted.png'}"])
    hints = json.dumps([{"image": str(folder / "painted.png"), "shots": [0]}])
    settings = (f"hints.items={items}", f"hints.assigned={hints}")
    mine = job(folder, tmp_path, *settings)
    plan = plan_film(mine)
    told = [sorted(number for number, _ in note["shots"].items()) for note in plan.hints]
    assert told == [[0], [2]]
    for shard in plan.shards:
        run_task(Task(f"t{shard.number}", mine.as_dict(), (shard.number,)), lambda _: None)
    colorize_video(folder / "reel.mkv", tmp_path / "whole.mkv", config("output.resume=false", *settings))
    assert samples_of(merge_film(mine).target) == samples_of(tmp_path / "whole.mkv")


@pytest.mark.slow
def test_a_hint_that_fits_nowhere_does_not_make_its_plan_stale(folder: Path, tmp_path: Path) -> None:
    mine = job(folder, tmp_path, f"hints.items={json.dumps([str(folder / 'loose.png')])}", "hints.min_similarity=1.0")
    assert plan_film(mine).hints[0]["shots"] == {}
    run_task(Task("one", mine.as_dict(), (0,)), lambda _: None)


def test_six_hints_a_shot(folder: Path, tmp_path: Path) -> None:
    hints = json.dumps([{"image": str(folder / "painted.png"), "shots": [0]}] * 7)
    plan = plan_film(job(folder, tmp_path, f"hints.assigned={hints}"))
    assert len(plan.shots[0].hints) == 6


def test_shots_that_return_are_found_on_a_surveys_pictures(folder: Path) -> None:
    """However large the network sees the film: a plan that is made later must find the same."""
    with open_video(folder / "reel.mkv") as video:
        frames = {frame.index: frame for frame in video}
    ends = [(start, end - 1) for start, end in pairwise(STARTS)]
    for size in ((2, 2), (128, 192)):  # too small to tell one shot from another, and larger than a scan's
        lenders = SeenReferenceShots((64, 96))
        found = []
        for number, (a, z) in enumerate(ends):
            first, last = (next(prepare([frames[index]], size)) for index in (a, z))
            found.append(lenders.reference(number, first))
            lenders.leave(number, first, last, found[-1])
        assert found == [None, None, None, 1, None]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (['hints.assigned=[{"image": "a.png"}]'], "goes nowhere"),
        (['hints.assigned=[{"image": "3=a.png", "frame": 1}]'], "holds a film time"),
        (['hints.assigned=[{"image": "3,5=a.png", "frame": 1}]'], "not a time"),
        (['hints.assigned=[{"image": "a.png", "frame": -1}]'], r"hints\.assigned\.0\.frame"),
        (['hints.assigned=[{"image": "a.png", "frames": 1}]'], r"unknown key hints\.assigned\.0\.frames.*frame"),
        (['chroma.by_shot=[{"frame": 1, "saturation": 4.5}]'], r"chroma\.by_shot\.0\.saturation = 4\.5"),
        (["chroma.by_shot=[{frame: 1}]"], r"chroma\.by_shot\.0\.saturation"),
    ],
)
def test_settings_that_cannot_be(settings: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(*settings)


@pytest.mark.parametrize("listed", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('chroma.by_shot=[{"frame": 114, "saturation": 1.0}]', "frame 114 lies beyond the film, which has 114 frames"),
        (
            'chroma.by_shot=[{"frame": 20, "saturation": 1.0}, {"frame": 25, "saturation": 1.0}]',
            "frames 20 and 25 lie in one shot, number 2",
        ),
        ('hints.assigned=[{"image": "PAINTED", "frame": 500}]', "painted.png: frame 500 lies beyond"),
        ('hints.assigned=[{"image": "PAINTED", "shots": [500]}]', "painted.png: frame 500 lies beyond"),
    ],
)
def test_frames_that_the_film_does_not_have(
    setting: str, message: str, listed: bool, folder: Path, tmp_path: Path
) -> None:
    settings = [setting.replace("PAINTED", str(folder / "painted.png"))]
    settings += [f"shots.file={folder / 'shots.yaml'}"] if listed else []
    with pytest.raises(UsageError, match=message):
        colorize_video(folder / "reel.mkv", tmp_path / "out.mkv", config(*settings))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_used_is_said(folder: Path, tmp_path: Path) -> None:
    reel, target = folder / "reel.mkv", tmp_path / "out.mkv"
    with pytest.raises(HintError, match=r"none\.png: no such hint file"):
        colorize_video(reel, target, config('hints.assigned=[{"image": "none.png", "frame": 1}]'))
    with pytest.raises(UsageError, match="do not go together with --start"):
        colorize_video(reel, target, config("input.start=1", 'chroma.by_shot=[{"frame": 1, "saturation": 1.0}]'))
    with pytest.raises(UsageError, match="takes no hints, 2 given"):
        colorize_video(reel, target, config("model.name=constant", *assigned(folder)))
    hint = tmp_path / "hint.mkv"
    hint.write_bytes((folder / "painted.png").read_bytes())
    entry = json.dumps([{"image": str(hint), "frame": 1}])
    with pytest.raises(OutputError, match=r"hint\.mkv"):
        colorize_video(reel, hint, config(f"hints.assigned={entry}", "output.overwrite=true"))


def test_a_dry_run_knows_them(folder: Path, tmp_path: Path) -> None:
    plan = plan_colorize(folder / "reel.mkv", tmp_path / "out.mkv", config(*assigned(folder)))
    names = [[Path(name).name for name in shot["hints"]] for shot in plan.as_dict()["shots"]]
    assert names == [["painted.png"], [], ["painted.png"], [], ["loose.png"]]


def test_a_batch_knows_their_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jobs").mkdir()
    for name in ("one.png", "jobs/two.png"):
        (tmp_path / name).write_bytes((folder / "painted.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    one = read_jobs(folder / "reel.mkv", tmp_path / "o", BatchConfig(), ["hints.assigned=[{image: one.png, frame: 1}]"])
    assert one.jobs[0].config["hints"]["assigned"][0]["image"] == str(tmp_path / "one.png")
    row = {"film": str(folder / "reel.mkv"), "set": {"hints": {"assigned": [{"image": "two.png", "frame": 1}]}}}
    (tmp_path / "jobs" / "list.yaml").write_text(json.dumps({"films": [row]}))
    two = read_jobs(tmp_path / "jobs" / "list.yaml", tmp_path / "o", BatchConfig())
    assert two.jobs[0].config["hints"]["assigned"][0]["image"] == str(tmp_path / "jobs" / "two.png")
    before = settings_id(one.jobs[0])
    (tmp_path / "one.png").write_bytes((folder / "loose.png").read_bytes())
    assert settings_id(one.jobs[0]) != before
