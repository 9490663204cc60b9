"""CIEDE2000 and Lab: the published pairs, and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000

from videocolor.color import lab_of, rgb_to_lab
from videocolor.evaluation.metrics.lab import ciede2000

SHARMA = np.array(
    [  # Sharma, Wu, Dalal 2005, table 1: L1 a1 b1 L2 a2 b2 dE00, pairs 1 to 34
        (50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425),
        (50.0000, 3.1571, -77.2803, 50.0000, 0.0000, -82.7485, 2.8615),
        (50.0000, 2.8361, -74.0200, 50.0000, 0.0000, -82.7485, 3.4412),
        (50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000),
        (50.0000, -1.1848, -84.8006, 50.0000, 0.0000, -82.7485, 1.0000),
        (50.0000, -0.9009, -85.5211, 50.0000, 0.0000, -82.7485, 1.0000),
        (50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669),
        (50.0000, -1.0000, 2.0000, 50.0000, 0.0000, 0.0000, 2.3669),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0009, 7.1792),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0011, 7.2195),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0012, 7.2195),
        (50.0000, -0.0010, 2.4900, 50.0000, 0.0009, -2.4900, 4.8045),
        (50.0000, -0.0010, 2.4900, 50.0000, 0.0010, -2.4900, 4.8045),
        (50.0000, -0.0010, 2.4900, 50.0000, 0.0011, -2.4900, 4.7461),
        (50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065),
        (50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492),
        (50.0000, 2.5000, 0.0000, 61.0000, -5.0000, 29.0000, 22.8977),
        (50.0000, 2.5000, 0.0000, 56.0000, -27.0000, -3.0000, 31.9030),
        (50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535),
        (50.0000, 2.5000, 0.0000, 50.0000, 3.1736, 0.5854, 1.0000),
        (50.0000, 2.5000, 0.0000, 50.0000, 3.2972, 0.0000, 1.0000),
        (50.0000, 2.5000, 0.0000, 50.0000, 1.8634, 0.5757, 1.0000),
        (50.0000, 2.5000, 0.0000, 50.0000, 3.2592, 0.3350, 1.0000),
        (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
        (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
        (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
        (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
        (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
        (36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
        (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
        (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
        (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
        (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
    ]
)


def exact_ciede2000(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.asarray(deltaE_ciede2000(first, second, channel_axis=0))


def exact_lab(rgb: np.ndarray) -> np.ndarray:
    return rgb_to_lab(np.moveaxis(rgb, -1, 0).astype(np.float64) / 255)


def test_published_pairs() -> None:
    # Pairs 9 to 15 lie within 0.002 units of opposite hues, where the formula itself leaps by 0.06: this one must
    # end on the right side of the leap there too, first and second in either order.
    first, second = (SHARMA[:, i : i + 3].T[:, None].astype(np.float32) for i in (0, 3))
    np.testing.assert_allclose(ciede2000(first, second)[0], SHARMA[:, 6], atol=2e-4)
    np.testing.assert_allclose(ciede2000(second, first)[0], SHARMA[:, 6], atol=2e-4)


@pytest.mark.parametrize("spread", [1, 4, 30, 255])
def test_scikit_image_agrees_within_a_thousandth(spread: int) -> None:
    """For colors that are near, far, gray and beyond, the two halves of Lab and the difference together."""
    rng = np.random.default_rng(spread)
    rgb = rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)
    rgb[:60] = rgb[:60, :, :1]  # gray
    rgb[60:80, :, 2] = 255  # blue, where the rotation term is
    other = np.clip(rgb.astype(int) + rng.integers(-spread, spread + 1, rgb.shape), 0, 255).astype(np.uint8)
    other[:30] = other[:30, :, :1]
    exact = exact_ciede2000(exact_lab(rgb), exact_lab(other))
    fast = ciede2000(lab_of(rgb), lab_of(other))
    assert fast.dtype == np.float32
    assert float(np.abs(fast - exact).max()) <= 1e-3


@given(st.tuples(*[st.integers(0, 255)] * 6))
@example((60, 154, 54, 142, 41, 188))  # hues opposite to 1e-5 degrees: the formula leaps by 29.7 there
@example((0, 5, 0, 5, 0, 5))
@settings(max_examples=200)
def test_any_two_colors(codes: tuple[int, ...]) -> None:
    first, second = (np.array(c, np.uint8).reshape(1, 1, 3) for c in (codes[:3], codes[3:]))
    fast = float(ciede2000(lab_of(first), lab_of(second))[0, 0])
    # Where hues are opposite the formula itself leaps, and which side a color is on hangs on its last digit.
    turns = np.array([(0, 0, 0), (0, 3e-4, 0), (0, -3e-4, 0), (0, 0, 3e-4), (0, 0, -3e-4)]).T[:, :, None]
    exact = exact_ciede2000(exact_lab(first) + turns, np.broadcast_to(exact_lab(second), turns.shape))
    assert np.abs(exact - fast).min() <= 1e-3


def test_equal_and_gray_pictures_are_exact() -> None:
    gray = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    assert not lab_of(gray)[1:].any()
    rgb = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert not ciede2000(lab_of(rgb), lab_of(rgb)).any()


def test_16_bits_and_floats_give_the_same_colors() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    exact = exact_lab(rgb)
    np.testing.assert_allclose(lab_of(rgb), exact, atol=1e-3)
    np.testing.assert_allclose(lab_of(rgb.astype(np.uint16) * 257), exact, atol=1e-3)
    np.testing.assert_allclose(lab_of(rgb / 255), exact, atol=1e-3)


def test_a_large_picture_is_cut_into_blocks_without_a_seam() -> None:
    rng = np.random.default_rng(3)
    first, second = (rng.uniform(0, 80, (3, 301, 401)).astype(np.float32) for _ in range(2))
    whole = ciede2000(first, second)
    rows = np.stack([ciede2000(first[:, i : i + 1], second[:, i : i + 1])[0] for i in range(301)])
    np.testing.assert_array_equal(whole, rows)
