"""A picture colored elsewhere is laid over its frame: known maps, synthetic scenes, frames of the samples."""

from __future__ import annotations

from itertools import islice, permutations
from pathlib import Path

import cv2
import numpy as np
import pytest

from videocolor.color import codes_to_luma, rgb_to_lab
from videocolor.errors import HintError
from videocolor.hints.align import align_painted
from videocolor.hints.plan import frame_to_rgb
from videocolor.types import Array
from videocolor.video import open_video

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""BT.709, written here once more: an oracle of its own."""


def scene(seed: int, height: int = 240, width: int = 320) -> Array:
    """(h, w, 3) float32: shapes and texture of all sizes, colored."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for size, weight in ((4, 0.35), (12, 0.2), (40, 0.12), (120, 0.05)):
        noise = rng.random((size, size * 4 // 3, 3)).astype(np.float32) - 0.5
        picture += weight * 2 * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        center = (int(rng.integers(width)), int(rng.integers(height)))
        color = tuple(float(v) for v in rng.random(3) - 0.5)
        cv2.circle(picture, center, int(rng.integers(6, 40)), color, -1, cv2.LINE_AA)
    return np.clip(0.5 + picture, 0.02, 0.98)


def luma_of(rgb: Array) -> Array:
    return rgb @ LUMA


def resized(rgb: Array, width: int, height: int) -> Array:
    kind = cv2.INTER_AREA if width < rgb.shape[1] else cv2.INTER_CUBIC
    return np.clip(cv2.resize(rgb, (width, height), interpolation=kind), 0, 1)


def jpeg(rgb: Array, quality: int = 60) -> Array:
    done, data = cv2.imencode(
        ".jpg", np.rint(rgb[..., ::-1] * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    assert done
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255


def moved(rgb: Array, degrees: float, dx: float, dy: float) -> tuple[Array, Array]:
    """Turned about the middle and shifted; and the map from its old pixels to the new ones."""
    h, w = rgb.shape[:2]
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([(w - 1) / 2, (h - 1) / 2])
    forward = np.column_stack([turn, middle - turn @ middle + (dx, dy)])
    return cv2.warpAffine(rgb, forward, (w, h), flags=cv2.INTER_CUBIC), forward


def error(found: Array, truth: Array, shape: tuple[int, ...]) -> float:
    """Largest distance in frame pixels between where a map puts the picture and where it belongs."""
    h, w = shape[:2]
    corners = np.array([[x, y, 1.0] for x in (0, w / 2, w - 1) for y in (0, h / 2, h - 1)]).T
    full = [np.vstack([m, [0, 0, 1]]) for m in (found, truth)]
    back = np.linalg.inv(full[0]) @ (full[1] @ corners)
    return float(np.hypot(*(back - corners)[:2]).max())


def scaling(x: float, y: float, dx: float = 0, dy: float = 0) -> Array:
    """The map of pixel centers for a picture that is x and y times as large, then shifted."""
    return np.array([[x, 0, (x - 1) / 2 + dx], [0, y, (y - 1) / 2 + dy]])


def color_error(found: Array, truth: Array, border: int = 20) -> float:
    """Mean distance in a*b*, away from the border."""
    inner = np.s_[border:-border, border:-border]
    a, b = (rgb_to_lab(np.moveaxis(p[inner], -1, 0))[1:] for p in (found, truth))
    return float(np.hypot(*(a - b)).mean())


TRUE = scene(1)


def test_what_lies_right_is_not_interpolated() -> None:
    found = align_painted(TRUE, None, luma_of(TRUE))
    assert found.moved == "as it is" and found.mask is None and found.correlation > 0.999
    np.testing.assert_allclose(found.rgb, TRUE, atol=0.004)


@pytest.mark.parametrize("depth", [np.uint8, np.float64])
def test_luma_may_come_in_any_depth(depth: type) -> None:
    luma = luma_of(TRUE)
    top = 1.0 if depth is np.float64 else np.iinfo(depth).max
    codes = (np.rint(luma * top) if top > 1 else luma).astype(depth)
    np.testing.assert_allclose(luma_of(align_painted(TRUE, None, codes).rgb), luma, atol=0.004)


@pytest.mark.parametrize(
    ("x", "y"),
    [pytest.param(0.5, 0.5, marks=pytest.mark.slow), pytest.param(1.9, 1.9, marks=pytest.mark.slow), (0.6, 0.9)],
)
def test_scaled_and_stretched(x: float, y: float) -> None:
    width, height = round(320 * x), round(240 * y)
    found = align_painted(resized(TRUE, width, height), None, luma_of(TRUE))
    assert error(found.matrix, scaling(width / 320, height / 240), TRUE.shape) < 0.05
    assert found.mask is None and found.rgb.shape == TRUE.shape


@pytest.mark.parametrize("level", [0.06, *(pytest.param(x, marks=pytest.mark.slow) for x in (0.0, 1.0))])
def test_bars_are_taken_off(level: float) -> None:
    boxed = cv2.copyMakeBorder(TRUE, 0, 0, 53, 54, cv2.BORDER_CONSTANT, value=(level,) * 3)
    found = align_painted(boxed, None, luma_of(TRUE))
    assert error(found.matrix, scaling(1, 1, 53, 0), TRUE.shape) < 0.35
    assert found.mask is None and "bars taken off" in found.moved
    assert color_error(found.rgb, TRUE, 1) < 1.5


def test_a_frame_with_bars_of_its_own() -> None:
    frame = luma_of(TRUE).copy()
    frame[:30] = frame[-30:] = 0
    found = align_painted(TRUE[30:-30], None, frame)
    assert error(found.matrix, scaling(1, 1, 0, -30), TRUE.shape) < 0.35
    assert found.mask is None  # black bars need no paint
    assert color_error(found.rgb, np.where(frame[..., None] > 0, TRUE, 0), 1) < 1.0


def test_a_little_cropped_is_drawn_out_more_stays_unpainted() -> None:
    little = align_painted(TRUE[6:-4, 5:-8], None, luma_of(TRUE))
    assert error(little.matrix, scaling(1, 1, -5, -6), TRUE.shape) < 0.35
    assert little.mask is None and "cropped by" in little.moved
    more = align_painted(TRUE[:, 40:], None, luma_of(TRUE))
    assert more.mask is not None and more.mask[:, :20].max() == 0 and more.mask[:, 45:].min() == 1
    assert more.covered == pytest.approx(280 / 320, abs=0.01)


@pytest.mark.parametrize("degrees", [-3.0, *(pytest.param(x, marks=pytest.mark.slow) for x in (1.0, 2.5))])
def test_turned_and_shifted(degrees: float) -> None:
    painted, truth = moved(TRUE, degrees, 0.02 * 320, -0.03 * 240)
    found = align_painted(painted, None, luma_of(TRUE))
    assert error(found.matrix, truth, TRUE.shape) < 0.5
    assert f"turned back by {abs(degrees):.1f} degrees" in found.moved


@pytest.mark.parametrize(("gamma", "contrast"), [(0.65, 1.0), (1.3, 0.85)])
def test_brightness_changes_neither_place_nor_color(gamma: float, contrast: float) -> None:
    painted = np.clip((TRUE**gamma - 0.5) * contrast + 0.5, 0, 1)
    found = align_painted(painted, None, luma_of(TRUE))
    assert error(found.matrix, scaling(1, 1), TRUE.shape) < 0.35
    np.testing.assert_allclose(luma_of(found.rgb), luma_of(TRUE), atol=0.004)
    before = color_error(painted, TRUE)
    assert color_error(found.rgb, TRUE) < 0.5 * before


def test_all_of_it_at_once() -> None:
    painted, truth = moved(TRUE, 1.5, 5, 3)
    painted = jpeg(resized(painted, 400, 240)[5:-5, 8:-9] ** 1.2)
    whole = np.vstack([scaling(1.25, 1, -8, -5), [0, 0, 1]]) @ np.vstack([truth, [0, 0, 1]])
    found = align_painted(painted, None, luma_of(TRUE))
    assert error(found.matrix, whole[:2], TRUE.shape) < 0.6
    assert found.correlation > 0.95


def test_something_painted_darker_does_not_matter() -> None:
    painted = TRUE.copy()
    painted[60:160, 100:200] = painted[60:160, 100:200] * 0.4 + np.array([0.3, 0, 0], np.float32)
    found = align_painted(resized(painted, 500, 375), None, luma_of(TRUE))
    assert error(found.matrix, scaling(500 / 320, 375 / 240), TRUE.shape) < 0.35
    np.testing.assert_allclose(luma_of(found.rgb), luma_of(TRUE), atol=0.004)


def test_the_mask_moves_along() -> None:
    mask = np.zeros((240, 320), np.float32)
    mask[40:200, 60:260] = 1
    found = align_painted(resized(TRUE, 480, 360), cv2.resize(mask, (480, 360)), luma_of(TRUE))
    assert found.mask is not None
    assert float(np.abs(found.mask - mask).mean()) < 0.01


@pytest.mark.slow
def test_a_layer_of_flat_colors_is_taken_where_it_lies() -> None:
    layer, mask = np.zeros_like(TRUE), np.zeros((240, 320), np.float32)
    layer[50:150, 80:200], mask[50:150, 80:200] = (0.8, 0.2, 0.1), 1
    found = align_painted(layer, mask, luma_of(TRUE))
    assert found.mask is not None and "color layer" in found.moved
    ab = rgb_to_lab(np.moveaxis(found.rgb[90:110, 120:160], -1, 0))[1:].mean(axis=(1, 2))
    assert ab[0] > 20 and ab[1] > 15  # red
    with pytest.raises(HintError, match="does not show this frame"):
        align_painted(layer[:100, 60:], mask[:100, 60:], luma_of(TRUE))  # of other sides: it may lie anywhere


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p[:, ::-1], "mirrored"),
        pytest.param(lambda p: np.rot90(p, 1), "turned by 90 degrees counter-clockwise", marks=pytest.mark.slow),
        pytest.param(lambda p: np.rot90(p, 3), "turned by 90 degrees clockwise", marks=pytest.mark.slow),
        pytest.param(lambda p: np.rot90(p, 2), "upside down", marks=pytest.mark.slow),
        pytest.param(lambda p: 1 - p, "negative", marks=pytest.mark.slow),
    ],
)
def test_the_reason_of_a_refusal(change: object, words: str) -> None:
    painted = np.ascontiguousarray(change(TRUE))  # type: ignore[operator]
    with pytest.raises(HintError, match=words):
        align_painted(painted, None, luma_of(TRUE))


@pytest.mark.slow
def test_another_scene_is_refused_with_numbers() -> None:
    with pytest.raises(HintError, match=r"blue\.png: does not show frame 7: similarity of luma 0\.\d\d.*loose photo"):
        align_painted(scene(2), None, luma_of(TRUE), name="blue.png", frame_name="frame 7")


def test_gray_and_transparent_pictures_are_refused() -> None:
    gray = np.repeat(luma_of(TRUE)[..., None], 3, axis=2)
    with pytest.raises(HintError, match="no color"):
        align_painted(gray, None, luma_of(TRUE))
    with pytest.raises(HintError, match="transparent"):
        align_painted(TRUE, np.zeros((240, 320), np.float32), luma_of(TRUE))


@pytest.mark.slow
def test_a_small_part_of_the_frame_is_refused() -> None:
    with pytest.raises(HintError, match=r"shows only \d\d % of it"):
        align_painted(TRUE[:120, :200], None, luma_of(TRUE))


def test_a_plain_frame_takes_a_picture_of_its_own_sides_only() -> None:
    noise = np.random.default_rng(3).normal(0, 0.004, (240, 320, 1)).astype(np.float32)
    ramp = np.linspace(0.3, 0.6, 320, dtype=np.float32)[None, :, None] * np.array([1.1, 1.0, 0.5], np.float32)
    wall = np.clip(np.broadcast_to(ramp, (240, 320, 3)) + noise, 0, 1)
    assert align_painted(wall, None, luma_of(wall)).moved == "as it is"
    other = np.random.default_rng(4).normal(0, 0.004, (240, 320, 1)).astype(np.float32)
    with pytest.raises(HintError, match="shows too little"):
        align_painted(np.clip(ramp[:, ::-1] + other, 0, 1), None, luma_of(wall))


def sample_frames(samples: Path) -> list[tuple[str, Array, Array]]:
    """(name, R'G'B', luma) of frames of the color clips; of the clip with cuts, of three of its shots."""
    wanted = {"hawk_25fps": (40,), "flower_opening_30fps": (20,), "london_station_60fps": (60,)}
    wanted["cuts_audio_tears_of_steel"] = (10, 150, 300)
    out = []
    for name, indices in wanted.items():
        with open_video(samples / f"{name}.mp4") as video:
            for frame in islice(video, max(indices) + 1):
                if frame.index in indices:
                    luma = codes_to_luma(frame.luma, frame.layout.depth, frame.color.range)
                    out.append((f"{name} {frame.index}", frame_to_rgb(frame), np.clip(luma, 0, 1)))
    return out


@pytest.mark.slow
def test_real_frames_and_no_others(samples: Path) -> None:
    """Each frame, cropped, scaled, brightened and as JPEG 60, is found to half a pixel of 400; of others none."""
    frames = sample_frames(samples)
    for number, (name, rgb, luma) in enumerate(frames):
        h, w = luma.shape
        left, top = 4 + number, 7 - number
        part = rgb[top:, left:] ** (0.8 + 0.1 * number)
        size = (round(0.7 * part.shape[1]), round(0.7 * part.shape[0]))
        x, y = size[0] / part.shape[1], size[1] / part.shape[0]
        truth = scaling(x, y) @ np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]])
        found = align_painted(jpeg(resized(part, *size)), None, luma)
        assert error(found.matrix, truth, (h, w)) < 0.5 * w / 400, name
        assert found.correlation > 0.9, name
    for (name, rgb, _), (other, _, luma) in islice(permutations(frames, 2), 1, None, 7):
        with pytest.raises(HintError, match="does not show"):
            align_painted(rgb, None, luma)
            pytest.fail(f"{name} was taken for {other}")
