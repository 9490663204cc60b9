"""Hints: read from pictures, dealt to shots, recognised as their own frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from videocolor.config import ColorizeConfig
from videocolor.errors import HintError
from videocolor.hints import collect_hints, deal_hints, hint_fits_frame, hint_input, hint_time_in_name, load_hint
from videocolor.survey import ShotView, Survey, thumbnail
from videocolor.types import Array, Hint, Shot


def scene(seed: int, height: int = 120, width: int = 200) -> Array:
    """(h, w, 3) float32 R'G'B': smooth coloured blobs, unlike those of another seed."""
    rng = np.random.default_rng(seed)
    small = rng.random((6, 9, 3)).astype(np.float32)
    return np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def gray_of(rgb: Array) -> Array:
    return np.rint(hint_input(Hint("", rgb), rgb.shape[:2]).luma * 255).astype(np.uint8)


def save(path: Path, rgb: Array, depth: int = 8) -> Path:
    top = 255 if depth == 8 else 65535
    done, data = cv2.imencode(path.suffix, np.rint(rgb[..., ::-1] * top).astype(np.uint8 if depth == 8 else np.uint16))
    assert done
    path.write_bytes(data.tobytes())
    return path


def survey(*seeds: int) -> Survey:
    """A film of one shot of ten frames for each seed, 10 frames a second."""
    views = tuple(
        ShotView(
            Shot(n, 10 * n, 10 * n + 10, 10 * n, 10 * n + 10, Fraction(1, 10)),
            ((10 * n, thumbnail(gray_of(scene(seed)))),),
        )
        for n, seed in enumerate(seeds)
    )
    nearest = {Fraction(i, 10): i for i in range(10 * len(seeds))}
    return Survey(None, views, 10 * len(seeds), nearest)  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [8, 16])
def test_a_picture_becomes_a_hint(tmp_path: Path, depth: int) -> None:
    path = save(tmp_path / "Müller hint.png", scene(1), depth)
    hint = load_hint(Fraction(7, 2), path)
    assert hint.time == Fraction(7, 2)
    np.testing.assert_allclose(hint.rgb, scene(1), atol=1 / 255)


def test_transparency_is_the_mask(tmp_path: Path) -> None:
    rgba = np.dstack([scene(2)[..., ::-1], np.zeros((120, 200), np.float32)])
    rgba[:, :50, 3] = 1
    (tmp_path / "part.png").write_bytes(cv2.imencode(".png", np.rint(rgba * 255).astype(np.uint8))[1].tobytes())
    hint = load_hint(None, tmp_path / "part.png")
    assert hint.mask is not None
    assert hint.mask[:, :50].min() == 1
    assert hint.mask[:, 50:].max() == 0
    assert hint_fits_frame(hint, gray_of(scene(2))) < 0, "a partly painted frame must not be copied whole"


def test_errors_name_the_file_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(HintError, match="no such hint file"):
        load_hint(None, tmp_path / "none.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(HintError, match=r"text\.png.*FILM@TIME"):
        load_hint(None, tmp_path / "text.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(HintError, match=r"empty\.png"):
        load_hint(None, tmp_path / "empty.png")
    gray = save(tmp_path / "gray.png", np.repeat(scene(1)[..., :1], 3, axis=2))
    with pytest.raises(HintError, match="has no colour"):
        load_hint(None, gray)


def test_folder_reads_times_and_reports_what_is_unpainted(tmp_path: Path) -> None:
    save(tmp_path / "shot0001_t00001.500s.png", scene(1))
    save(tmp_path / "shot0002_t00003.000s.png", np.repeat(scene(2)[..., :1], 3, axis=2))
    config = ColorizeConfig.load(None, [f"hints.folder={tmp_path}"])
    hints, warnings = collect_hints(config)
    assert [hint.time for hint in hints] == [Fraction(3, 2)]
    assert len(warnings) == 1
    assert "still gray" in warnings[0]


def test_times_in_names() -> None:
    assert hint_time_in_name("shot0003_t00012.345s.png") == Fraction(12345, 1000)
    assert hint_time_in_name("holiday.png") is None


def test_a_timed_hint_belongs_to_its_shot_even_if_unlike() -> None:
    plan = deal_hints([Hint("a", scene(9), Fraction(15, 10))], survey(1, 2, 3), 0.5)
    assert set(plan.hints[0].shots) == {1}
    assert plan.hints[0].frame == 15
    assert plan.at_frame(1, 15) is not None
    assert plan.at_frame(1, 14) is None


def test_a_timed_hint_reaches_other_shots_only_if_they_look_alike() -> None:
    plan = deal_hints([Hint("a", scene(1), Fraction(0))], survey(1, 2, 1), 0.5)
    assert set(plan.hints[0].shots) == {0, 2}


def test_loose_hints_go_where_they_fit_in_any_order() -> None:
    plan = deal_hints([Hint("b", scene(2)), Hint("a", scene(1))], survey(1, 2, 3), 0.5)
    assert [p.hint.name for p in plan.for_shot(0)] == ["a"]
    assert [p.hint.name for p in plan.for_shot(1)] == ["b"]
    assert plan.for_shot(2) == []
    assert not plan.warnings


def test_a_hint_that_fits_no_shot_is_reported() -> None:
    plan = deal_hints([Hint("stray.png", scene(9))], survey(1, 2), 0.5)
    assert plan.hints == ()
    assert "stray.png" in plan.warnings[0]
    assert "fits no shot" in plan.warnings[0]


def test_a_time_behind_the_end_is_reported() -> None:
    plan = deal_hints([Hint("late.png", scene(1), Fraction(99))], survey(1), 0.5)
    assert plan.hints == ()
    assert "behind the film's end" in plan.warnings[0]


def test_its_own_frame_is_recognised() -> None:
    assert hint_fits_frame(Hint("a", scene(1)), gray_of(scene(1))) > 0.99
    assert hint_fits_frame(Hint("a", scene(1)), gray_of(scene(2))) < 0.5
