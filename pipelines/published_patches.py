"""The figures of Richart, Visca and Baliosian (2017), of a run of P: `videocolor train --config published/p_grid`.

    python pipelines/published_patches.py IMAGE... -o SHEET [--config NAME|PATH] [--set out=OUT]

For each IMAGE: the original, its color without lightness, gray, the predicted color, the prediction; and the image
repainted with each codebook. OUT/tables.md has the paper's two tables, the published values beside ours.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from videocolor.color import lab_to_rgb, rgb_to_luv
from videocolor.errors import InputError, OutputError, VideocolorError
from videocolor.models.registry import load_colorizer
from videocolor.presets import load_model
from videocolor.published.config import PatchesConfig
from videocolor.published.patch_data import square
from videocolor.published.patches import PatchColorizer, nearest, repaint
from videocolor.types import Array

_LINE = 22
"""Pixels of a line of text."""


def picture(config: PatchesConfig, images: list[Path], target: Path) -> None:
    """Write the sheet."""
    network, maps = config.out / "patches.safetensors", config.out / "maps.json"
    if not network.is_file() or not maps.is_file():
        raise InputError(f"{network}: no such file; `videocolor train --config published/p_grid` first")
    colorizer = load_colorizer(str(network), device="cpu")
    assert isinstance(colorizer, PatchColorizer)
    codebooks = [np.asarray(entry["codebook"], np.float32) for entry in json.loads(maps.read_text()).values()]
    read = []
    for path in images:
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if bgr is None:
            raise InputError(f"{path}: not a readable image")
        read.append(np.ascontiguousarray(bgr[..., ::-1]))
    sheet = patch_sheet(read, colorizer, codebooks)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 80] if target.suffix.lower() in (".jpg", ".jpeg") else []
    if not cv2.imwrite(str(target), sheet[..., ::-1], quality):
        raise OutputError(f"{target}: cannot be written")


def patch_sheet(
    images: Sequence[Array], colorizer: PatchColorizer, codebooks: Sequence[Array], side: int = 192
) -> Array:
    """A sheet of two blocks, a row an image in each.

    The upper block: original, its (u*, v*) at L* = 50, gray, predicted (u*, v*) at L* = 50, prediction. The lower one:
    original, then repainted with each codebook, every pixel with the codeword nearest to its own color: the best that
    a classifier could do.

    Args:
        images: (h, w, 3) uint8 R'G'B'; each is brought to `side` x `side`, its middle square.
        colorizer: the network.
        codebooks: (n, 2) u*, v* each.
        side: of a picture in the sheet, in pixels.

    Returns:
        (H, W, 3) uint8 R'G'B'.
    """
    luvs = [rgb_to_luv(square(image, side)) for image in images]
    upper = ["original", "its u*v* at L* = 50", "gray", "predicted u*v* at L* = 50", "prediction"]
    lower = ["original", *(f"{len(codebook)} codewords" for codebook in codebooks)]
    rows = [_titles(upper, side)]
    for luv in luvs:
        lightness, uv = luv[0], np.moveaxis(luv[1:], 0, -1)
        found = colorizer.codebook[colorizer.classifier.classify(lightness)]
        middle, gray = np.full_like(lightness, 50), np.zeros_like(uv)
        rows.append(_row([(lightness, uv), (middle, uv), (lightness, gray), (middle, found), (lightness, found)]))
    blocks = [np.concatenate(rows)]
    rows = [_titles(lower, side)]
    for luv in luvs:
        lightness, uv = luv[0], np.moveaxis(luv[1:], 0, -1)
        spread = np.maximum(uv.reshape(-1, 2).std(axis=0), 1e-6)
        chosen = [book[nearest(uv.reshape(-1, 2) / spread, book / spread)[0]].reshape(uv.shape) for book in codebooks]
        rows.append(_row([(lightness, uv), *((lightness, painted) for painted in chosen)]))
    blocks.append(np.concatenate(rows))
    width = max(block.shape[1] for block in blocks)
    return np.concatenate([_widened(block, width) for block in blocks])


def _row(cells: Sequence[tuple[Array, Array]]) -> Array:
    """Pictures beside each other, from their (L*, (u*, v*))."""
    pictures = (np.moveaxis(lab_to_rgb(repaint(lightness, uv)), 0, -1) for lightness, uv in cells)
    return np.concatenate([np.rint(np.clip(p, 0, 1) * 255).astype(np.uint8) for p in pictures], axis=1)


def _titles(texts: Sequence[str], side: int) -> Array:
    strip = np.full((_LINE, side * len(texts), 3), 255, np.uint8)
    for number, text in enumerate(texts):
        at = (number * side + 4, _LINE - 7)
        cv2.putText(strip, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def _widened(block: Array, width: int) -> Array:
    return np.asarray(cv2.copyMakeBorder(block, 0, 0, 0, width - block.shape[1], cv2.BORDER_CONSTANT, value=[255] * 3))


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--config", default="train/published/p_grid", metavar="NAME|PATH")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("-o", "--output", type=Path, default=Path("patches.jpg"), help="the sheet; default patches.jpg")
    args = parser.parse_intermixed_args(arguments)
    try:
        picture(load_model(PatchesConfig, "train", args.config, args.overrides), args.images, args.output)
        print(args.output)
    except VideocolorError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
