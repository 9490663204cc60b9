"""Tiny films, hint pictures and networks of the golden cases, made from recipes with NumPy, OpenCV and PyAV alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Recipe = Mapping[str, Any]
Size = tuple[int, int]

SWING = 40
"""Columns of a scene beside the picture: it pans forth and back over them."""
KR_KB = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}
TAGS = {"bt601": {"colorspace": 6}, "bt709": {"colorspace": 1}}


def name_of(recipe: Recipe, suffix: str) -> str:
    """Name of the file that a recipe makes: equal recipes share it."""
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]
    return f"{digest}{suffix}"


def length_of(recipe: Recipe) -> int:
    """Frames of a film."""
    return sum(length for _, length in recipe["shots"])


def starts_of(recipe: Recipe) -> list[int]:
    """First frame of every shot."""
    return [sum(length for _, length in recipe["shots"][:i]) for i in range(len(recipe["shots"]))]


def times_of(recipe: Recipe) -> list[Fraction]:
    """Time of every frame, in seconds; uneven, in whole milliseconds, where the recipe has `uneven`."""
    count, rate = length_of(recipe), Fraction(recipe["rate"])
    if recipe.get("uneven") is None:
        return [index / rate for index in range(count)]
    mean = float(1000 / rate)
    steps = np.random.default_rng(recipe["uneven"]).integers(int(mean * 0.3), int(mean * 1.7), count)
    return [Fraction(int(time), 1000) for time in np.cumsum(steps)]


def picture_at(recipe: Recipe, index: int) -> Array:
    """(h, w, 3) float32 R'G'B' in 0..1 of a film's frame, before it loses its color."""
    for seed, length in recipe["shots"]:
        if index < length:
            return scene(seed, index, tuple(recipe["size"]))
        index -= length
    raise IndexError("beyond the film")


@lru_cache(maxsize=64)
def _backdrop(seed: int, size: Size) -> tuple[Array, Array]:
    rng, (w, h) = np.random.default_rng(seed), size
    colors = rng.uniform(0.1, 0.9, (4, 8, 3)).astype(np.float32)
    wide = cv2.resize(colors, (w + SWING, h), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(0, 0.2, (h, w + SWING)).astype(np.float32)
    return wide + cv2.GaussianBlur(grain, (0, 0), 1.2)[..., None], rng.uniform(0.1, 0.9, 3).astype(np.float32)


def scene(seed: int, index: int, size: Size) -> Array:
    """(h, w, 3) float32 R'G'B': frame `index` of a pan over soft colors, with a disc that moves the other way."""
    (wide, color), (w, h) = _backdrop(seed, size), size
    step = index * (1 + seed % 3)
    shift = step % SWING if step // SWING % 2 == 0 else SWING - 1 - step % SWING
    rgb = wide[:, shift : shift + w].copy()
    rows, columns = np.mgrid[:h, :w]
    x, y = (w * 0.8 - index * 1.5) % w, h * (0.3 + 0.4 * (seed % 2))
    rgb[(columns - x) ** 2 + (rows - y) ** 2 < (h / 5) ** 2] = color
    return np.clip(rgb, 0.04, 0.96).astype(np.float32)


def make_film(recipe: Recipe, path: Path) -> None:
    """Write the film of a recipe, or a folder of images where it has `images`.

    Recipe: shots [[seed, frames]...], size [w, h], rate, pix_fmt; and, each optional, color (none, tint, full),
    matrix (bt601, bt709), full_range, uneven (seed of the times), flicker, dust, comb (how far apart the fields are).
    """
    if path.exists():
        return
    frames = [_codes(recipe, index) for index in range(length_of(recipe))]
    if recipe.get("images"):
        path.mkdir()
        for index, planes in enumerate(frames):
            _write_png(path / f"{index:05d}.png", planes[0])
        return
    rate, (w, h) = Fraction(recipe["rate"]), recipe["size"]
    base = Fraction(1, 1000) if recipe.get("uneven") is not None else 1 / rate
    tags = TAGS[recipe.get("matrix", "bt601")] | {"color_range": 2 if recipe.get("full_range") else 1}
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("ffv1", rate=rate)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt, context.time_base = w, h, recipe["pix_fmt"], base
        for name, value in tags.items():
            setattr(context, name, value)
        for planes, time in zip(frames, times_of(recipe), strict=True):
            frame = av.VideoFrame(w, h, recipe["pix_fmt"])
            for view, plane in zip(planes_of(frame), planes, strict=True):
                view[...] = plane
            frame.pts, frame.time_base = int(time / base), base
            for name, value in tags.items():
                setattr(frame, name, value)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def planes_of(frame: av.VideoFrame) -> list[Array]:
    """(h, w) views of the samples of a frame's planes, without padding."""
    dtype = np.dtype("<u2" if frame.format.components[0].bits > 8 else "u1")
    rows = [np.frombuffer(p, np.uint8).reshape(p.height, p.line_size) for p in frame.planes]
    return [row[:, : p.width * dtype.itemsize].view(dtype) for row, p in zip(rows, frame.planes, strict=True)]


