"""A preview shows what the render gives, is small, quick to stop, and honest about saturation."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from batch.films import picture
from media import make_film

from videocolor import color
from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import HintError, InputError, UsageError
from videocolor.hints.plan import frame_to_rgb
from videocolor.pipeline.film import load_network
from videocolor.pipeline.reader import Part
from videocolor.preview import (
    PreviewFrame,
    ReusedShot,
    before_rgb,
    chroma_rgb,
    preview_part,
    preview_rgb,
    preview_size,
    warm_up,
)
from videocolor.types import Frame
from videocolor.video import open_video, probe

Array = np.ndarray[Any, Any]
SIZE, RATE = (416, 240), Fraction(12)
"""Large enough for a painted frame to change the working size."""
SHOTS = ((1, 9), (2, 15), (3, 12), (2, 9))
"""Shot 4 returns to shot 2."""
STARTS = [0, *accumulate(length for _, length in SHOTS)]
SETTINGS = ("output.codec=ffv1", "output.pix_fmt=yuv444p", "output.sidecar=false", "output.resume=false")


def rgb_of(seed: int, frame: int) -> Array:
    """(3, h, w) R'G'B' of a frame."""
    planes = picture(seed, frame)
    return np.stack([cv2.resize(plane, SIZE, interpolation=cv2.INTER_CUBIC) for plane in planes]).clip(0, 1)


def write_film(path: Path, shots: Sequence[tuple[int, int]]) -> Path:
    lumas = [color.rgb_to_luma(rgb_of(seed, i), "bt601") for seed, length in shots for i in range(length)]
    frames = [[color.luma_to_codes(luma, 8, "limited")] for luma in lumas]
    make_film(path, frames, "ffv1", "gray", RATE, size=SIZE)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """film.mkv, shots.yaml, painted.png (frame 10 of shot 3)."""
    folder = tmp_path_factory.mktemp("preview")
    write_film(folder / "film.mkv", SHOTS)
    rgb = np.moveaxis(rgb_of(3, 10), 0, -1)
    cv2.imwrite(str(folder / "painted.png"), np.rint(rgb[..., ::-1] * 255).astype(np.uint8))
    lines = [f"- {{frame: {start}}}" for start in STARTS[:-1]]
    (folder / "shots.yaml").write_text("\n".join(["shots:", *lines]) + "\n")
    return folder


def config(folder: Path, *settings: str, painted: bool = True) -> ColorizeConfig:
    hints = [{"image": str(folder / "painted.png"), "frame": STARTS[2] + 10}] if painted else []
    by_shot = 'chroma.by_shot=[{"frame": 20, "saturation": 1.5}]'
    ours = (f"hints.assigned={json.dumps(hints)}", f"shots.file={folder / 'shots.yaml'}", by_shot)
    return ColorizeConfig.load(None, [*SETTINGS, *ours, *settings])


@pytest.fixture(scope="module")
def rendered(folder: Path) -> list[Frame]:
    """The film as `colorize` writes it."""
    colorize_video(folder / "film.mkv", folder / "out.mkv", config(folder))
    with open_video(folder / "out.mkv") as video:
        return list(video)


@pytest.fixture(scope="module")
def part_of(folder: Path) -> list[Part]:
    """The shots of the film."""
    with open_video(folder / "film.mkv") as video:
        pts = [frame.pts for frame in video]
    ends = [pts[start] for start in STARTS[1:-1]]
    return [Part(start, pts[start], end) for start, end in zip(STARTS[:-1], [*ends, None], strict=True)]


def shown(frame: Frame) -> Array:
    """(h, w, 3) uint8 of a frame of the rendered film."""
    return np.rint(frame_to_rgb(frame) * 255).astype(np.uint8)


def lender(parts: Sequence[Part], folder: Path) -> ReusedShot:
    """Shot 2, which shot 4 returns to."""
    with open_video(folder / "film.mkv") as video:
        last = next(frame.pts for frame in video if frame.index == STARTS[2] - 1)
    return ReusedShot(1, parts[1].start, parts[1].start_pts, STARTS[2] - 1, last)


