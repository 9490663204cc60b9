"""Restoration step by step, on damage of which everything is known: what it mends and what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import damage
import numpy as np
import pytest
from numpy.typing import NDArray

from videocolor.restoration import RestorationConfig, find_cadence, restore
from videocolor.restoration.cadence import describe_cadence
from videocolor.restoration.deinterlace import combed

Array = NDArray[Any]


def slow(name: str) -> Any:
    """A film for the slow tests."""
    return pytest.param(name, marks=pytest.mark.slow)


FILMS = ("pan", "bw_chaplin", slow("bw_his_girl_friday_1940"), slow("hawk_25fps"))
"""The pan of `damage`, and real film."""


def clip(root: Path, name: str, first: int = 20, count: int = 14) -> list[Array]:
    if name == "pan":
        return damage.textured_pan(1, count)
    lumas = damage.read_lumas(root / "samples" / f"{name}.mp4", first, count)
    return [luma[90:450, 240:720] for luma in lumas] if lumas[0].shape[1] == 960 else lumas


def mended(lumas: Iterable[Array], **settings: Any) -> list[Array]:
    return [frame.luma for frame in restore(iter(damage.frames_of(lumas)), RestorationConfig(**settings))]


def gain_and_harm(film: damage.Damaged, made: list[Array], ends: int = 0) -> tuple[float, float]:
    """dB that damaged samples gain, without the frames at the ends, and mean change in levels of all others."""
    inner = slice(ends, len(made) - ends)
    film, made = damage.Damaged(film.clean[inner], film.damaged[inner]), made[inner]
    masks = film.masks
    gain = damage.psnr(film.clean, made, masks) - damage.psnr(film.clean, film.damaged, masks)
    harm = [np.abs(a.astype(int) - b)[~mask].mean() for a, b, mask in zip(film.clean, made, masks, strict=True)]
    return gain, float(np.mean(harm))


def change(clean: list[Array], made: list[Array]) -> float:
    return float(np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(clean, made, strict=True)]))


@pytest.mark.slow
@pytest.mark.parametrize("name", FILMS)
def test_dust_is_mended(name: str, root: Path) -> None:
    clean = clip(root, name)
    film = damage.dust(clean, 1, clean[0].size / 12000)
    gain, harm = gain_and_harm(film, mended(film.damaged, dust=True), ends=1)
    assert gain >= 6
    assert harm < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", FILMS)
def test_scratches_are_mended(name: str, root: Path) -> None:
    film = damage.scratches(clip(root, name, count=8), 1, 3)
    gain, harm = gain_and_harm(film, mended(film.damaged, dust=True))
    assert gain >= 6
    assert harm < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", FILMS)
def test_flicker_falls_to_a_third(name: str, root: Path) -> None:
    clean = clip(root, name, 0, 40)
    film, _ = damage.flicker(clean, 2, 0.07)
    made = mended(film.damaged, deflicker=True)
    true, before, after = (np.array([luma.mean() for luma in lumas]) for lumas in (clean, film.damaged, made))
    assert np.std(after / true - 1) <= np.std(before / true - 1) / 3
    assert change(clean, mended(clean, deflicker=True)) < 0.5


@pytest.mark.slow
def test_a_fade_stays_a_fade() -> None:
    pan = damage.textured_pan(1, 60)
    clean = [np.rint(16 + (luma - 16.0) * (1 - i / 70)).astype(np.uint8) for i, luma in enumerate(pan)]
    assert change(clean, mended(clean, deflicker=True)) < 0.3
    film, _ = damage.flicker(clean, 3, 0.06)
    true, before, after = (
        np.array([luma.mean() for luma in lumas])
        for lumas in (clean, film.damaged, mended(film.damaged, deflicker=True))
    )
    assert np.std(after - true) <= np.std(before - true) / 3


def test_a_flash_stays_a_flash() -> None:
    clean = damage.textured_pan(1, 30)
    clean[15] = np.minimum(clean[15].astype(int) * 1.7, 255).astype(np.uint8)
    made = mended(clean, deflicker=True)
    assert np.array_equal(made[15], clean[15])
    assert change(clean, made) < 0.1


def test_a_light_that_comes_and_goes_stays() -> None:
    clean = damage.textured_pan(1, 40)
    swell = 1 + 0.15 * np.exp(-(((np.arange(40) - 20) / 4.0) ** 2))
    clean = [np.rint(luma * gain).astype(np.uint8) for luma, gain in zip(clean, swell, strict=True)]
    assert change(clean, mended(clean, deflicker=True)) < 0.5


def test_something_bright_that_enters_does_not_darken_the_rest() -> None:
    """Flicker is judged by what agrees, not by the mean of the picture."""
    clean = [luma.copy() for luma in damage.textured_pan(1, 30, speed=0)]
    for i, luma in enumerate(clean[12:], 12):
        luma[:, : min(90, 30 * (i - 11))] = 235
    made = mended(clean, deflicker=True)
    assert max(np.abs(a[:, 100:].astype(int) - b[:, 100:]).mean() for a, b in zip(clean, made, strict=True)) < 0.5


@pytest.mark.parametrize(
    "name", [*FILMS[1:], "london_station_60fps", *map(slow, ("cuts_audio_tears_of_steel", "flower_opening_30fps"))]
)
def test_film_without_damage_is_hardly_changed(name: str, root: Path) -> None:
    clean = clip(root, name, 100, 10)
    everything = {"telecine": "restore", "deinterlace": "on", "deflicker": True, "dust": True}
    assert change(clean, mended(clean, **everything)) < 0.5


def test_a_ball_that_flies_past_is_no_dust() -> None:
    still = damage.textured_pan(4, 1)[0]
    yy, xx = np.mgrid[: still.shape[0], : still.shape[1]]
    clean = []
    for i in range(12):
        ball = np.hypot(yy - 120 - 3 * i, xx - 40 - 14 * i) < 6
        clean.append(np.where(ball, 230, still).astype(np.uint8))
    made = mended(clean, dust=True)
    assert all(np.array_equal(a, b) for a, b in zip(clean, made, strict=True))


def test_dust_on_a_frame_shown_twice_is_mended() -> None:
    """A repeated frame is no witness: both carry the same dirt."""
    film = damage.dust(damage.textured_pan(5, 8, speed=3.0), 1, 6)
    twice = damage.Damaged([f for f in film.clean for _ in (0, 1)], [f for f in film.damaged for _ in (0, 1)])
    gain, _ = gain_and_harm(twice, mended(twice.damaged, dust=True), ends=2)
    assert gain >= 6


@pytest.mark.parametrize("name", ["man_yellow_wall_60fps", slow("hawk_25fps"), "pan"])
@pytest.mark.parametrize("top_first", [True, False])
def test_woven_fields_become_pictures(name: str, top_first: bool, root: Path) -> None:
    film = damage.interlace(clip(root, name, 200, 24), top_first)
    made = mended(film.damaged, deinterlace="on")
    gain, harm = gain_and_harm(film, made)
    assert gain >= 6
    assert harm < 0.5
    assert all(np.array_equal(a[0::2], b[0::2]) for a, b in zip(film.clean, made, strict=True))
    assert change(film.clean, mended(film.clean, deinterlace="on")) < 0.2


def bwdif(woven: list[Array], top_first: bool) -> list[Array]:
    """FFmpeg's deinterlacer, at the time of the upper field."""
    h, w = woven[0].shape
    graph = av.filter.Graph()
    source = graph.add_buffer(width=w, height=h, format=av.VideoFormat("gray"), time_base=Fraction(1, 25))
    # The upper field's time is the second field's where the lower one is first, so both are asked for.
    parity = "tff" if top_first else "bff"
    mend = graph.add("bwdif", f"mode=send_field:parity={parity}:deint=all")
    sink = graph.add("buffersink")
    source.link_to(mend)
    mend.link_to(sink)
    graph.configure()
    made = []
    for i, luma in enumerate(woven):
        frame = av.VideoFrame.from_ndarray(luma, format="gray")
        frame.pts, frame.time_base = i, Fraction(1, 25)
        graph.push(frame)
    graph.push(None)
    while True:
        try:
            made.append(graph.pull().to_ndarray())
        except (av.error.EOFError, av.error.BlockingIOError):
            break
    return made[0 if top_first else 1 :: 2]


