"""Restoration as a whole: what may be set, that it is a finite window in time, and what it leaves alone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import damage
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from videocolor.restoration import RestorationConfig, active, radius, restore, steps
from videocolor.types import Frame
from videocolor.video import probe

Array = NDArray[Any]

SINGLE: dict[str, dict[str, Any]] = {
    "telecine": {"telecine": "restore"},
    "deinterlace": {"deinterlace": "on"},
    "deflicker": {"deflicker": True, "deflicker_frames": 5},
    "dust": {"dust": True},
}
CUT = 20 + 14
"""First frame of the second shot of `film`."""
EVERYTHING = RestorationConfig(**{key: value for part in SINGLE.values() for key, value in part.items()})


@pytest.fixture(scope="module")
def film(root: Path) -> list[Array]:
    """(180, 240) frames of two shots with every damage: woven, flickering, dirty, scratched."""
    first = damage.read_lumas(root / "samples" / "bw_his_girl_friday_1940.mp4", 20, 44)
    shots = [[luma[100:280, 200:440].copy() for luma in first], damage.textured_pan(3, 36, (180, 240), 3.0)]
    result: list[Array] = []
    for seed, shot in enumerate(shots):
        shaky = damage.flicker(shot, seed, 0.06)[0].damaged
        woven, _ = damage.pulldown(shaky[:16], "23")
        woven += damage.interlace(shaky[16:]).damaged
        result += damage.scratches(damage.dust(woven, seed, 6).damaged, seed, 1).damaged
    return result


def test_everything_is_off_unless_asked(film: list[Array]) -> None:
    config = RestorationConfig()
    assert not active(config)
    assert steps(config) == ()
    assert radius(config) == 0
    frames = damage.frames_of(film[:5])
    assert all(a is b for a, b in zip(restore(iter(frames), config), frames, strict=True))


def test_what_is_on_is_named_in_order() -> None:
    assert steps(EVERYTHING) == ("telecine", "deinterlace", "deflicker", "dust")
    assert active(RestorationConfig(dust=True))
    assert radius(EVERYTHING) == sum(radius(RestorationConfig(**part)) for part in SINGLE.values())


def test_true_is_understood_as_on() -> None:
    config = RestorationConfig.model_validate({"deinterlace": True, "telecine": True})
    assert (config.deinterlace, config.telecine) == ("on", "restore")
    assert RestorationConfig.model_validate({"deinterlace": False, "telecine": False}) == RestorationConfig()


@pytest.mark.parametrize(
    "values",
    [
        {"deinterlace": "yes"},
        {"telecine": 1},
        {"deflicker": "on"},
        {"deflicker_frames": 3},
        {"deflicker_frames": 25},
        {"deflicker_limit": 0.0},
        {"dust_contrast": 3.0},
        {"scratch_height": 1.1},
        {"denoise": True},
    ],
)
def test_bad_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RestorationConfig.model_validate(values)


@pytest.mark.parametrize(
    "step",
    [pytest.param(s, marks=pytest.mark.slow if s in ("dust", "everything") else ()) for s in (*SINGLE, "everything")],
)
def test_a_part_is_restored_as_in_the_whole_film(step: str, film: list[Array]) -> None:
    """What shards rest on: begun `radius` frames early, the result is the same, sample for sample."""
    config = EVERYTHING if step == "everything" else RestorationConfig(**SINGLE[step])
    reach = radius(config)
    frames = damage.frames_of(film)
    whole = [frame.luma for frame in restore(iter(frames), config)]
    changed = sum(not np.array_equal(a, b) for a, b in zip(whole, film, strict=True))
    assert changed > 4, "nothing was mended, so nothing is shown"
    cut = CUT
    for start, end in ((0, 7), (9, 15), (cut - 2, cut + 3), (len(film) - 6, len(film))):
        first, last = max(0, start - reach), min(len(film), end + reach)
        part = [frame.luma for frame in restore(iter(frames[first:last]), config)]
        for k in range(start, end):
            assert np.array_equal(part[k - first], whole[k]), f"frame {k} of {start}..{end}"


@pytest.mark.parametrize("step", ["deinterlace", "deflicker", pytest.param("dust", marks=pytest.mark.slow)])
def test_nothing_crosses_a_cut(step: str, film: list[Array]) -> None:
    config = RestorationConfig(**SINGLE[step])
    cut = CUT
    whole = [frame.luma for frame in restore(iter(damage.frames_of(film)), config)]
    for shot, made in ((film[:cut], whole[:cut]), (film[cut:], whole[cut:])):
        alone = [frame.luma for frame in restore(iter(damage.frames_of(shot)), config)]
        for k, (a, b) in enumerate(zip(alone, made, strict=True)):
            assert np.array_equal(a, b), f"frame {k}"


def test_frames_keep_what_is_not_picture(film: list[Array]) -> None:
    frames = damage.frames_of(film[:20])
    made = list(restore(iter(frames), EVERYTHING))
    assert len(made) == len(frames)
    for a, b in zip(frames, made, strict=True):
        assert (a.index, a.pts, a.duration, a.time_base) == (b.index, b.pts, b.duration, b.time_base)
        assert b.native is a.native
        assert b.layout is a.layout
        assert b.chroma is None
        assert b.luma.shape == a.luma.shape


def test_the_source_is_not_written_on(film: list[Array]) -> None:
    copies = [luma.copy() for luma in film[:20]]
    for luma in film[:20]:
        luma.setflags(write=False)
    list(restore(iter(damage.frames_of(film[:20])), EVERYTHING))
    assert all(np.array_equal(a, b) for a, b in zip(copies, film, strict=False))


@pytest.mark.parametrize(
    ("depth", "range_"),
    [
        pytest.param(10, "limited", marks=pytest.mark.slow),
        pytest.param(12, "full", marks=pytest.mark.slow),
        (16, "limited"),
    ],
)
def test_every_depth_is_mended_alike(depth: int, range_: Any, film: list[Array]) -> None:
    """A film of more bits than eight is mended as its 8-bit version is, finer than a level."""
    part = [luma[:121, :187] for luma in film[:14]]
    deep = [luma.astype(np.uint16) << (depth - 8) for luma in part]
    eight = [frame.luma for frame in restore(iter(damage.frames_of(part, 8, range_)), EVERYTHING)]
    made = [frame.luma for frame in restore(iter(damage.frames_of(deep, depth, range_)), EVERYTHING)]
    off = [np.abs(a / 2 ** (depth - 8) - b) for a, b in zip(made, eight, strict=True)]
    assert all(luma.dtype == np.uint16 and luma.max() < 2**depth for luma in made)
    assert np.mean(off) < 0.35  # a mean of 0.25 is what rounding to eight bits costs
    assert np.mean([share.mean() for share in (np.array(off) > 4)]) < 0.003
    assert any((luma % 2 ** (depth - 8)).any() for luma in made), "new samples use the film's own depth"


@pytest.mark.parametrize("shape", [(17, 23), (64, 33), (48, 64)])
def test_small_and_odd_pictures_pass(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    lumas = [random.integers(0, 256, shape, np.uint8) for _ in range(6)]
    made = list(restore(iter(damage.frames_of(lumas)), EVERYTHING))
    assert [frame.luma.shape for frame in made] == [shape] * 6


@pytest.mark.parametrize("level", [0, 16, 128, 255])
def test_a_flat_film_stays_as_it_is(level: int) -> None:
    lumas = [np.full((60, 80), level, np.uint8)] * 8
    for frame in restore(iter(damage.frames_of(lumas)), EVERYTHING):
        assert np.array_equal(frame.luma, lumas[0])


@pytest.mark.slow
def test_memory_holds_a_window(film: list[Array]) -> None:
    alive: list[weakref.ref[Frame]] = []
    most = 0

    def source() -> Iterator[Frame]:
        for frame in damage.frames_of(film):
            fresh = Frame(**{**vars(frame), "luma": frame.luma.copy()})
            alive.append(weakref.ref(fresh))
            yield fresh

    config = RestorationConfig(**SINGLE["deflicker"], dust=True)
    for _ in restore(source(), config):
        most = max(most, sum(ref() is not None for ref in alive))
    gc.collect()
    assert most <= 2 * radius(config) + 6 < len(film)


def test_closing_closes_the_source(film: list[Array]) -> None:
    closed = []

    def source() -> Iterator[Frame]:
        try:
            yield from damage.frames_of(film)
        finally:
            closed.append(True)

    result = restore(source(), EVERYTHING)
    next(result)
    result.close()
    assert closed == [True]


@pytest.mark.slow
def test_an_error_of_the_source_comes_through(film: list[Array]) -> None:
    def source() -> Iterator[Frame]:
        yield from damage.frames_of(film[:30])
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(restore(source(), EVERYTHING))


def test_an_interlaced_film_is_told_of_the_setting(tmp_path: Path) -> None:
    from media import make_film, neutral_chroma

    woven = damage.interlace(damage.textured_pan(1, 8, (96, 128), 6.0)).damaged
    chroma = [neutral_chroma((64, 48), 8)] * 2
    make_film(tmp_path / "in.mkv", [[luma, *chroma] for luma in woven], size=(128, 96))
    assert any("restoration.deinterlace=on" in warning for warning in probe(tmp_path / "in.mkv").warnings)
