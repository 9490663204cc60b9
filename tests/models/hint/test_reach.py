"""A scribble governs the thing that it is on."""

import numpy as np
import pytest

from videocolor.hints.marks import places_of
from videocolor.models.base import HintInput
from videocolor.models.hint import reach as module
from videocolor.models.hint.reach import Region, find_region, find_spots
from videocolor.types import Array, Mark, Reach

SIZE = (64, 128)
RED, BLUE = (40.0, 20.0), (-5.0, -35.0)


def doors() -> tuple[Array, Array]:
    """Luma of a wall with two dark doors, and the keys of its tokens: doors have one direction, the wall another."""
    luma = np.full(SIZE, 0.7, np.float32)
    luma[16:, 16:40] = luma[16:, 80:104] = 0.3
    keys = np.zeros((SIZE[0] // 8 * SIZE[1] // 8, 5), np.float32)
    door = (luma < 0.5)[4::8, 4::8].ravel()
    keys[door, 0] = keys[~door, 1] = 1
    return luma, keys


def region(*scribbles: tuple[float, float, Reach, tuple[float, float]], shift: int = 0) -> Region:
    luma, keys = doors()
    ab, mask, marks = np.zeros((2, *SIZE), np.float32), np.zeros(SIZE, np.float32), []
    for x, y, reach, color in scribbles:
        row, column = int(y * SIZE[0]), int(x * SIZE[1])
        part = (slice(row - 2, row + 3), slice(column - 2, column + 3))
        ab[:, part[0], part[1]] = np.array(color)[:, None, None]
        mask[part] = reach != "keep"
        marks.append(Mark(((x, y),), 0.04, reach=reach))
    found = places_of(tuple(marks), ab, mask, "thing")
    assert found is not None
    spots = find_spots([HintInput(luma, ab, mask, True, *found)], [keys])
    planes = keys.reshape(SIZE[0] // 8, SIZE[1] // 8, -1)
    moved = np.roll(planes, shift // 8, axis=1).reshape(keys.shape)
    return find_region(spots, np.roll(luma, shift, axis=1), moved)


FIRST, SECOND, WALL = (25, 14), (25, 46), (4, 30)
"""Pixels of the grid of prediction: the doors, and the wall between them."""


def test_a_click_on_a_door_colors_this_door_alone() -> None:
    found = region((0.22, 0.6, "thing", RED))
    assert found.governed[FIRST] > 0.9
    assert found.governed[SECOND] < 0.1
    assert found.governed[WALL] < 0.1
    out = found.blend(np.full((2, 32, 64), 30.0), np.zeros((32, 64)), np.zeros((2, 32, 64)))
    assert out[:, FIRST[0], FIRST[1]] == pytest.approx(RED, abs=3)
    assert np.abs(out[:, SECOND[0], SECOND[1]]).max() < 5


def test_everything_alike_is_colored_where_that_is_meant() -> None:
    assert region((0.22, 0.6, "alike", RED)).governed[SECOND] > 0.9


def test_each_door_has_the_color_of_its_own_click() -> None:
    both = region((0.22, 0.6, "thing", RED), (0.71, 0.6, "thing", BLUE))
    assert both.ab[0][FIRST] > 30
    assert both.ab[1][SECOND] < -25


def test_two_clicks_of_one_color_on_alike_places_speak_for_all_of_their_kind() -> None:
    one = region((0.22, 0.9, "here", RED), (0.22, 0.4, "here", RED))
    two = region((0.22, 0.9, "thing", RED), (0.22, 0.4, "thing", RED))
    assert one.governed[SECOND] < 0.3
    assert two.governed[SECOND] > 0.9


def test_here_is_the_place_alone() -> None:
    found = region((0.22, 0.9, "here", RED))
    assert found.governed[28, 14] > 0.9
    assert found.governed[12, 10] < found.governed[28, 14] / 2


def test_a_pin_keeps_its_thing() -> None:
    found = region((0.22, 0.6, "alike", RED), (0.71, 0.6, "keep", RED))
    assert found.governed[FIRST] > 0.9
    assert found.governed[SECOND] < 0.2


def test_a_thing_that_has_moved_is_found() -> None:
    found = region((0.22, 0.6, "thing", RED), shift=16)
    assert found.governed[FIRST[0], FIRST[1] + 8] > 0.9
    assert found.governed[SECOND[0], SECOND[1] + 8] < 0.1


def test_scribbles_without_marks_are_told_apart_by_color() -> None:
    ab, mask = np.zeros((2, *SIZE), np.float32), np.zeros(SIZE, np.float32)
    mask[10:20, 10:30] = 1
    ab[0, :, :20], ab[1, :, 20:] = 30, 30
    found = places_of((), ab, mask, "here")
    assert found is not None
    places, reaches = found
    assert reaches == ("here", "here")
    assert places[15, 15] != places[15, 25]
    assert places_of((), ab, np.ones(SIZE), "here") is None


def test_kept_distances_are_those_that_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    random, ran = np.random.default_rng(0), []
    begin, luma = random.random((3, 12, 16), np.float32), random.random((12, 16), np.float32)
    wanted, kept = module.geodesic(begin.copy(), luma, 0.1 * begin), module.KeptGeodesic()
    plain = module.geodesic
    monkeypatch.setattr(module, "geodesic", lambda *planes: (ran.append(len(planes[0])), plain(*planes))[1])
    for count in (1, 3, 2):
        np.testing.assert_array_equal(kept(begin[:count].copy(), luma, 0.1 * begin[:count]), wanted[:count])
    assert ran == [1, 2]
