"""What the network errs on its hints is learned, and taken off elsewhere."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data

from videocolor.color import rgb_to_lab, rgb_to_luma
from videocolor.models.base import HintInput
from videocolor.models.hint.calibration import Case, calibrate
from videocolor.models.hint.colorizer import HintColorizer
from videocolor.models.registry import load_colorizer
from videocolor.types import Array

SIZE = (96, 160)
EVERYWHERE = np.ones((SIZE[0] // 2, SIZE[1] // 2), np.float32)


def picture(name: str, top: int = 0) -> tuple[Array, Array]:
    """Luma and a*b* of a color photograph."""
    rgb = getattr(skimage.data, name)()[top : top + 200, :300]
    planes = np.moveaxis(cv2.resize(rgb, SIZE[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255, -1, 0)
    return rgb_to_luma(planes, "bt601"), rgb_to_lab(planes)[1:]


def half(ab: Array) -> Array:
    return np.stack([cv2.resize(plane, (SIZE[1] // 2, SIZE[0] // 2), interpolation=cv2.INTER_AREA) for plane in ab])


def error(one: Array, other: Array) -> float:
    return float(np.sqrt(np.mean((one - other) ** 2)))


def test_a_dull_network_is_mended() -> None:
    """It says two thirds of the color, and its blue is too low in the light: the same everywhere."""
    cases = []
    for top in (0, 120):
        luma, truth = picture("coffee", top)
        bright = cv2.resize(luma, (SIZE[1] // 2, SIZE[0] // 2), interpolation=cv2.INTER_AREA)
        made = half(truth) * np.float32(2 / 3)
        made[1] -= 10 * bright
        cases.append((luma, truth, made))
    (luma, truth, made), (other, wanted, said) = cases
    calibration = calibrate([Case(luma, made, truth)])
    assert calibration is not None
    mended = said + calibration.correction(said, other, EVERYWHERE)
    assert error(mended, half(wanted)) < 0.35 * error(said, half(wanted))
    assert error(made + calibration.correction(made, luma, EVERYWHERE), half(truth)) < 0.2 * error(made, half(truth))


def test_what_the_hints_have_not_shown_stays() -> None:
    luma, truth = picture("coffee")
    calibration = calibrate([Case(luma, half(truth) + 8, truth)])
    assert calibration is not None
    blue = np.stack([np.full((48, 80), 20, np.float32), np.full((48, 80), -70, np.float32)])
    assert np.abs(calibration.correction(blue, np.full(SIZE, 0.9, np.float32), EVERYWHERE)).max() < 0.01
    assert calibration.correction(half(truth) + 8, luma, EVERYWHERE).mean() == pytest.approx(-8, abs=0.8)


def test_only_what_is_wanted_is_found() -> None:
    luma, truth = picture("coffee")
    made = half(truth) + 8
    calibration = calibrate([Case(luma, made, truth)])
    assert calibration is not None
    share = np.zeros_like(EVERYWHERE)
    assert not calibration.correction(made, luma, share).any()
    share[:, :40], share[:, 40:60] = 0.5, 1e-4
    part, whole = (calibration.correction(made, luma, wanted) for wanted in (share, EVERYWHERE))
    np.testing.assert_allclose(part[:, :, :40], 0.5 * whole[:, :, :40], atol=1e-3)
    assert not part[:, :, 40:].any()


def test_only_what_is_painted_is_learnt_from() -> None:
    luma, truth = picture("coffee")
    mask = np.zeros(SIZE, np.float32)
    mask[:, :80] = 1
    made = half(truth) + 5
    spoilt = np.where(mask > 0, truth, 99).astype(np.float32)
    clean, other = (calibrate([Case(luma, made, colors, mask)]) for colors in (truth, spoilt))
    assert clean is not None and other is not None
    np.testing.assert_array_equal(clean.weights, other.weights)
    mask[:] = 0
    mask[:20, :20] = 1
    assert calibrate([Case(luma, made, truth, mask)]) is None, "a spot tells too little"


def test_no_film_knows_it_from_the_next_one() -> None:
    luma, truth = picture("coffee")
    first, second = (calibrate([Case(luma, half(truth) * 0.7, truth)]) for _ in range(2))
    assert first is not None and second is not None
    np.testing.assert_array_equal(first.weights, second.weights)


def test_the_network_gives_hints_back() -> None:
    net = load_colorizer("hint", device="cpu")
    assert isinstance(net, HintColorizer)
    luma, truth = picture("astronaut")
    memory = net.begin([HintInput(luma, truth)])
    plain = net.step(memory._replace(calibration=None), luma[None])
    mended = net.step(memory, luma[None])
    assert error(mended.ab[0], half(truth)) < 0.8 * error(plain.ab[0], half(truth))
    assert plain.confidence is not None and mended.confidence is not None
    np.testing.assert_array_equal(plain.confidence, mended.confidence)
    moved = np.zeros((1, 4, SIZE[0] // 2, SIZE[1] // 2), np.float32)
    moved[:, :2], moved[:, 2] = half(truth), 1
    kept = [net.step(known, luma[None], moved.copy()).ab for known in (memory, memory._replace(calibration=None))]
    np.testing.assert_array_equal(*kept, err_msg="what motion brought is right as it is")
    assert net.begin([]).calibration is None


def test_what_is_unpainted_and_unlike_what_is_painted() -> None:
    """Half of a picture is painted: its mirror image is alike, another picture is not."""
    net = load_colorizer("hint", device="cpu")
    assert isinstance(net, HintColorizer)
    luma, ab = picture("astronaut")
    other, _ = picture("coffee")
    half = luma.shape[1] // 2
    mask = np.zeros_like(luma)
    mask[:, :half] = 1
    alike, unlike = luma.copy(), luma.copy()
    alike[:, half:], unlike[:, half:] = luma[:, :half], other[:, half:]
    found = [net.unlike(HintInput(seen, ab, mask)) for seen in (alike, unlike)]
    assert found[0] is not None and found[1] is not None
    edge = half // 8 + 1
    assert found[1][:, edge:].mean() > 2 * found[0][:, edge:].mean()
    assert found[1][:, : edge - 1].max() == 0, "what is painted is like itself"
    assert net.unlike(HintInput(luma, ab)) is None and net.unlike(HintInput(luma, ab, np.zeros_like(luma))) is None
