"""Protocols: which hints are dealt, which frames are left out, where clips are cut."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scenes import Array, colored_noise, pan, still, write_truth

from videocolor.errors import ConfigError, InputError, UsageError
from videocolor.evaluation.clips import list_clips, read_frames, read_part
from videocolor.evaluation.protocols import Case, cases_of, plan_units, point_mask
from videocolor.evaluation.settings import PROTOCOLS, ClipSettings, EvaluateConfig
from videocolor.presets import load_model


def settings(protocol: str, *overrides: str, **flags: Any) -> EvaluateConfig:
    return load_model(EvaluateConfig, "evaluate", None, overrides, {"protocol.name": protocol, **flags})


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Three clips of ten frames a second: 12, 8 and 30 frames."""
    folder = tmp_path / "clips"
    folder.mkdir()
    write_truth(folder / "a.mkv", pan(12, 2))
    write_truth(folder / "b.mkv", still(8))
    write_truth(folder / "c.mkv", np.stack([colored_noise(40, 64, 96)] * 30))
    return folder


def dealt(folder: Path, config: EvaluateConfig, tmp_path: Path) -> dict[tuple[str, str], Case]:
    """Every case by unit and name; working copies are kept."""
    cases = {}
    for unit in plan_units(list_clips(folder, config.clips), folder, config):
        work = tmp_path / f"work_{unit.name}"
        work.mkdir()
        cases.update({(unit.name, case.name): case for case in cases_of(unit, config, work)})
    return cases


def frames_of(path: Path) -> Array:
    return np.stack(list(read_frames(path)))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_task_holds_no_color_but_the_hints(name: str, clips: Path, tmp_path: Path) -> None:
    pairs = [{"clip": "a.mkv", "hint": "b.mkv"}]
    cases = dealt(clips, settings(name, **{"protocol.pairs": pairs, "protocol.shot_seconds": 0.5}), tmp_path)
    assert cases
    for (unit, _), case in cases.items():
        task = case.task()
        assert task.luma.ndim == 3 and task.luma.dtype == np.uint8
        assert task.name == unit and task.case == case.name
        timed = {hint.frame for hint in task.hints if hint.frame is not None}
        for index in timed & case.references:
            (hint,) = (hint for hint in task.hints if hint.frame == index)
            painted = np.ones(hint.rgb.shape[:2], bool) if hint.mask is None else hint.mask
            np.testing.assert_array_equal(hint.rgb[painted], case.clip.truth[index][painted])


