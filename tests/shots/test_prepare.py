"""What the stages see of a frame, and how frames are dealt to shots."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from videocolor.models.base import ModelCard
from videocolor.shots.prepare import ListedCuts, Prepared, mark_shots, small_luma, working_size
from videocolor.types import Array, ColorSpec, Frame, PixelLayout, Range

CARD = ModelCard("test", "Test", "none", 0, 0)


def frame(luma: Array, depth: int = 8, range_: Range = "limited", index: int = 0) -> Frame:
    layout = PixelLayout("gray", depth, "gray", (0, 0))
    return Frame(index, index, Fraction(1, 25), luma, layout, ColorSpec("bt709", range_))


@pytest.mark.parametrize(
    ("size", "expected"),
    [((854, 480), (160, 288)), ((640, 480), (192, 256)), ((1920, 1080), (160, 288)), ((480, 854), (288, 160))],
)
def test_working_size_keeps_aspect_and_area(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert working_size(*size, CARD) == expected


@pytest.mark.parametrize("size", [(16, 16), (33, 47), (4096, 64), (64, 4096), (7680, 4320)])
def test_working_size_is_always_a_multiple_and_bounded(size: tuple[int, int]) -> None:
    h, w = working_size(*size, CARD)
    assert h % 32 == 0
    assert w % 32 == 0
    assert h * w <= 1.5 * CARD.area + 32 * 32


def test_hints_are_looked_at_closely_and_small_films_blown_up_a_little_for_loose_ones() -> None:
    card = replace(CARD, area_reference=416 * 240, area_style=512 * 288)
    assert working_size(1920, 1080, card) == (160, 288)
    assert working_size(1920, 1080, card, hints="reference") == (224, 416)
    assert working_size(1920, 1080, card, hints="style") == (288, 512)
    assert working_size(1920, 1080, CARD, hints="style") == (160, 288), "other networks have no such wish"
    height, width = working_size(320, 180, card, hints="style")
    assert 1.7 < height * width / (320 * 180) < 2.3


@pytest.mark.parametrize(("depth", "range_"), [(8, "limited"), (8, "full"), (10, "limited"), (16, "full")])
def test_black_is_zero_and_white_is_one(depth: int, range_: Range) -> None:
    black, white = (16, 235) if range_ == "limited" else (0, 255)
    scale = 2 ** (depth - 8)
    kind = np.uint8 if depth == 8 else np.uint16
    top = white * scale if range_ == "limited" else 2**depth - 1
    low = small_luma(frame(np.full((40, 60), black * scale, kind), depth, range_), (32, 32))
    high = small_luma(frame(np.full((40, 60), top, kind), depth, range_), (32, 32))
    np.testing.assert_allclose(low, 0, atol=1e-6)
    np.testing.assert_allclose(high, 1, atol=1e-6)


class LateCuts:
    """A detector that knows of the cut at frame 3 only two frames later, and of the one at 8 at the end."""

    latency = 2

    def __init__(self) -> None:
        self.count = 0

    def push(self, gray: Array) -> list[int]:
        self.count += 1
        return [3] if self.count == 6 else []

    def finish(self) -> list[int]:
        return [8]


def items(count: int) -> list[Prepared]:
    small = np.zeros((4, 4), np.float32)
    gray = np.zeros((4, 4), np.uint8)
    return [Prepared(frame(gray, index=i), small, gray) for i in range(count)]


def test_late_cuts_still_fall_on_their_frame() -> None:
    marked = list(mark_shots(items(10), LateCuts()))
    assert [number for number, _ in marked] == [0, 0, 0, 1, 1, 1, 1, 1, 2, 2]
    assert [item.frame.index for _, item in marked] == list(range(10))


def test_listed_cuts() -> None:
    marked = list(mark_shots(items(5), ListedCuts([0, 2, 4])))
    assert [number for number, _ in marked] == [0, 0, 1, 1, 2]
