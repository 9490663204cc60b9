"""Figures of the published systems: autoencoders, curves, maps and repainted pictures, all on the same frames."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from videocolor.color import rgb_to_lab, rgb_to_luma
from videocolor.models.base import Colorizer, HintInput
from videocolor.shots.prepare import working_size
from videocolor.types import Array

LABEL: Final = 14
"""Height of a name, in pixels."""
_WIDTH: Final = 104
"""Of a picture in the strip."""
_HUES: Final = ((200, 30, 30), (30, 110, 200), (30, 150, 60), (160, 60, 170), (210, 130, 0), (0, 150, 160))


def small_luma(codes: Array, size: tuple[int, int]) -> Array:
    """(h, w) float32 in 0..1 of (height, width) uint8."""
    return cv2.resize(codes, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)


def hint_of(rgb: Array, size: tuple[int, int]) -> HintInput:
    """A picture (h, w, 3) uint8 as a network gets it."""
    small = np.moveaxis(cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255, -1, 0)
    return HintInput(rgb_to_luma(small, "bt709"), rgb_to_lab(small)[1:])


def rgb_of(net: Any, memory: Any, luma: Array, shape: tuple[int, int]) -> Array:
    """(height, width, 3) uint8: H's own R'G'B' picture."""
    rgb = np.moveaxis(net.rgb(memory, luma[None])[0], 0, -1)
    large = cv2.resize(rgb, shape[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
    return np.asarray(np.rint(large * 255), np.uint8)


def strip(clips: Path, listed: str | None, nets: Mapping[str, Colorizer], most: int = 5) -> Array:
    """A frame of some clips, a row each, the clip's first frame being the hint."""
    from videocolor.evaluation.clips import list_clips, read_frames
    from videocolor.evaluation.settings import ClipSettings
    from videocolor.models.registry import load_colorizer

    shown = {"ours": load_colorizer("hint", device="cpu", threads=1), **nets}
    own = [name for name in ("h4", "h2") if name in nets][:1]
    rows = [_names(["truth", "hint", "gray", *shown, *(f"{name}-rgb" for name in own)])]
    for clip in list_clips(clips, ClipSettings(listed=listed, most=most)):
        frames = list(islice(read_frames(clip.path, short_side=144), 48))
        rows.append(_row(frames[0], frames[-1], shown, own))
    return np.concatenate(rows)


def _row(hint: Array, truth: Array, nets: Mapping[str, Any], own: Sequence[str]) -> Array:
    from videocolor.evaluation.tasks import luma_codes, matrix_for, picture
    from videocolor.pipeline.upsample import upsample_chroma

    matrix = matrix_for(truth.shape[0])
    codes = luma_codes(truth, matrix)
    luma = codes.astype(np.float32) / 255
    pictures, mosaics = [truth, hint, np.repeat(codes[..., None], 3, axis=2)], []
    for name, net in nets.items():
        size = working_size(truth.shape[1], truth.shape[0], net.card)
        memory = net.begin([hint_of(hint, size)] if net.card.hints != "none" else [])
        seen = small_luma(codes, size)
        ab = net.step(memory, seen[None]).ab[0]
        guide = cv2.resize(seen, (ab.shape[2], ab.shape[1]), interpolation=cv2.INTER_AREA)
        pictures.append(picture(codes, upsample_chroma(ab, guide, luma), matrix))
        if name in own:
            mosaics.append(rgb_of(net, memory, seen, codes.shape))
    height = round(_WIDTH * truth.shape[0] / truth.shape[1])
    parts = (cv2.resize(part, (_WIDTH, height), interpolation=cv2.INTER_AREA) for part in (*pictures, *mosaics))
    return np.concatenate(list(parts), axis=1)


def _names(names: Sequence[str], width: int = _WIDTH) -> Array:
    head = np.full((LABEL, width * len(names), 3), 255, np.uint8)
    for place, name in enumerate(names):
        _text(head, name, (width * place + 3, LABEL - 3))
    return head


def _text(image: Array, text: str, at: tuple[int, int], color: tuple[int, int, int] = (0, 0, 0)) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.38, color, 1, cv2.LINE_AA)


def autoencoder_sheet(out: Path, side: int = 72, rows: int = 4) -> Array | None:
    """Input, target and output of H's autoencoders after their last epoch, side by side."""
    blocks = []
    for kind in ("gray", "outlines", "hint"):
        sheets = sorted((out / f"h_{kind}" / "pictures").glob("*.jpg"))
        if sheets:
            sheet = np.asarray(cv2.imread(str(sheets[-1])))[..., ::-1]
            own = sheet.shape[1] // 3
            part = cv2.resize(sheet[: rows * own], (3 * side, rows * side), interpolation=cv2.INTER_NEAREST)
            blocks.append(np.concatenate([_names([f"{kind}: input", "target", "output"], side), part]))
    return np.concatenate(blocks, axis=1) if blocks else None


def epochs(path: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics that are of epochs."""
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if "epoch" in row]


def curves(errors: Mapping[str, Sequence[float]], size: tuple[int, int] = (300, 560)) -> Array | None:
    """Errors by epoch, relative to that after the first, on a logarithmic scale of 1/8 to 2."""
    found = {name: values for name, values in errors.items() if len(values) > 1}
    if not found:
        return None
    height, width = size
    image, last = np.full((height, width, 3), 255, np.uint8), max(map(len, found.values()))

    def place(epoch: int, ratio: float) -> tuple[int, int]:
        up = (np.log2(min(max(ratio, 0.125), 2)) + 3) / 4
        return round(40 + (width - 150) * epoch / (last - 1)), round(height - 25 - (height - 45) * up)

    for ratio in (0.125, 0.25, 0.5, 1, 2):
        cv2.line(image, place(0, ratio), place(last - 1, ratio), (225, 225, 225))
        _text(image, f"{ratio:g}", (4, place(0, ratio)[1] + 4))
    for number, (name, values) in enumerate(found.items()):
        color = _HUES[number % len(_HUES)]
        points = [place(epoch, value / values[0]) for epoch, value in enumerate(values)]
        for a, b in pairwise(points):
            cv2.line(image, a, b, color, 1, cv2.LINE_AA)
        _text(image, name, (width - 100, 20 + 16 * number), color)
    _text(image, f"epochs 1 to {last}", (40, height - 6))
    return image


def patch_figure(out: Path, pack: Path | None, nets: Mapping[str, Colorizer], most: int = 3) -> Array | None:
    """P's figure in the paper, of pictures that it did not learn from where there are such."""
    from published_patches import patch_sheet

    maps = out / "p" / "maps.json"
    if "p" not in nets or pack is None or not maps.is_file():
        return None
    held = pack.with_name(f"{pack.name}_held")
    books = [np.asarray(entry["codebook"], np.float32) for entry in json.loads(maps.read_text()).values()]
    net: Any = nets["p"]
    return patch_sheet(list(islice(_pictures(held if held.exists() else pack), most)), net, books, side=128)


def _pictures(pack: Path) -> Iterator[Array]:
    from videocolor.datasets.pack import PackReader

    reader = PackReader(pack)
    items = reader.images or reader.clips
    for item in items[:: max(1, len(items) // 5)]:
        yield reader.frame(item, 0)