@pytest.mark.parametrize("shot", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3))])
def test_a_preview_has_the_colors_of_the_render(
    shot: int, folder: Path, rendered: list[Frame], part_of: list[Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_scan(*_: Any, **__: Any) -> Any:
        raise AssertionError("the film was scanned")

    monkeypatch.setattr("videocolor.pipeline.film.scan_film", no_scan)
    returns = lender(part_of, folder) if shot == 3 else None
    wanted = SHOTS[shot][1] - 7
    frames = list(
        preview_part(
            folder / "film.mkv",
            config(folder),
            part_of[shot],
            shot=shot,
            lines=SIZE[1],
            frames=wanted,
            reuses=returns,
        )
    )
    assert [frame.index for frame in frames] == list(range(STARTS[shot], STARTS[shot] + wanted))
    for frame in frames:
        truth = rendered[frame.index]
        assert frame.pts * frame.time_base == truth.pts * truth.time_base
        mine = preview_rgb(frame, 1.5 if shot == 1 else 1.0).astype(int)
        assert np.abs(mine - shown(truth)).max() <= 3, "chroma of 8 bits is rounded to 1/224: two levels of blue, three"
        assert np.abs(before_rgb(frame).astype(int)[..., 0] - mine.mean(axis=2)).mean() < 20


def test_a_loan_that_is_not_named_is_missed(folder: Path, rendered: list[Frame], part_of: list[Part]) -> None:
    """The test above can fail: without its lender shot 4 is colored otherwise."""
    frame = next(preview_part(folder / "film.mkv", config(folder), part_of[3], shot=3, lines=SIZE[1]))
    assert np.abs(preview_rgb(frame).astype(int) - shown(rendered[STARTS[3]])).max() > 3


def test_a_reference_frame_changes_the_working_size_of_its_shot_alone(
    folder: Path, rendered: list[Frame], part_of: list[Part]
) -> None:
    """The film has a reference frame in shot 2; without it, shot 1 has the same colors."""
    plain = next(preview_part(folder / "film.mkv", config(folder, painted=False), part_of[0], shot=0, lines=SIZE[1]))
    assert np.abs(preview_rgb(plain).astype(int) - shown(rendered[0])).max() <= 3


def test_inside_a_shot(folder: Path, rendered: list[Frame], part_of: list[Part]) -> None:
    start = STARTS[1] + 13
    part = Part(start, rendered[start].pts, part_of[1].end_pts)
    frames = list(preview_part(folder / "film.mkv", config(folder), part, shot=1, lines=SIZE[1]))
    assert [frame.index for frame in frames] == list(range(start, STARTS[2]))
    near = [np.abs(preview_rgb(f, 1.5).astype(int) - shown(rendered[f.index])).mean() for f in frames]
    assert max(near) < 6, "the same network on other frames of the same shot"


@pytest.mark.parametrize(("lines", "width"), [(120, 277), (240, 555)])
def test_pictures_have_the_displays_shape(lines: int, width: int, tmp_path: Path) -> None:
    film = tmp_path / "wide.mp4"
    luma = color.luma_to_codes(color.rgb_to_luma(rgb_of(1, 0), "bt601"), 8, "limited")
    neutral = np.full((SIZE[1] // 2, SIZE[0] // 2), 128, np.uint8)
    make_film(film, [[luma, neutral, neutral]] * 3, "libx264", size=SIZE, sar=Fraction(4, 3), options={"crf": "4"})
    frames = list(preview_part(film, ColorizeConfig(), Part(0, 0, None), shot=0, lines=lines))
    assert preview_size(probe(film), lines) == (width, lines)
    assert {frame.luma.shape for frame in frames} == {(lines, width)} and frames[0].ab.shape == (2, lines, width)
    assert preview_rgb(frames[0]).shape == before_rgb(frames[0]).shape == chroma_rgb(frames[0]).shape
    wide = cv2.resize(before_rgb(frames[0]), (277, 120), interpolation=cv2.INTER_AREA).astype(int)
    truth = cv2.resize(color.rgb_to_luma(rgb_of(1, 0), "bt601"), (277, 120), interpolation=cv2.INTER_AREA) * 255
    assert np.abs(wide[..., 0] - truth).mean() < 2


def test_closing_stops_all_threads(folder: Path, part_of: list[Part], monkeypatch: pytest.MonkeyPatch) -> None:
    started = list[threading.Thread]()
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    frames = preview_part(folder / "film.mkv", config(folder), part_of[1], shot=1)
    next(frames)
    frames.close()
    assert started and not any(thread.is_alive() for thread in started)


def test_a_loaded_network_is_used_again(folder: Path, part_of: list[Part], monkeypatch: pytest.MonkeyPatch) -> None:
    network = load_network(config(folder))
    first = next(preview_part(folder / "film.mkv", config(folder), part_of[0], shot=0, colorizer=network))

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a network was loaded")

    monkeypatch.setattr("videocolor.pipeline.film.load_network", never)
    again = next(preview_part(folder / "film.mkv", config(folder), part_of[0], shot=0, colorizer=network))
    np.testing.assert_array_equal(first.ab, again.ab)


@pytest.mark.slow
def test_only_the_hints_that_count_are_read(folder: Path, part_of: list[Part], tmp_path: Path) -> None:
    settings = config(folder)
    entry = settings.hints.assigned[0]
    lost = entry.model_copy(update={"image": str(tmp_path / "lost.png"), "frame": None, "shots": (STARTS[1],)})
    hints = settings.hints.model_copy(update={"assigned": (entry, lost)})
    settings = settings.model_copy(update={"hints": hints})
    next(preview_part(folder / "film.mkv", settings, part_of[2], shot=2))
    with pytest.raises(HintError, match=r"lost\.png: no such hint file"):
        next(preview_part(folder / "film.mkv", settings, part_of[1], shot=1))


def test_mistakes_are_said(folder: Path, part_of: list[Part]) -> None:
    wrong = Part(STARTS[1], part_of[1].start_pts + 7, None)
    with pytest.raises(InputError, match="no frame stands at"):
        next(preview_part(folder / "film.mkv", config(folder), wrong, shot=1))
    with pytest.raises(UsageError, match="takes no hints"):
        next(preview_part(folder / "film.mkv", config(folder, "model.name=constant"), part_of[2], shot=2))
    with pytest.raises(InputError):
        next(preview_part(folder / "none.mkv", config(folder), part_of[2], shot=2))


def test_color_of_the_source_is_kept_where_asked(tmp_path: Path) -> None:
    planes = [
        np.full((48, 64), 120, np.uint8),
        np.full((24, 32), 110, np.uint8),
        np.full((24, 32), 150, np.uint8),
    ]
    make_film(tmp_path / "sepia.mkv", [planes] * 2)
    with open_video(tmp_path / "sepia.mkv") as video:
        truth = shown(next(iter(video)))
    settings = ColorizeConfig.load(None, ["chroma.keep_source=true"])
    frame = next(preview_part(tmp_path / "sepia.mkv", settings, Part(0, 0, None), shot=0, lines=48))
    assert frame.kept
    for saturation in (0.0, 1.0, 3.0):
        assert np.abs(preview_rgb(frame, saturation).astype(int) - truth).max() <= 1


def sample(matrix: str = "bt709") -> PreviewFrame:
    """All kinds of luma and color, far out of gamut, too."""
    rng = np.random.default_rng(5)
    ab = rng.uniform(-100, 100, (2, 40, 50)).astype(np.float32)
    return PreviewFrame(0, 0, Fraction(1, 25), rng.uniform(0, 1, (40, 50)).astype(np.float32), ab, matrix)  # type: ignore[arg-type]


@pytest.mark.parametrize("saturation", [0.0, 0.5, 1.0, 4.0])
def test_saturation_leaves_luma(saturation: float) -> None:
    warm_up("bt709")
    frame = sample()
    luma = color.rgb_to_luma(np.moveaxis(preview_rgb(frame, saturation), -1, 0).astype(np.float64) / 255, "bt709")
    assert np.abs(luma - frame.luma).max() < 0.012
    if saturation == 0.0:
        np.testing.assert_array_equal(preview_rgb(frame, 0.0), before_rgb(frame))


def test_colors_are_those_of_the_formula() -> None:
    """The exact way without a table: same luma, this a*b*, gamut-limited."""
    frame = sample()
    cb, cr = color.ab_to_ycbcr(frame.luma, 0.3 * frame.ab, "bt709")
    truth = np.moveaxis(color.ycbcr_to_rgb(frame.luma, cb, cr, "bt709").clip(0, 1), 0, -1) * 255
    miss = np.abs(preview_rgb(frame, 0.3) - truth)
    assert np.percentile(miss, 99) < 3 and miss.mean() < 0.6


def test_wide_gamut_is_shown_in_srgb() -> None:
    frame = sample("bt2020")
    quiet = PreviewFrame(0, 0, frame.time_base, np.full((4, 4), 0.5, np.float32), np.zeros((2, 4, 4), np.float32))
    np.testing.assert_array_equal(preview_rgb(quiet), 128)
    lab = color.rgb_to_lab(np.moveaxis(preview_rgb(frame, 0.2), -1, 0).astype(np.float32) / 255)
    inside = (frame.luma > 0.3) & (frame.luma < 0.7)
    assert np.abs(lab[1:] - 0.2 * frame.ab)[:, inside].max() < 2.5


def test_chroma_alone_is_shown_at_one_lightness() -> None:
    frame = sample()
    lab = color.rgb_to_lab(np.moveaxis(chroma_rgb(frame, 0.2), -1, 0).astype(np.float32) / 255)
    assert np.abs(lab[0] - 60).max() < 0.5 and np.abs(lab[1:] - 0.2 * frame.ab).max() < 1.0
    strong = color.rgb_to_lab(np.moveaxis(chroma_rgb(frame, 4.0), -1, 0).astype(np.float32) / 255)
    assert np.abs(strong[0] - 60).max() < 0.5, "what cannot be shown is weaker, not of another lightness"
    same_hue = (strong[1:] * frame.ab).sum(axis=0) / np.hypot(*strong[1:]) / np.hypot(*frame.ab)
    assert np.percentile(same_hue, 1) > 0.999 and np.hypot(*strong[1:]).mean() > 30
