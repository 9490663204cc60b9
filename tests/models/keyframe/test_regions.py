"""Bins of a*b*, and one color for each region."""

from __future__ import annotations

import numpy as np
import pytest

from videocolor.models.keyframe.bins import count_bins, make_bins, soft_labels
from videocolor.models.keyframe.regions import Evidence, Head, by_regions, choose_chroma, find_regions, propose
from videocolor.types import Array

CENTERS = np.array([[0, 0], [40, 40], [-40, 40]], np.float32)
EVEN = np.ones(3, np.float32)
NO_BIAS = np.zeros(3, np.float32)


def evidence(shares: tuple[float, float, float], weights: Array = EVEN) -> Evidence:
    """A dark half, gray for certain, and a bright one of these shares; features are logits, then the mean."""
    luma = np.full((16, 32), 0.1, np.float32)
    luma[:, 16:] = 0.9
    planes = np.full((3, 16, 32), 1e-9, np.float32)
    planes[0, :, :16] = 1
    planes[:, :, 16:] = np.maximum(shares, 1e-9)[:, None, None]
    mean = np.tensordot(CENTERS.T, planes, axes=1)
    unit = np.eye(5, dtype=np.float32)
    head = Head(CENTERS, weights, (unit[:3], NO_BIAS), (unit[3:], NO_BIAS[:2]))
    return Evidence(luma, np.concatenate([np.log(planes), mean]).astype(np.float32), head)


def test_bins_are_those_that_occur_and_rare_ones_weigh_more() -> None:
    rgb = np.full((100, 100, 3), 128, np.uint8)
    rgb[:10] = (255, 0, 0)
    bins = make_bins(count_bins(rgb), uniform=0.5, power=1.0)
    assert {tuple(center) for center in bins.centers} == {(0, 0), (80, 70)}
    gray = bins.centers.any(axis=1).argmin()
    assert bins.weights[1 - gray] > 2 * bins.weights[gray]
    assert (bins.weights * bins.prior).sum() == pytest.approx(1)
    assert (make_bins(count_bins(rgb), uniform=0.5, power=0.0).weights == 1).all()


def test_soft_labels_keep_the_color() -> None:
    grid = np.stack(np.meshgrid(np.arange(-50, 51, 10), np.arange(-50, 51, 10), indexing="ij"), -1)
    centers = grid.reshape(-1, 2).astype(np.float32)
    bins, shares = soft_labels(centers)
    assert shares.sum(axis=-1) == pytest.approx(1, abs=1e-6)
    assert (centers[bins[110 + 20, 110 - 30]] * shares[110 + 20, 110 - 30, :, None]).sum(0) == pytest.approx([20, -30])
    assert shares[0, 0, 0] > 0.99  # far outside of all bins the nearest takes all


def test_a_region_is_one_thing() -> None:
    fine, coarse = find_regions(evidence((0, 0.5, 0.5)))
    for regions in (fine, coarse):
        assert len(np.unique(regions[:, :13])) == len(np.unique(regions[:, 19:])) == 1
    assert len(np.unique(coarse)) == 2


def test_the_annealed_mean_goes_to_what_is_likely() -> None:
    narrow = evidence((0.1, 0.8, 0.1))
    ab = choose_chroma(by_regions(narrow), 0.5)[0]
    assert np.hypot(*(ab[:, 8, 24] - (40, 40))) < 2 < np.hypot(*(narrow.mean[:, 8, 24] - (40, 40)))
    assert ab[:, 8, 4] == pytest.approx([0, 0], abs=1e-3)


def test_a_place_follows_its_region_where_it_does_not_know() -> None:
    given = evidence((0.05, 0.8, 0.15))
    given.features[:3, 8, 24] = np.log((1e-9, 0.5, 0.5))
    ab = choose_chroma(by_regions(given), 0.5)[0]
    assert ab[0, 8, 24] > 30  # its own distribution alone says 0


def test_a_plain_wall_has_no_patches() -> None:
    given = evidence((0.05, 0.8, 0.15))
    given.features[:3, 6:9, 22:25] = np.log((1e-9, 0.04, 0.96))[:, None, None]
    plain = choose_chroma(by_regions(given), 0.5)[0][0, 7, 23]
    given.luma[:, 19:] += np.random.default_rng(1).normal(0, 0.3, (16, 13)).astype(np.float32)
    textured = choose_chroma(by_regions(given), 0.5)[0][0, 7, 23]
    assert plain > 30 > 0 > textured


def test_vividness_prefers_rare_colors() -> None:
    given = evidence((0.5, 0.5, 0), np.array([0.5, 4, 4], np.float32))
    chroma = [float(np.hypot(*choose_chroma(by_regions(given), v)[0][:, 8, 24])) for v in (0, 0.5, 1)]
    assert chroma == sorted(chroma) and chroma[0] < 20 and chroma[2] > 45


def test_proposals_differ_where_there_is_a_choice() -> None:
    given = evidence((0, 0.55, 0.45))
    proposals = propose(given, 0.5, 4)
    assert (proposals[0] == choose_chroma(by_regions(given), 0.5)[0]).all()
    places = np.array([ab[:, 8, 24] for ab in proposals])
    assert places[:, 0].min() < -20 and places[:, 0].max() > 20
    for ab in proposals:
        assert ab[:, 8, 4] == pytest.approx([0, 0], abs=0.1)  # what is certain stays
    assert all((one == other).all() for one, other in zip(proposals, propose(given, 0.5, 4), strict=True))


def test_a_proposal_gives_alike_things_one_color() -> None:
    given = evidence((0, 0.55, 0.45))
    given.luma[:8, 16:] = 0.6  # another region with the same distribution
    for ab in propose(given, 0.5, 4):
        assert ab[:, 3, 24] == pytest.approx(ab[:, 13, 24], abs=1)


def test_what_is_expected_to_be_colorful_is_not_left_gray() -> None:
    weights = np.array([0.8, 1.3, 1.25], np.float32)
    shares = np.array([0.7, 0.16, 0.14]) * weights  # gray is the likeliest, but not sure
    undecided = evidence((float(shares[0]), float(shares[1]), float(shares[2])), weights)
    chroma = [float(np.hypot(*choose_chroma(by_regions(undecided), v)[0]).mean()) for v in (0, 0.5)]
    expected = 0.3 * float(np.hypot(40, 40)) / 2  # the other half is gray for certain
    assert chroma[0] < 1
    assert chroma[1] == pytest.approx(0.6 * expected, rel=0.3)


def test_vivid_prefers_what_is_likely_to_what_is_rare() -> None:
    common, rare = 0.5, 1.5  # the second color is the likelier one, and the third was seen less often
    picture = evidence((0.2, 0.5, 0.3), np.array([1.0, common, rare], np.float32))
    ab = choose_chroma(by_regions(picture), 0.5)[0]
    assert ab[0, :, 20:].mean() > 20 and ab[1, :, 20:].mean() > 20