@pytest.mark.parametrize("name", ["bw_chaplin", "pan"])
@pytest.mark.parametrize("top_first", [True, False])
def test_frames_that_comb_are_bwdifs_sample_for_sample(name: str, top_first: bool, root: Path) -> None:
    film = damage.interlace(clip(root, name, 200, 24), top_first).damaged
    theirs = bwdif(film, top_first)
    made = mended(film, deinterlace="on", field_order="top" if top_first else "bottom")
    comb = [k for k in range(1, len(film) - 1) if combed(film[k]).mean() > 0.1]
    assert len(comb) > 3
    assert all(np.array_equal(made[k], theirs[k]) for k in comb)


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("top_first", [True, False])
def test_pulldown_is_undone_to_the_sample(name: str, top_first: bool, root: Path) -> None:
    film = clip(root, name, count=16)
    # A frame that the film itself repeats but for coding noise does not comb and may keep another's field.
    film = [a for a, b in zip(film[1:], film, strict=False) if np.abs(a.astype(int) - b).mean() > 0.5]
    woven, shown = damage.pulldown(film, "23", top_first)
    made = mended(woven, telecine="restore")
    # The last frame may need the field of one that is not there.
    for k, (luma, number) in enumerate(list(zip(made, shown, strict=True))[:-1]):
        assert np.array_equal(luma, film[number]), f"frame {k}"
    assert set(shown) >= set(range(len(film) - 1)), "every film frame is seen, but perhaps the last"


