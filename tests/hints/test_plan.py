"""Hints: read from pictures, dealt to shots, recognized as their own frame."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from media import make_film

from videocolor import color
from videocolor.config import ColorizeConfig
from videocolor.errors import HintError, InputError
from videocolor.hints.plan import (
    MOST_PER_SHOT,
    collect_hints,
    hint_ab,
    hint_fits_frame,
    hint_input,
    hint_time_in_name,
    load_hint,
    match_hints,
)
from videocolor.motion.similarity import thumbnail
from videocolor.shots.scan import ScanResult, ShotView
from videocolor.types import Array, Hint, Mark, Shot


def scene(seed: int, height: int = 120, width: int = 200) -> Array:
    """(h, w, 3) float32 R'G'B': smooth colored blobs, unlike those of another seed."""
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


def scan(*seeds: int, before: int = 0, behind: int = 0) -> ScanResult:
    """A film of one shot of ten frames for each seed, 10 frames a second, perhaps with more of it around."""
    views = tuple(
        ShotView(
            Shot(n, 10 * n, 10 * n + 10, before + 10 * n, before + 10 * n + 10, Fraction(1, 10)),
            ((10 * n, thumbnail(gray_of(scene(seed)))),),
            before + 10 * n + 9,
            thumbnail(gray_of(scene(seed))),
        )
        for n, seed in enumerate(seeds)
    )
    count = 10 * len(seeds)
    info: Any = SimpleNamespace(
        start_pts=min(before, 0),
        time_base=Fraction(1, 10),
        duration=Fraction(max(before, 0) + count + behind, 10),
        rate=Fraction(10),
    )
    nearest = {Fraction(i, 10): min(max(i - before, 0), count - 1) for i in range(-5, before + count + behind + 5)}
    return ScanResult(info, views, count, nearest)


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
    with pytest.raises(HintError, match="has no color"):
        load_hint(None, gray)
    with pytest.raises(InputError, match="the name is not UTF-8"):
        load_hint(None, tmp_path / "caf\udce9.png")  # Latin-1, as Python shows it


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
    plan = match_hints([Hint("a", scene(9), Fraction(15, 10))], scan(1, 2, 3), 0.5)
    assert set(plan.hints[0].shots) == {1}
    assert plan.hints[0].frame == 15
    assert plan.at_frame(1, 15) is not None
    assert plan.at_frame(1, 14) is None


def test_only_a_picture_of_the_shot_counts_as_painted() -> None:
    film = scan(1, 2)
    plan = match_hints([Hint("mine", scene(1), Fraction(1, 2)), Hint("strange", scene(9), Fraction(3, 2))], film, 0.5)
    assert [plan.given(number) for number in (0, 1)] == ["reference", "style"]
    mask = np.zeros(scene(1).shape[:2], np.float32)
    assert not match_hints([Hint("spots", scene(1), Fraction(1, 2), mask)], film, 0.5).has_reference(0)
    mask[:, :18] = 1
    assert not match_hints([Hint("dabs", scene(1), Fraction(1, 2), mask)], film, 0.5).has_reference(0), "a tenth"
    mask[:, :100] = 1
    black = scene(1) * mask[..., None]  # as a program saves what is transparent
    holed = match_hints([Hint("holes", black, Fraction(1, 2), mask)], film, 0.5)
    assert holed.given(0) == "reference" and holed.references(0) and not holed.propagated(0)
    marked = Hint("marked", scene(1), Fraction(1, 2), mask, (Mark(((0.2, 0.2),), 0.02),))
    assert not match_hints([marked], film, 0.5).has_reference(0), "who sets marks means scribbles"
    loose = match_hints([Hint("loose", scene(1))], film, 0.5)
    assert not loose.has_reference(0) and loose.given(0) == "style"


def test_a_timed_hint_reaches_other_shots_only_if_they_look_alike() -> None:
    plan = match_hints([Hint("a", scene(1), Fraction(0))], scan(1, 2, 1), 0.5)
    assert set(plan.hints[0].shots) == {0, 2}