def _codes(recipe: Recipe, index: int) -> list[Array]:
    """The planes of a frame, as they are stored."""
    rgb, fmt = picture_at(recipe, index), av.VideoFormat(recipe["pix_fmt"], *recipe["size"])
    (w, h), depth = recipe["size"], fmt.components[0].bits
    if comb := recipe.get("comb"):
        rgb[1::2] = picture_at(recipe, min(index + comb, length_of(recipe) - 1))[1::2]
    kr, kb = KR_KB[recipe.get("matrix", "bt601")]
    luma = kr * rgb[..., 0] + (1 - kr - kb) * rgb[..., 1] + kb * rgb[..., 2]
    cb, cr = (rgb[..., 2] - luma) / (2 * (1 - kb)), (rgb[..., 0] - luma) / (2 * (1 - kr))
    rng = np.random.default_rng([index, w])
    if recipe.get("flicker"):
        luma = luma * (1 + recipe["flicker"] * rng.uniform(-1, 1))
    if recipe.get("dust"):
        for x, y in zip(rng.integers(0, w - 3, 3), rng.integers(0, h - 3, 3), strict=True):
            luma[y : y + 3, x : x + 3] = 0.97
    strength = {"none": 0.0, "tint": 0.0, "full": 1.0}[recipe.get("color", "none")]
    tint = 0.06 if recipe.get("color") == "tint" else 0.0
    scale, whole = 1 << (depth - 8), bool(recipe.get("full_range"))
    black, span, swing = (0, 255, 255) if whole else (16, 219, 224)
    planes = [_rounded((black + span * luma) * scale, depth)]
    if len(fmt.components) < 3:
        return planes
    chroma = (fmt.chroma_width(w), fmt.chroma_height(h))
    for plane, shift in ((cb, -tint), (cr, tint)):
        small = cv2.resize((plane * strength + shift).astype(np.float32), chroma, interpolation=cv2.INTER_AREA)
        planes.append(_rounded((128 + swing * small) * scale, depth))
    return planes


def _rounded(values: Array, depth: int) -> Array:
    return np.clip(np.rint(values), 0, (1 << depth) - 1).astype(np.uint8 if depth == 8 else np.uint16)


def make_picture(recipe: Recipe, path: Path) -> None:
    """Write a hint.

    Recipe: scene, index, size; and, each optional, spots (seed: transparent but for a few), leak (red light over a
    side), hue (turn the channels: a painter's other colors), wide (16 bits).
    """
    if path.exists():
        return
    rgb = scene(recipe["scene"], recipe["index"], tuple(recipe["size"])).copy()
    if recipe.get("hue"):
        rgb = np.roll(rgb, recipe["hue"], axis=-1)
    if recipe.get("leak"):
        rgb[:, : rgb.shape[1] // 4] += np.array([0.5, 0.15, 0.0], np.float32)
    if recipe.get("spots") is not None:
        rng = np.random.default_rng(recipe["spots"])
        alpha = np.zeros((*rgb.shape[:2], 1), np.float32)
        for x, y in zip(rng.uniform(0.1, 0.9, 5), rng.uniform(0.1, 0.9, 5), strict=True):
            center = (int(x * rgb.shape[1]), int(y * rgb.shape[0]))
            cv2.circle(alpha, center, max(2, rgb.shape[0] // 16), 1.0, -1)
        rgb = np.concatenate([rgb, alpha], axis=-1)
    depth = 16 if recipe.get("wide") else 8
    path.parent.mkdir(exist_ok=True)
    order = [2, 1, 0, 3][: rgb.shape[-1]]
    _write_png(path, _rounded(np.clip(rgb[..., order], 0, 1) * ((1 << depth) - 1), depth))


def _write_png(path: Path, samples: Array) -> None:
    path.write_bytes(cv2.imencode(".png", samples)[1].tobytes())


def make_network(path: Path, matrix: Sequence[Sequence[float]], bias: Sequence[float], stride: int) -> None:
    """Write an ONNX colorizer, one 1x1 convolution from gray R'G'B' to a*b*, and the card beside it."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.asarray(matrix, np.float32)[:, :, None, None]
    tensors = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.asarray(bias, np.float32), "b")]
    node = helper.make_node("Conv", ["input", "w", "b"], ["output"], strides=[stride, stride])
    ports = [
        helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, "h", "w"]),
        helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 2, "h2", "w2"]),
    ]
    graph = helper.make_graph([node], "small", ports[:1], ports[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    path.with_suffix(".yaml").write_text("input: {color: gray_rgb}\noutput: {color: ab}\n")