def test_auto_and_e1(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    auto = dealt(clips, settings("auto"), tmp_path / "x")
    assert all(not case.hints and not case.references for case in auto.values())
    e1 = dealt(clips, settings("e1"), tmp_path)
    assert [unit for unit, _ in e1] == ["a", "b", "c"]
    for case in e1.values():
        assert [hint.frame for hint in case.hints] == [0] and case.references == {0}
    assert [len(case.clip.truth) for case in e1.values()] == [12, 8, 30], "at most three seconds"
    np.testing.assert_array_equal(e1["a", ""].clip.truth, frames_of(clips / "a.mkv"))


def test_clips_are_cut_to_seconds_and_size(clips: Path, tmp_path: Path) -> None:
    cases = dealt(clips, settings("e1", "clips.seconds=0.5", "clips.short_side=32"), tmp_path)
    for case in cases.values():
        assert case.clip.truth.shape == (5, 32, 48, 3)
        assert case.clip.about["frames"] == 5 and case.clip.about["size"] == [48, 32]


def test_a_clip_without_color_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, rgb in (("gray", still(2)[..., :1].repeat(3, axis=3)), ("color", still(2))):
        write_truth(tmp_path / f"{name}.mkv", rgb)
    for clip in list_clips(tmp_path, ClipSettings()):
        read_part(clip, ClipSettings(), tmp_path)
    assert [record.args for record in caplog.records] == [("gray.mkv",)]


def test_the_hint_of_e1_far_is_not_among_the_scored(clips: Path, tmp_path: Path) -> None:
    cases = dealt(clips, settings("e1-far", "clips.seconds=1"), tmp_path)
    a, c = cases["a", ""], cases["c", ""]
    assert len(a.clip.truth) == 6, "half of a shot that is shorter than twice the part"
    assert len(c.clip.truth) == 10
    (hint,) = a.hints
    assert hint.frame is None and not a.references
    np.testing.assert_array_equal(hint.rgb, frames_of(clips / "a.mkv")[11])
    assert a.clip.about["hint_frame"] == 11


def test_ek_has_a_hint_every_so_often(clips: Path, tmp_path: Path) -> None:
    cases = dealt(clips, settings("ek", "protocol.every=10"), tmp_path)
    assert [hint.frame for hint in cases["c", ""].hints] == [0, 10, 20]
    assert cases["c", ""].references == {0, 10, 20}


def test_cuts_joins_clips(clips: Path, tmp_path: Path) -> None:
    write_truth(clips / "d.mkv", np.stack([colored_noise(3, 120, 60)] * 12))
    config = settings("cuts", "protocol.film_shots=2", "protocol.shot_seconds=0.5")
    cases = dealt(clips, config, tmp_path)
    assert [unit for unit, _ in cases] == ["film01", "film02"]
    film = cases["film02", ""]
    assert film.clip.shots == (0, 5) and film.references == {0, 5}
    assert film.clip.truth.shape == (10, 64, 96, 3), "cropped to the first clip's size"
    np.testing.assert_array_equal(film.clip.truth[:5], frames_of(clips / "c.mkv")[:5])
    with pytest.raises(UsageError, match="joins 5 clips"):
        dealt(clips, settings("cuts", "protocol.film_shots=5"), tmp_path / "y")


def test_robust_takes_the_clip_before(clips: Path, tmp_path: Path) -> None:
    cases = dealt(clips, settings("robust"), tmp_path)
    assert list(cases)[:2] == [("a", "wrong hint"), ("a", "auto")]
    (hint,) = cases["a", "wrong hint"].hints
    np.testing.assert_array_equal(hint.rgb, frames_of(clips / "c.mkv")[0])
    assert hint.frame == 0 and not cases["a", "wrong hint"].references, "a wrong hint is no reference"
    loose = settings("robust", "protocol.timed=false")
    (tmp_path / "two").mkdir()
    (hint,) = dealt(clips, settings("robust", "protocol.places=2"), tmp_path / "two")["a", "wrong hint"].hints
    np.testing.assert_array_equal(hint.rgb, frames_of(clips / "b.mkv")[0])
    with pytest.raises(UsageError, match=r"protocol\.places"):
        dealt(clips, settings("robust", "protocol.places=3"), tmp_path)
    (tmp_path / "z").mkdir()
    assert dealt(clips, loose, tmp_path / "z")["b", "wrong hint"].hints[0].frame is None


def test_similar_takes_the_listed_hint(clips: Path, tmp_path: Path) -> None:
    picture = colored_noise(77, 40, 50)
    cv2.imwrite(str(tmp_path / "p.png"), picture[..., ::-1])
    with tarfile.open(tmp_path / "pictures.tar", "w") as archive:
        archive.add(tmp_path / "p.png", "./p.png")
    pairs = [
        {"clip": "b.mkv", "hint": "a.mkv", "at": 0.5},
        {"clip": "a.mkv", "hint": "../pictures.tar/p.png"},
    ]
    cases = dealt(clips, settings("similar", **{"protocol.pairs": pairs}), tmp_path)
    assert [unit for unit, name in cases if name == "similar hint"] == ["b+a", "a+p"]
    np.testing.assert_array_equal(cases["b+a", "similar hint"].hints[0].rgb, frames_of(clips / "a.mkv")[5])
    np.testing.assert_array_equal(cases["a+p", "similar hint"].hints[0].rgb, picture)
    for change, error in (({"clip": "none.mkv"}, UsageError), ({"hint": "none.png"}, InputError)):
        with pytest.raises(error, match="none"):
            dealt(clips, settings("similar", **{"protocol.pairs": [{**pairs[0], **change}]}), tmp_path)
    with pytest.raises(UsageError, match="evaluate/similar"):
        dealt(clips, settings("similar"), tmp_path)


def test_points_are_drawn_by_seed(clips: Path, tmp_path: Path) -> None:
    cases = dealt(clips, settings("points", "protocol.counts=[1, 5]"), tmp_path)
    assert list(cases)[:2] == [("a", "1 point"), ("a", "5 points")]
    one, five = (cases["a", name].hints[0] for name in ("1 point", "5 points"))
    assert one.mask is not None and five.mask is not None
    assert (five.mask & one.mask).sum() == one.mask.sum() < five.mask.sum(), "five include the one"
    truth = cases["a", "1 point"].clip.truth[0]
    np.testing.assert_array_equal(one.rgb[one.mask], truth[one.mask])
    assert np.ptp(one.rgb[~one.mask], axis=1).max() == 0, "the rest is gray"
    assert (point_mask((64, 96), 5, 7, 1) != point_mask((64, 96), 5, 7, 2)).any()
    assert point_mask((480, 480), 1, 7, 3).sum() <= 14**2


def test_the_longest_shot_is_scored(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    dark = np.clip(colored_noise(9, 64, 96) // 3, 0, 255).astype(np.uint8)
    write_truth(folder / "cut.mkv", np.concatenate([np.stack([dark] * 10), pan(20, 1)]))
    (case,) = dealt(folder, settings("e1"), tmp_path).values()
    assert case.clip.about["cuts"] == [10] and case.clip.about["first_frame"] == 10
    assert len(case.clip.truth) == 20
    (tmp_path / "whole").mkdir()
    (case,) = dealt(folder, settings("e1", "clips.detector=none"), tmp_path / "whole").values()
    assert len(case.clip.truth) == 30


def test_lists_of_clips(clips: Path, tmp_path: Path) -> None:
    import hashlib

    sha = hashlib.sha256((clips / "c.mkv").read_bytes()).hexdigest()
    listed = tmp_path / "list.yaml"
    listed.write_text(f"clips:\n- file: c.mkv\n  sha256: {sha}\n- file: a.mkv\n")
    found = list_clips(clips, settings("e1", **{"clips.listed": str(listed)}).clips)
    assert [clip.name for clip in found] == ["c", "a"]
    assert [clip.name for clip in list_clips(clips, settings("e1", "clips.most=2").clips)] == ["a", "b"]
    listed.write_text("clips:\n- file: a.mkv\n  sha256: " + "0" * 64)
    with pytest.raises(InputError, match="another file"):
        list_clips(clips, settings("e1", **{"clips.listed": str(listed)}).clips)
    listed.write_text("clips: [{file: none.mkv}]")
    with pytest.raises(InputError, match="missing"):
        list_clips(clips, settings("e1", **{"clips.listed": str(listed)}).clips)
    listed.write_text("films: []")
    with pytest.raises(ConfigError, match="clips"):
        list_clips(clips, settings("e1", **{"clips.listed": str(listed)}).clips)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no video"):
        list_clips(tmp_path / "empty", settings("e1").clips)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_has_a_preset(name: str) -> None:
    config = load_model(EvaluateConfig, "evaluate", f"evaluate/{name}")
    assert config.protocol.name == name


def test_similar_pairs_are_held_back_footage(root: Path) -> None:
    """At least six; clips and their hints are of the held-back list, and never the same."""
    held = load_model(EvaluateConfig, "evaluate", "evaluate/similar").protocol.pairs
    clips = {row["file"] for row in _held_back(root)}
    assert len(held) >= 6
    for pair in held:
        assert pair.clip in clips
        assert pair.hint != pair.clip
        assert pair.hint in clips or pair.hint.startswith("../images/")


def _held_back(root: Path) -> list[dict[str, str]]:
    import yaml

    rows = yaml.safe_load((root / "configs/evaluate/held_back.yaml").read_text())["clips"]
    assert isinstance(rows, list)
    return rows
