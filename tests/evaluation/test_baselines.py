"""Baselines: what every method promises, and a scene for each in which it must win."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scenes import Array, colored_noise, error_db, pan, smooth_noise, still, task_of, two_tone

from pipelines.learn_lightness import mean_ab_by_luma
from videocolor.color import rgb_to_lab, rgb_to_luma
from videocolor.errors import InputError, UsageError
from videocolor.evaluation.baselines import BASELINES, MEAN_AB
from videocolor.evaluation.methods import MethodSpec, Results, build_method, parse_methods
from videocolor.evaluation.settings import NetworkSettings
from videocolor.evaluation.tasks import GivenHint, Task, luma_codes, picture, write_png

ALL = [*BASELINES, "network", "videocolor@constant", "videocolor"]


def colored(name: str, task: Task) -> Array:
    (spec,) = parse_methods([name])
    return np.stack(list(build_method(spec, NetworkSettings()).color(task)))


def scores(truth: Array, task: Task, names: list[str]) -> dict[str, float]:
    """PSNR of the frames that were no hints."""
    given = {hint.frame for hint in task.hints}
    rest = [index for index in range(len(truth)) if index not in given]
    return {name: error_db(truth[rest], colored(name, task)[rest]) for name in names}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n == "videocolor" else ()) for n in ALL])
def test_contract(name: str) -> None:
    truth = pan(4)
    mask = np.zeros(truth.shape[1:3], bool)
    mask[10:20, 30:50] = True
    small = truth[0][::2, ::2]
    for hints in ((), (GivenHint(truth[2], 2),), (GivenHint(small),), (GivenHint(truth[0], 0, mask),)):
        task = task_of(truth, (), hints=hints)
        made = colored(name, task)
        assert made.shape == truth.shape and made.dtype == np.uint8
        lumas = np.stack([luma_codes(frame, "bt601") for frame in made])
        assert np.abs(lumas.astype(int) - task.luma).max() <= 1, hints
    np.testing.assert_array_equal(colored(name, task), made)


@pytest.mark.parametrize("name", [name for name, kind in BASELINES.items() if kind.needs_hint])
def test_color_never_crosses_a_cut(name: str) -> None:
    truth = np.concatenate([two_tone(3), pan(3)])
    made = colored(name, task_of(truth, (0,), shots=(0, 3)))
    assert np.ptp(made[:3].astype(int), axis=3).max() > 20
    assert np.ptp(made[3:].astype(int), axis=3).max() <= 1, "the second shot has no hint"


def test_copy_wins_on_a_still() -> None:
    truth = still()
    found = scores(truth, task_of(truth), list(BASELINES))
    assert found["copy"] == max(found.values()) and found["copy"] > 45
    assert found["copy"] > found["table"] + 10


def test_copy_takes_the_nearest_hint() -> None:
    truth = np.concatenate([np.stack([colored_noise(seed, 32, 32)] * 5) for seed in (1, 9)])
    task = replace(task_of(truth, (0, 9)), luma=np.full((10, 32, 32), 128, np.uint8))
    made = colored("copy", task)
    assert (made[:5] == made[0]).all() and (made[5:] == made[9]).all() and (made[0] != made[9]).any()


def test_flow_wins_on_a_pan() -> None:
    truth = pan()
    found = scores(truth, task_of(truth), list(BASELINES))
    assert found["flow"] == max(found.values())
    assert found["flow"] > found["copy"] + 3


def test_flow_goes_back_from_a_late_hint() -> None:
    truth = pan()
    late = scores(truth, task_of(truth, (7,)), ["flow", "copy"])
    assert late["flow"] > late["copy"] + 3


def test_table_wins_on_a_two_tone_scene() -> None:
    truth = two_tone()
    found = scores(truth, task_of(truth), list(BASELINES))
    assert found["table"] == max(found.values()) and found["table"] > 40


def test_reinhard_wins_where_exposure_changes() -> None:
    """Color goes with the place of a luma among the frame's own, not with the luma itself."""
    frames = []
    for index, (level, spread) in enumerate(((130, 30), (90, 15), (170, 20), (110, 22))):
        z = np.clip((smooth_noise(80 + index, 64, 96, 6) - 0.5) * 4, -2, 2)
        hint = np.stack([130 + 45 * z, 130 + 28 * z, 130 + 5 * z], axis=-1)
        ab = rgb_to_lab(np.moveaxis(hint.astype(np.float32) / 255, -1, 0))[1:]
        y = rgb_to_luma(np.moveaxis(hint, -1, 0), "bt601")
        luma = (y - y.mean()) / y.std() * spread + level
        frames.append(picture(np.clip(np.rint(luma), 0, 255).astype(np.uint8), ab.astype(np.float32), "bt601"))
    truth = np.stack(frames)
    names = [name for name in BASELINES if name != "welsh"]  # it adapts to statistics too
    found = scores(truth, task_of(truth), names)
    assert found["reinhard"] == max(found.values())
    assert found["reinhard"] > found["table"] + 1