def test_loose_hints_go_where_they_fit_in_any_order() -> None:
    plan = match_hints([Hint("b", scene(2)), Hint("a", scene(1))], scan(1, 2, 3), 0.5)
    assert [p.hint.name for p in plan.for_shot(0)] == ["a"]
    assert [p.hint.name for p in plan.for_shot(1)] == ["b"]
    assert plan.for_shot(2) == []
    assert not plan.warnings


def test_a_hint_that_fits_no_shot_is_reported() -> None:
    plan = match_hints([Hint("stray.png", scene(9))], scan(1, 2), 0.5)
    assert plan.hints == ()
    assert "stray.png" in plan.warnings[0]
    assert "fits no shot" in plan.warnings[0]


def test_where_there_is_one_shot_only_a_hint_is_for_it() -> None:
    plan = match_hints([Hint("stray.png", scene(9))], scan(1), 0.5)
    assert [p.hint.name for p in plan.for_shot(0)] == ["stray.png"]
    assert plan.propagated(0) == [] and not plan.has_reference(0), "motion follows what is seen"
    assert "stray.png" in plan.warnings[0] and "only shot" in plan.warnings[0]


def test_of_a_part_of_a_film_nobody_knows_that() -> None:
    film = scan(1, 2)
    part = replace(film, shots=film.shots[:1])
    plan = match_hints([Hint("stray.png", scene(9))], part, 0.5)
    assert plan.hints == () and "fits no shot" in plan.warnings[0]


def test_a_painted_frame_that_is_told_to_nobody_is_followed_all_the_same() -> None:
    mask = np.ones(scene(1).shape[:2], np.float32)
    spots = [Hint(f"{i}", scene(1), Fraction(i, 10), mask) for i in (0, 1, 3, 5, 7, 9)]
    plan = match_hints([*spots, Hint("whole", scene(1), Fraction(8, 10))], scan(1, 2), 0.5)
    whole = next(p for p in plan.hints if p.hint.name == "whole")
    assert whole.left_out == (0,) and plan.propagated(0) == []
    assert plan.propagates(0) and not plan.propagates(1)


def test_pictures_that_show_the_scene_are_followed() -> None:
    loose, mask = Hint("loose", scene(1)), np.zeros(scene(1).shape[:2], np.float32)
    plan = match_hints(
        [loose, Hint("spots", scene(1), None, mask), Hint("own", scene(9), Fraction(1, 2))], scan(1, 2), 0.5
    )
    assert [p.hint.name for p in plan.for_shot(0)] == ["own", "loose", "spots"]
    assert [p.hint.name for p in plan.propagated(0)] == ["loose"], "not where little is painted, nor by its time alone"
    assert plan.propagated(1) == []


def test_a_hint_that_was_found_to_be_a_frame_is_one_though_it_looks_like_no_view() -> None:
    """At the far end of a pan, a painted frame may look like none of the pictures that are kept of its shot."""
    plan = match_hints([Hint("pan.png", scene(9))], scan(1), 0.5, found={0: 3})
    (planned,) = plan.hints
    assert (planned.frame, planned.own, planned.shots) == (3, 0, {0: 1.0}) and not plan.warnings
    assert plan.has_reference(0) and plan.references(0) == (3,) and plan.propagates(0)
    assert not match_hints([Hint("pan.png", scene(9))], scan(1), 0.5).references(0)


def test_a_time_behind_the_end_is_reported() -> None:
    plan = match_hints([Hint("late.png", scene(1), Fraction(99))], scan(1), 0.5)
    assert plan.hints == ()
    assert "after the film's end" in plan.warnings[0]


