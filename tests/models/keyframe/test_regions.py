"""Bins of a*b*, and one colour for each region."""

from __future__ import annotations

import numpy as np
import pytest

from videocolor.models.keyframe.bins import count_bins, make_bins, soft_labels
from videocolor.models.keyframe.regions import Evidence, choose_chroma, find_regions

CENTERS = np.array([[0, 0], [40, 40], [-40, 40]], np.float32)
EVEN = np.ones(3, np.float32)


def evidence(shares: tuple[float, float, float]) -> Evidence:
    """A dark half, gray for certain, and a bright one of these shares."""
    luma = np.full((16, 32), 0.1, np.float32)
    luma[:, 16:] = 0.9
    planes = np.zeros((3, 16, 32), np.float32)
    planes[0, :, :16] = 1
    planes[:, :, 16:] = np.array(shares, np.float32)[:, None, None]
    mean = np.tensordot(CENTERS.T, planes, axes=1)
    return Evidence(luma, mean, planes)


def test_bins_are_those_that_occur_and_rare_ones_weigh_more() -> None:
    rgb = np.full((100, 100, 3), 128, np.uint8)
    rgb[:10] = (255, 0, 0)
    bins = make_bins(count_bins(rgb), uniform=0.5, power=1.0)
    assert {tuple(center) for center in bins.centers} == {(0, 0), (80, 70)}
    gray = bins.centers.any(axis=1).argmin()
    assert bins.weights[1 - gray] > 2 * bins.weights[gray]
    assert (bins.weights * bins.prior).sum() == pytest.approx(1)
    assert (make_bins(count_bins(rgb), uniform=0.5, power=0.0).weights == 1).all()


def test_soft_labels_keep_the_colour() -> None:
    grid = np.stack(np.meshgrid(np.arange(-50, 51, 10), np.arange(-50, 51, 10), indexing="ij"), -1)
    centers = grid.reshape(-1, 2).astype(np.float32)
    bins, shares = soft_labels(centers)
    assert shares.sum(axis=-1) == pytest.approx(1, abs=1e-6)
    assert (centers[bins[110 + 20, 110 - 30]] * shares[110 + 20, 110 - 30, :, None]).sum(0) == pytest.approx([20, -30])
    assert shares[0, 0, 0] > 0.99  # far outside of all bins the nearest takes all


def test_a_region_is_one_thing() -> None:
    regions = find_regions(evidence((0, 0.5, 0.5)))
    assert len(np.unique(regions)) == 2
    assert len(np.unique(regions[:, :14])) == len(np.unique(regions[:, 18:])) == 1


def test_vividness_chooses_where_the_distribution_is_narrow() -> None:
    narrow = evidence((0.1, 0.8, 0.1))
    regions = find_regions(narrow)
    assert (choose_chroma(narrow, regions, CENTERS, EVEN, 0) == narrow.mean).all()
    bold = choose_chroma(narrow, regions, CENTERS, EVEN, 1)
    assert np.hypot(*(bold[:, 8, 24] - (40, 40))) < np.hypot(*(narrow.mean[:, 8, 24] - (40, 40)))
    assert bold[:, 8, 4] == pytest.approx([0, 0], abs=1)
    wide = evidence((0.4, 0.3, 0.3))
    moved = choose_chroma(wide, regions, CENTERS, EVEN, 1) - wide.mean
    assert np.hypot(*moved[:, 8, 24]) < 0.5 * np.hypot(*(bold - narrow.mean)[:, 8, 24]) + 10
