"""Hints that come into a project: written first, then known; refused with nothing changed; undone with all."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from films import write_reel

from videocolor.color import rgb_to_lab, rgb_to_luma
from videocolor.config import ColorizeConfig
from videocolor.errors import HintError, UsageError
from videocolor.hints.plan import hint_fits_frame, load_hint
from videocolor.studio import hints
from videocolor.studio.contradictions import contradictions
from videocolor.studio.errors import StaleRevisionError
from videocolor.studio.hints import RADIUS, parse_color, points_picture, shade, shades
from videocolor.studio.project import ProjectStore
from videocolor.studio.projectdata import Point
from videocolor.types import Array, ColorSpec, Frame, PixelLayout

CUTS = (0, 8, 14)
WIDTH, HEIGHT = 160, 120


@dataclass(frozen=True)
class Index:
    """A film that was looked through."""

    frames: int = 21
    time_base: Fraction = Fraction(1, 12)

    @property
    def pts(self) -> range:
        return range(self.frames)


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reel(tmp_path_factory.mktemp("reel") / "reel.mkv", ((1, 8), (2, 6), (3, 7)))


@pytest.fixture
def store(reel: Path, tmp_path: Path) -> Any:
    with ProjectStore.open_or_create(None, Path(shutil.copy2(reel, tmp_path / "reel.mkv"))) as made:
        made.set_cuts(CUTS, Index())
        yield made


def painting(seed: int) -> Array:
    """(120, 160, 3) float32, of shapes and texture, colored."""
    rng = np.random.default_rng(seed)
    picture = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    for size in (4, 12, 36):
        noise = rng.random((size, size * 4 // 3, 3)).astype(np.float32) - 0.5
        picture += 0.4 * cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0.05, 0.95)


def luma_of(rgb: Array) -> Array:
    return rgb @ np.array([0.2126, 0.7152, 0.0722], np.float32)


def frame_of(rgb: Array, index: int, depth: int = 8) -> Frame:
    """A gray frame of limited range, as a film holds it."""
    codes = np.rint((16 + 219 * luma_of(rgb)) * 2 ** (depth - 8)).astype(np.uint8 if depth == 8 else np.uint16)
    layout = PixelLayout("gray" if depth == 8 else "gray10le", depth, "gray", (0, 0))
    return Frame(index, index, Fraction(1, 12), codes, layout, ColorSpec("bt709", "limited"))


def png(rgb: Array, mask: Array | None = None) -> bytes:
    planes = rgb[..., ::-1] if mask is None else np.dstack([rgb[..., ::-1], mask])
    done, data = cv2.imencode(".png", np.rint(planes * 255).astype(np.uint8))
    assert done
    return data.tobytes()


def files(store: ProjectStore) -> list[str]:
    return sorted(path.name for path in (store.folder / "hints").iterdir())


def test_a_painted_frame_is_aligned_and_read_back_as_its_own_frame(store: ProjectStore) -> None:
    rgb = painting(1)
    larger = cv2.resize(rgb, (400, 300), interpolation=cv2.INTER_CUBIC)
    state = hints.add_painted(store, store.revision, frame_of(rgb, 9), png(np.clip(larger, 0, 1)), "mine.png")
    (hint,) = state.data.hints
    assert (hint.kind, hint.frame, hint.shots, hint.label) == ("painted", 9, (8,), "mine.png")
    assert hint.origin["moved"] == "scaled to 40.0 %" and hint.origin["size"] == [400, 300]
    read = load_hint(None, store.image_path(hint))
    assert read.rgb.shape == rgb.shape and read.mask is None
    assert hint_fits_frame(read, np.rint(luma_of(rgb) * 255).astype(np.uint8)) > 0.999
    config: ColorizeConfig = store.config()
    (assigned,) = config.hints.assigned
    assert assigned.frame == 9 and Path(assigned.image) == store.image_path(hint)


def test_films_of_more_bits_get_hints_of_sixteen(store: ProjectStore) -> None:
    rgb = painting(1)
    (hint,) = hints.add_painted(store, store.revision, frame_of(rgb, 2, 10), png(rgb), "a.png").data.hints
    raw = cv2.imread(str(store.image_path(hint)), cv2.IMREAD_UNCHANGED)
    assert raw is not None and raw.dtype == np.uint16


def test_a_refused_painting_leaves_nothing(store: ProjectStore) -> None:
    before, state = store.revision, store.state
    with pytest.raises(HintError, match=r"other\.png: does not show frame 3"):
        hints.add_painted(store, before, frame_of(painting(1), 3), png(painting(2)), "other.png")
    gray = np.repeat(luma_of(painting(1))[..., None], 3, axis=2)
    with pytest.raises(HintError, match="has no color"):
        hints.add_painted(store, before, frame_of(painting(1), 3), png(gray), "gray.png")
    with pytest.raises(HintError, match="not a picture"):
        hints.add_loose(store, before, 0, b"<html>", "page.png")
    assert (store.revision, store.state, files(store)) == (before, state, [])


def test_stale_requests_write_nothing(store: ProjectStore) -> None:
    old = store.revision
    hints.add_loose(store, old, 0, png(painting(1)), "a.png")
    there = files(store)
    for stale in (
        lambda: hints.add_loose(store, old, 0, png(painting(2)), "b.png"),
        lambda: hints.add_painted(store, old, frame_of(painting(1), 3), png(painting(1)), "c.png"),
        lambda: hints.set_points(store, old, frame_of(painting(1), 3), [Point(x=0.5, y=0.5, color="#ff0000")]),
        lambda: hints.add_frame(store, old, 0, np.rint(painting(3) * 255).astype(np.uint8)),
    ):
        with pytest.raises(StaleRevisionError):
            stale()
    assert files(store) == there


def test_painting_a_frame_again_takes_the_place_of_the_first(store: ProjectStore) -> None:
    rgb = painting(1)
    first = hints.add_painted(store, store.revision, frame_of(rgb, 3), png(rgb), "first.png").data.hints[0]
    warmer = np.clip(rgb + np.array([0.06, 0, -0.06], np.float32), 0, 1)
    (second,) = hints.add_painted(store, store.revision, frame_of(rgb, 3), png(warmer), "second.png").data.hints
    assert second.id == first.id and second.image != first.image and second.label == "second.png"
    assert store.undo(store.revision).data.hints == (first,)
    assert store.image_path(first).is_file() and store.image_path(second).is_file()


@pytest.mark.slow
def test_a_loose_photo_keeps_its_sides_and_its_shot(store: ProjectStore) -> None:
    large = cv2.resize(painting(4), (2400, 1200))
    state = hints.add_loose(store, store.revision, 8, png(large), "../../etc/<b>photo</b>.jpg")
    (hint,) = state.data.hints
    assert (hint.kind, hint.frame, hint.shots) == ("loose", None, (8,))
    assert hint.label == "b>.jpg"  # what stands behind the last stroke; no path survives
    read = load_hint(None, store.image_path(hint)).rgb
    assert read.shape[1] / read.shape[0] == pytest.approx(2, rel=0.01) and read.shape[0] * read.shape[1] <= 1920 * 1081
    with pytest.raises(UsageError):
        hints.add_loose(store, store.revision, 9, png(large), "no shot begins at 9")


def test_a_frame_of_another_shot(store: ProjectStore) -> None:
    rgb = np.rint(painting(5) * 255).astype(np.uint8)
    state = hints.add_frame(store, store.revision, 14, rgb, frame=3, origin={"source": "preview"})
    (hint,) = state.data.hints
    assert (hint.kind, hint.frame, hint.shots) == ("frame", None, (14,))
    assert hint.origin == {"frame": 3, "source": "preview"}
    np.testing.assert_allclose(load_hint(None, store.image_path(hint)).rgb * 255, rgb, atol=1e-3)
    with pytest.raises(HintError, match="no color"):
        hints.add_frame(store, store.revision, 14, np.full((60, 80, 3), 90, np.uint8))


def test_points_become_discs_of_their_colors() -> None:
    luma = luma_of(painting(6)) * 0.4 + 0.3
    points = [Point(x=0.25, y=0.5, color="#b07050", radius=0.1), Point(x=0.75, y=0.25, color="#5070b0", radius=0.05)]
    rgb, mask = points_picture(luma, points)
    np.testing.assert_allclose(luma_of(rgb), luma, atol=1e-3)
    assert mask[60, 40] == mask[30, 120] == 1 and mask[60, 40 + 14] == 0 and mask[100, 150] == 0
    assert float(mask.sum()) == pytest.approx(np.pi * (12**2 + 6**2), rel=0.05)
    found = rgb_to_lab(np.moveaxis(rgb, -1, 0))[1:]
    for (x, y), color in (((40, 60), (0xB0, 0x70, 0x50)), ((120, 30), (0x50, 0x70, 0xB0))):
        near = (np.hypot(*(np.mgrid[:HEIGHT, :WIDTH] - np.array([y, x])[:, None, None])) < 5) & (mask > 0)
        wanted = shade("#" + bytes(color).hex(), luma[near].mean()[None])[:, 0]
        np.testing.assert_allclose(found[:, y, x], wanted, atol=1.5)
    small = cv2.resize(found[0], (WIDTH // 8, HEIGHT // 8), interpolation=cv2.INTER_AREA)
    assert small[7, 5] > 15  # scaling down mixes no gray into a disc


def test_discs_are_round_on_the_screen_and_later_points_hold() -> None:
    luma = np.full((100, 100), 0.5, np.float32)
    _, mask = points_picture(luma, [Point(x=0.5, y=0.5, color="#ff0000", radius=0.2)], sar=Fraction(2))
    rows, columns = np.flatnonzero(mask[:, 50]), np.flatnonzero(mask[50])
    assert np.ptp(rows) == pytest.approx(2 * np.ptp(columns), abs=2)
    both = [Point(x=0.5, y=0.5, color="#a06060", radius=0.2), Point(x=0.5, y=0.5, color="#6060a0", radius=0.1)]
    rgb, _ = points_picture(luma, both)
    ab = rgb_to_lab(np.moveaxis(rgb, -1, 0))[1:]
    assert ab[1, 50, 50] < -10 and ab[1, 50, 66] > 5
    np.testing.assert_allclose(ab[:, 50, 50], shade("#6060a0", np.array([0.5]))[:, 0], atol=0.5)


def test_points_of_a_frame_can_be_changed_and_undone(store: ProjectStore) -> None:
    frame = frame_of(painting(6), 10)
    points = [Point(x=0.3, y=0.4, color="#c03020", radius=RADIUS)]
    (first,) = hints.set_points(store, store.revision, frame, points).data.hints
    assert (first.kind, first.frame, first.shots, first.label) == ("points", 10, (8,), "1 point on frame 10")
    assert load_hint(None, store.image_path(first)).mask is not None
    more = [*points, Point(x=0.7, y=0.6, color="#2030c0", radius=RADIUS)]
    (second,) = hints.set_points(store, store.revision, frame, more, first.id).data.hints
    assert second.id == first.id and second.points == tuple(more) and second.image != first.image
    assert store.undo(store.revision).data.hints == (first,)
    with pytest.raises(UsageError, match="does not hold points on frame 11"):
        hints.set_points(store, store.revision, frame_of(painting(6), 11), points, first.id)
    with pytest.raises(HintError, match="no points"):
        hints.set_points(store, store.revision, frame, [])
    gray = hints.set_points(store, store.revision, frame, [Point(x=0.3, y=0.4, color="#808080")]).data.hints[-1]
    neutral = load_hint(None, store.image_path(gray))
    assert neutral.mask is not None, "a point may say that a thing has no color"
    lab = rgb_to_lab(np.moveaxis(neutral.rgb[neutral.mask > 0.5], -1, 0))
    np.testing.assert_allclose(lab[1:], 0, atol=0.7)


@pytest.mark.parametrize("color", ["#5b3d28", "#33507a", "#7fa3c7", "#b0433f", "#2f5233", "#8a8a8a"])
def test_a_color_keeps_to_its_chroma_or_less(color: str) -> None:
    rgb = parse_color(color)
    own = float(rgb_to_luma(rgb[:, None], "bt709")[0])
    chosen = np.hypot(*rgb_to_lab(rgb)[1:])
    luma = np.linspace(0, 1, 41, dtype=np.float32)
    ab = shade(color, luma)
    chroma = np.hypot(*ab)
    np.testing.assert_allclose(shade(color, np.array([own]))[:, 0], rgb_to_lab(rgb)[1:], atol=0.1)
    assert (chroma <= chosen + 0.01).all() and chroma[0] < 1 and chroma[-1] < 1, "black and white have no color"
    assert (np.diff(chroma[luma < own]) >= -0.05).all(), "less light, less chroma"
    across = ab[0] * ab[1, luma.searchsorted(own)] - ab[1] * ab[0, luma.searchsorted(own)]
    np.testing.assert_allclose(across, 0, atol=0.5)  # the hue stays
    found = [parse_color(one) for one in shades(color)]
    assert float(rgb_to_luma(found[40][:, None], "bt709")[0]) == pytest.approx(40 / 64, abs=0.01), "luma is the film's"


def test_sweeping_deletes_only_what_nobody_needs(store: ProjectStore) -> None:
    hints.add_loose(store, store.revision, 0, png(painting(1)), "kept.png")
    hints.add_loose(store, store.revision, 0, png(painting(2)), "undone.png")
    store.undo(store.revision)
    kept = files(store)  # the undone one too: redo needs it
    orphan = store.save_image("h0009", png(painting(3)))
    own = store.folder / "hints" / "notes.png"
    own.write_bytes(b"a person's own file")
    assert hints.sweep_unused(store) == [orphan]
    assert files(store) == sorted([*kept, "notes.png"])


def test_strokes_areas_and_pins_are_drawn() -> None:
    luma = np.full((60, 80), 0.5, np.float32)
    stroke = Point(x=0.25, y=0.25, path=((0.75, 0.25),), color="#96503c", radius=0.05)
    area = Point(x=0.25, y=0.5, path=((0.75, 0.5), (0.75, 0.9), (0.25, 0.9)), filled=True, color="#55743a", radius=0.01)
    pin = Point(x=0.1, y=0.1, reach="keep")
    ab, mask = hints.points_layer(luma, [stroke, area, pin])
    assert mask[15, 40] == 1 and mask[42, 40] == 1, "along the stroke, and inside of the outline"
    assert mask[22, 40] == 0 and mask[6, 8] == 0, "between them, and at the pin"
    assert ab[0, 15, 40] > 5 > ab[0, 42, 40]
    _, none = hints.points_layer(luma, [pin])
    assert not none.any()


def test_points_that_say_two_colors_of_one_thing_contradict_each_other() -> None:
    one, other = Point(x=0.2, y=0.5, color="#96503c"), Point(x=0.4, y=0.5, color="#33507a")
    left = np.zeros((10, 10), np.float32)
    left[:, :5] = 1
    assert contradictions([one, other], [left, None]) == [[0, 1]]
    assert contradictions([one, other], [left[:, ::-1], left[:, ::-1]]) == []
    assert contradictions([one, other.model_copy(update={"color": "#96503c"})], [left, left]) == []
    assert contradictions([one, other.model_copy(update={"reach": "keep"})], [left, left]) == []