def test_a_click_goes_to_no_other_shot_and_a_picture_comes_before_it() -> None:
    click, half = np.zeros(scene(1).shape[:2], np.float32), np.zeros(scene(1).shape[:2], np.float32)
    click[10:20, 10:20] = half[:, :100] = 1
    hints = [Hint(name, scene(1) * mask[..., None], Fraction(1, 2), mask) for name, mask in (("a", click), ("b", half))]
    plan = match_hints(hints, scan(1, 2, 1), 0.5)
    assert plan.hints[0].shots == {0: 1.0}
    assert plan.at_frame(0, 5) is plan.hints[1]


def test_its_own_frame_is_recognized() -> None:
    assert hint_fits_frame(Hint("a", scene(1)), gray_of(scene(1))) > 0.99
    assert hint_fits_frame(Hint("a", scene(1)), gray_of(scene(2))) < 0.5


@pytest.mark.parametrize(
    ("pixel", "said"),
    [
        (np.float32("nan"), "NaN"),
        (np.float32("inf"), "NaN or infinity"),
        (np.float32(180), "expected in 0..1"),
        (np.float32(-0.5), "expected in 0..1"),
        (np.int16(200), "int16"),
    ],
)
def test_samples_that_are_no_color_are_refused(tmp_path: Path, pixel: Any, said: str) -> None:
    image = np.zeros((20, 30, 3), pixel.dtype) if pixel.dtype.kind == "i" else scene(1, 20, 30)
    image[3, 4] = pixel
    path = tmp_path / "float.tif"
    path.write_bytes(cv2.imencode(".tif", image)[1].tobytes())
    with pytest.raises(HintError, match=said):
        load_hint(None, path)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floating_point_of_0_to_1_is_read(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "float.tif"
    path.write_bytes(cv2.imencode(".tif", scene(1)[..., ::-1].astype(kind))[1].tobytes())
    np.testing.assert_allclose(load_hint(None, path).rgb, scene(1), atol=1e-4)


def save_rgba(path: Path, rgb: Array, alpha: Array) -> Path:
    rgba = np.dstack([rgb[..., ::-1], alpha.astype(np.float32)])
    path.write_bytes(cv2.imencode(".png", np.rint(rgba * 255).astype(np.uint8))[1].tobytes())
    return path


def test_a_transparent_hint_says_that_nothing_is_painted(tmp_path: Path) -> None:
    path = save_rgba(tmp_path / "shot0001_t00001.000s.png", scene(1), np.zeros((120, 200)))
    with pytest.raises(HintError, match="nothing is painted"):
        load_hint(None, path)
    hints, warnings = collect_hints(ColorizeConfig.load(None, [f"hints.folder={tmp_path}"]))
    assert hints == []
    assert "nothing is painted" in warnings[0]


def test_only_what_is_painted_decides_whether_there_is_color(tmp_path: Path) -> None:
    gray = np.repeat(scene(1)[..., :1], 3, axis=2)
    part = np.zeros((120, 200), bool)
    part[:60] = True
    with pytest.raises(HintError, match="has no color"):
        load_hint(None, save_rgba(tmp_path / "hidden.png", np.where(part[..., None], gray, scene(2)), part))
    dot = np.zeros((120, 200), bool)
    dot[50:53, 80:83] = True
    red = np.where(dot[..., None], np.float32([0.7, 0.2, 0.2]), gray)
    assert load_hint(None, save_rgba(tmp_path / "dot.png", red, dot)).mask is not None


def test_a_folder_is_read_without_hidden_files_and_names_what_cannot_be(tmp_path: Path) -> None:
    save(tmp_path / "shot0001_t00001.500s.png", scene(1))
    for name in ("._shot0001_t00001.500s.png", ".cache.png", "shot0001_t00001.500s.png~", "notes.txt"):
        (tmp_path / name).write_bytes(b"no picture")
    (tmp_path / "shot0002_t00003.000s.xcf").write_bytes(b"layers")
    hints, warnings = collect_hints(ColorizeConfig.load(None, [f"hints.folder={tmp_path}"]))
    assert [hint.time for hint in hints] == [Fraction(3, 2)]
    named = ("notes.txt", "shot0001_t00001.500s.png~", "shot0002_t00003.000s.xcf")
    for name, warning in zip(named, warnings, strict=True):
        assert name in warning and "PNG" in warning


@pytest.mark.parametrize(
    ("moment", "seeds", "shots", "said"),
    [
        (Fraction(1), (1, 2), {0}, "used where it looks alike"),  # in front of the part that begins at 2 s
        (Fraction(19, 10), (1, 2), {0}, "used where it looks alike"),  # the frame in front of it
        (Fraction(4), (1, 2), {0}, "used where it looks alike"),  # the frame behind the part
        (Fraction(5), (3, 2), None, "not used, it looks like no shot"),
        (Fraction(2), (3, 2), {0}, None),
        (Fraction(39, 10), (3, 2), {1}, None),
    ],
)
def test_a_time_outside_the_part_that_is_colored(
    moment: Fraction, seeds: Sequence[int], shots: set[int] | None, said: str | None
) -> None:
    plan = match_hints([Hint("a.png", scene(1), moment)], scan(*seeds, before=20, behind=20), 0.5)
    assert [set(p.shots) for p in plan.hints] == ([] if shots is None else [shots])
    if said is None:
        assert plan.warnings == ()
        assert plan.hints[0].frame is not None
    else:
        assert len(plan.warnings) == 1
        assert (
            f"its time {float(moment):.3f} s lies outside the part that is colored (2.000 to 4.000 s); {said}"
            in (plan.warnings[0])
        )
        assert all(p.frame is None for p in plan.hints)


def test_a_time_just_before_the_film_means_its_first_frame() -> None:
    plan = match_hints([Hint("a.png", scene(9), Fraction(-1, 10))], scan(1), 0.5)
    assert plan.hints[0].frame == 0
    assert plan.warnings == ()


def test_too_many_hints_are_chosen_by_time_and_said() -> None:
    loose = [Hint(f"loose{n}", scene(1)) for n in range(3)]
    timed = [Hint(f"timed{n}", scene(9), Fraction(n, 10)) for n in range(10)]
    plan = match_hints([*loose, *timed], scan(1, 2), 0.5)
    told = plan.for_shot(0)
    assert len(told) == MOST_PER_SHOT
    frames = sorted(p.frame for p in told if p.frame is not None)
    assert len(frames) == MOST_PER_SHOT, "hints that were made for the shot go first"
    assert (frames[0], frames[-1]) == (0, 9)
    assert max(b - a for a, b in pairwise(frames)) <= 3
    assert len(plan.left_out(0)) == 13 - MOST_PER_SHOT
    assert not {id(p) for p in plan.left_out(0)} & {id(p) for p in told}
    assert all((0 in p.shots) == (p in told) for p in plan.hints), "what is reported is what is used"
    for n in range(10):
        planned = plan.at_frame(0, n)
        assert planned is not None and planned.hint.name == f"timed{n}"
    assert [w for w in plan.warnings if "left out" in w] == [w for w in plan.warnings if w.startswith("shot 1: 7 of")]
    assert len(plan.warnings) == 1


def test_loose_hints_fill_what_the_timed_ones_leave() -> None:
    loose = [Hint(f"loose{n}", scene(1)) for n in range(9)]
    plan = match_hints([*loose, Hint("timed", scene(9), Fraction(1, 2))], scan(1), 0.5)
    told = [p.hint.name for p in plan.for_shot(0)]
    assert told[0] == "timed" and len(told) == MOST_PER_SHOT


def bt2020_film(path: Path) -> list[Array]:
    """One frame of strong colors, some of which BT.709 cannot show."""
    y, cb, cr = color.rgb_to_ycbcr(np.moveaxis(0.1 + 0.8 * scene(4, 48, 64), -1, 0), "bt2020")
    planes = [
        color.luma_to_codes(y, 10, "limited"),
        *(color.chroma_to_codes(p, 10, "limited") for p in (cb, cr)),
    ]
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": 14, "color_range": 1}
    make_film(path, [planes] * 2, pix_fmt="yuv444p10le", tags=tags)
    return planes


def test_a_hint_from_a_bt2020_film_keeps_its_color(tmp_path: Path) -> None:
    y, cb, cr = bt2020_film(tmp_path / "wide.mkv")
    wanted = color.ycbcr_to_ab(
        color.codes_to_luma(y, 10, "limited"),
        color.codes_to_chroma(cb, 10, "limited"),
        color.codes_to_chroma(cr, 10, "limited"),
        "bt2020",
    )
    hint = load_hint(None, tmp_path / "wide.mkv", Fraction(0))
    assert np.abs(hint_ab(hint, (48, 64)) - wanted).max() < 1
    luma = hint_input(hint, (48, 64)).luma
    assert luma.min() >= 0 and luma.max() <= 1


@pytest.mark.parametrize(
    ("moment", "frame"),
    [("0", 0), ("0.04", 0), ("0.051", 1), ("0.05", 0), ("0.1", 1), ("0.149", 1), ("3.0", 3), ("1.7", 2), ("14", 3)],
)
def test_a_frame_of_a_film_is_the_nearest_one(tmp_path: Path, moment: str, frame: int) -> None:
    """Frames at 0, 0.1, 0.2, 3.3 and 30 s, each of a color of its own."""
    frames = [
        [np.full((48, 64), 120, np.uint8), *(np.full((24, 32), 60 + 30 * n, np.uint8) for _ in "ab")] for n in range(5)
    ]
    film = tmp_path / "other.mkv"
    make_film(film, frames, pts=[0, 100, 200, 3300, 30000], time_base=Fraction(1, 1000), rate=Fraction(10))
    wanted = [load_hint(None, film, Fraction(t)).rgb.mean() for t in ("0", "0.1", "0.2", "3.3", "30")]
    got = load_hint(None, film, Fraction(moment)).rgb.mean()
    assert int(np.argmin(np.abs(np.array(wanted) - got))) == frame
    assert len(set(np.round(wanted, 3))) == 5
    with pytest.raises(HintError, match="ends before that time"):
        load_hint(None, film, Fraction(31))


def test_a_negative_time_finds_its_frame() -> None:
    time = hint_time_in_name("shot0001_t-0000.300s.png")
    plan = match_hints([Hint("a.png", scene(9), time)], scan(1, before=-5), 0.5)
    assert plan.warnings == ()
    assert plan.hints[0].frame == 2


@pytest.mark.slow
def test_pictures_of_hints_are_not_all_held(tmp_path: Path) -> None:
    """Memory must not grow with the number of painted frames."""
    rng = np.random.default_rng(0)
    for number in range(24):
        picture = rng.integers(0, 255, (400, 500, 3), dtype=np.uint8)
        assert cv2.imwrite(str(tmp_path / f"shot0001_t{number:05d}.000s.png"), picture)
    one = 400 * 500 * 3 * 4
    tracemalloc.start()
    try:
        hints, _ = collect_hints(ColorizeConfig.load(None, [f"hints.folder={tmp_path}"]))
        seen = [float(hint.rgb.mean()) for hint in hints]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(hints) == len(set(seen)) == 24
    assert held < 6 * one, "of 24 pictures the last few at most"
    assert [float(hint.rgb.mean()) for hint in hints] == seen


def test_a_hint_that_changes_meanwhile_is_told(tmp_path: Path) -> None:
    path = tmp_path / "painted.png"
    cv2.imwrite(str(path), np.full((40, 60, 3), (10, 90, 200), np.uint8))
    hint = load_hint(None, path)
    assert hint.rgb.shape == (40, 60, 3) and hint.mask is None
    cv2.imwrite(str(path), np.full((40, 61, 3), (200, 90, 10), np.uint8))
    with pytest.raises(HintError, match="changed or gone"):
        hint.rgb.mean()
    path.unlink()
    with pytest.raises(HintError, match="changed or gone"):
        hint.rgb.mean()