def test_welsh_wins_where_texture_tells_color() -> None:
    """Smooth is blue, rough is orange, both of one mean luma; the regions change place."""
    frames = []
    for index in range(4):
        region = smooth_noise(90 + index, 96, 128, 40) > 0.5
        grain = np.random.default_rng(index).normal(0, 25, (96, 128))
        ramp = 90 + 76 * smooth_noise(60 + index, 96, 128, 48)
        luma = np.clip(np.rint(ramp + np.where(region, grain, 0)), 40, 220).astype(np.uint8)
        ab = np.where(region, np.float32([[[20]], [[40]]]), np.float32([[[5]], [[-30]]]))
        frames.append(picture(luma, ab.astype(np.float32), "bt601"))
    truth = np.stack(frames)
    found = scores(truth, task_of(truth), list(BASELINES))
    assert found["welsh"] == max(found.values())
    assert found["welsh"] > found["table"] + 1


def test_gray_wins_on_black_and_white_film() -> None:
    truth = np.repeat(np.stack([luma_codes(rgb, "bt601") for rgb in pan()])[..., None], 3, axis=3)
    found = scores(truth, task_of(truth, (), hints=(GivenHint(colored_noise(30, 64, 96)),)), list(BASELINES))
    assert found["gray"] == max(found.values()) == float("inf")


def test_lightness_wins_where_colors_are_the_usual_ones() -> None:
    levels = np.tile(np.arange(256, dtype=np.uint8), (32, 1))
    known = np.asarray(MEAN_AB)
    ab = np.stack([np.repeat(column, 256 // len(known)) for column in known.T]).astype(np.float32)
    truth = picture(levels, np.broadcast_to(ab[:, None], (2, 32, 256)).copy(), "bt601")[None]
    found = scores(truth, task_of(truth, ()), ["gray", "lightness"])
    assert found["lightness"] > found["gray"] + 6


def test_the_table_of_lightness_is_a_mean() -> None:
    dark, light = np.full((4, 4, 3), (40, 30, 20), np.uint8), np.full((8, 8, 3), (200, 210, 220), np.uint8)
    other = np.full((4, 4, 3), (20, 30, 40), np.uint8)
    table = mean_ab_by_luma([dark, other, light], 4)
    expected = [rgb_to_lab(p[0, 0].astype(np.float32) / 255)[1:] for p in (dark, other, light)]
    np.testing.assert_allclose(table[0], (expected[0] + expected[1]) / 2, atol=1e-4)
    np.testing.assert_allclose(table[3], expected[2], atol=1e-4)
    np.testing.assert_allclose(table[1], table[0] * 2 / 3 + table[3] / 3, atol=1e-4, err_msg="a gap is filled")
    with pytest.raises(ValueError, match="no picture"):
        mean_ab_by_luma([])


def test_the_network_beats_gray_with_a_hint() -> None:
    truth = pan(4)
    found = scores(truth, task_of(truth), ["gray", "network", "videocolor"])
    assert min(found["network"], found["videocolor"]) > found["gray"] + 3


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["nonsense"], "no such method"),
        (["grey"], "did you mean gray"),
        (["gray", "gray"], "gray is taken"),
        (["truth=gray"], "truth is taken"),
        (["gray@hint"], "takes no weights"),
        (["network:quality"], "takes no preset"),
        (["network@"], "nothing after @"),
        (["=gray"], "LABEL=DIR"),
        ([], "no method"),
        (["videocolor:nonsense"], "neither a preset nor a file"),
    ],
)
def test_methods_that_do_not_exist(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_methods(texts)


def test_files_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a folder nor a method"):
        parse_methods([f"mine={tmp_path}/none"])
    with pytest.raises(InputError, match=r"none\.safetensors: no such weights file"):
        parse_methods(["network@none.safetensors"])


def test_results_with_a_gap_are_refused(tmp_path: Path) -> None:
    truth = pan(4)
    (tmp_path / "pan").mkdir()
    for number in (1, 2, 4, 5):
        write_png(tmp_path / "pan" / f"{number:03d}.png", truth[0])
    with pytest.raises(InputError, match=r"1 numbers are missing before 004\.png"):
        list(Results("peer", tmp_path).color(replace(task_of(truth), name="pan")))


def test_forms_of_methods(tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    weights.touch()
    assert parse_methods(["a=network@hint", "videocolor:quality", f"network@{weights}", f"peer={tmp_path}"]) == [
        MethodSpec("a", "network", weights="hint"),
        MethodSpec("videocolor:quality", "videocolor", preset="quality"),
        MethodSpec("network@mine", "network", weights=str(weights)),
        MethodSpec("peer", "results", folder=tmp_path),
    ]


def test_settings_of_a_preset_reach_the_film_path() -> None:
    (spec,) = parse_methods(["videocolor:quality"])
    config = build_method(spec, NetworkSettings()).identity()["config"]
    assert config["model"]["keyframe_interval"] == 8
    assert config["output"]["codec"] == "ffv1"
    assert config["output"]["crf"] is None, "another encoder's"
    assert config["output"]["pix_fmt"] == "yuv444p10le"
    (spec,) = parse_methods(["videocolor:access"])
    assert build_method(spec, NetworkSettings()).identity()["config"]["output"]["pix_fmt"] == "yuv420p", "as it says"
    (spec,) = parse_methods(["videocolor:preview"])
    assert build_method(spec, NetworkSettings()).identity()["config"]["input"]["end"] is None