def test_pulldown_with_a_cut_in_it_and_a_broken_cadence() -> None:
    film = [*damage.textured_pan(1, 10, speed=3.0), *damage.textured_pan(2, 10, speed=-3.0)]
    woven, shown = damage.pulldown(film, "23")
    made = mended(woven, telecine="restore")
    assert sum(not np.array_equal(a, film[b]) for a, b in zip(made, shown, strict=True)) <= 1
    made = mended(woven[:6] + woven[8:], telecine="restore")
    whole = sum(any(np.array_equal(a, b) for b in film) for a in made)
    assert whole >= len(made) - 2, "an edit costs the frames that it touches, at most"


def test_fields_that_belong_nowhere_are_left_to_deinterlacing() -> None:
    film = damage.interlace(damage.textured_pan(1, 20, speed=3.0))
    assert all(
        np.array_equal(a, b) for a, b in zip(mended(film.damaged, telecine="restore"), film.damaged, strict=True)
    )


def test_chroma_fields_go_with_luma() -> None:
    pan = damage.textured_pan(2, 10, (64, 96), 3.0)
    chroma = [(luma[::2, ::2].copy(), luma[1::2, ::2].copy()) for luma in pan]
    woven, shown = damage.pulldown(pan, "23")
    pairs = [damage.pulldown([pair[k] for pair in chroma], "23")[0] for k in (0, 1)]
    frames = damage.frames_of(woven, chroma=list(zip(*pairs, strict=True)))
    made = list(restore(iter(frames), RestorationConfig(telecine="restore")))
    for frame, number in list(zip(made, shown, strict=True))[:-1]:
        assert frame.chroma is not None
        assert all(np.array_equal(a, b) for a, b in zip(frame.chroma, chroma[number], strict=True))


@pytest.mark.slow
def test_the_cadence_is_told(root: Path) -> None:
    film = damage.textured_pan(3, 40, speed=3.0)
    woven, _ = damage.pulldown(film, "23")
    assert find_cadence(iter(damage.frames_of(woven))) == "3:2 pulldown, repeats every 5 frames"
    fifth = [luma for i, luma in enumerate(film) for _ in range(2 if i % 4 == 3 else 1)]
    assert find_cadence(iter(damage.frames_of(fifth))) == "1 frame in 5 is the one before, shown again"
    twice = [luma for luma in film[:30] for _ in (0, 1)]
    assert find_cadence(iter(damage.frames_of(twice))) == "every frame is shown 2 times"
    assert find_cadence(iter(damage.frames_of(film))) is None
    assert find_cadence(iter(damage.frames_of([film[0]] * 40))) is None
    assert find_cadence(iter(())) is None
    chaplin = clip(root, "bw_chaplin", 20, 60)
    said = find_cadence(iter(damage.frames_of(chaplin)))
    assert said is not None
    assert said.endswith("% of the frames are the one before, shown again, in no fixed order")
    still = np.mean([np.abs(a.astype(int) - b).mean() < 0.3 for a, b in zip(chaplin[1:], chaplin, strict=False)])
    assert abs(int(said.split()[0]) - 100 * still) < 4
    assert find_cadence(iter(damage.frames_of(clip(root, "hawk_25fps", 20, 40)))) is None


def test_a_cadence_survives_stillness_and_needs_proof() -> None:
    pattern = [False, False, True, True, False] * 12
    assert describe_cadence(pattern, [False] * 60) == "3:2 pulldown, repeats every 5 frames"
    gaps: list[bool | None] = [None if 20 <= i < 40 else flag for i, flag in enumerate(pattern)]
    assert describe_cadence(gaps, [False] * 60) == "3:2 pulldown, repeats every 5 frames"
    assert describe_cadence(pattern[:10], [False] * 10) is None
    random = np.random.default_rng(0).random(60) < 0.4
    assert describe_cadence([bool(flag) for flag in random], [False] * 60) is None
