"""Pixels of photographs for the patch classifier: lightness planes, positions in them, and their (u*, v*).

Kept in a folder of plain .npy files that every worker maps into memory:

    lightness.npy  (images, size, size) float32 CIE L*
    places.npy     (rows,) int64, index into the flattened planes
    uv.npy         (rows, 2) float32 CIE u*, v*
    images.json    names of the images, number of training images, size, rows per image
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from videocolor.color import rgb_to_luv
from videocolor.datasets.pairs.settings import SplitConfig
from videocolor.datasets.pairs.splits import held_back_of
from videocolor.errors import InputError
from videocolor.files import write_atomically
from videocolor.published.config import PatchDataConfig
from videocolor.published.patches import bordered
from videocolor.types import Array

__all__ = [
    "PatchData",
    "choose_images",
    "make_patch_data",
    "open_patch_data",
    "patch_rows",
    "square",
]


@dataclass(frozen=True, eq=False)
class PatchData:
    """A data folder, mapped into memory."""

    lightness: Array
    places: Array
    uv: Array
    names: tuple[str, ...]
    """Of the images, training images first."""
    seen_rows: int
    """Rows of training images; the rest is of unseen images."""


def choose_images(config: PatchDataConfig) -> tuple[list[dict[str, str]], int]:
    """Choose rows of the manifest: training images, then unseen ones; and the number of the former.

    Which ones follows from a hash of their origin, so that it does not depend on the manifest's order.

    Raises:
        InputError: there is no manifest, or it has no such images.
    """
    from videocolor.datasets.footage import select_rows  # imports PyAV

    manifest = config.root / "images" / "manifest.csv"
    if not manifest.is_file():
        raise InputError(f"{manifest}: no such file; --set data.root=FOLDER names the folder that holds images/")
    held = held_back_of(SplitConfig(held_back=(config.held_back,)))
    rows = [
        row
        for row in select_rows(manifest, held)
        if row["file"].startswith(f"{config.archive}/")
        and (not config.scenes or any(f"/{scene}/" in row["source"] for scene in config.scenes))
    ]
    if not rows:
        raise InputError(f"{manifest}: no images of {config.archive} with {', '.join(config.scenes)} in their source")
    rows.sort(key=lambda row: hashlib.sha256(f"patches:{row['source']}".encode()).digest())
    seen = max(1, min(config.images, len(rows) - config.unseen))
    return rows[: seen + config.unseen], seen


def make_patch_data(config: PatchDataConfig, folder: Path, seed: int) -> None:
    """Write the data folder atomically.

    Raises:
        InputError: images are missing or damaged.
    """
    from videocolor.datasets.footage import read_images  # imports PyAV

    rows, seen = choose_images(config)
    order = {row["file"]: number for number, row in enumerate(rows)}
    size, pixels = config.size, min(config.pixels, config.size**2)
    lightness = np.zeros((len(rows), size, size), np.float32)
    places, uv = np.zeros((len(rows), pixels), np.int64), np.zeros((len(rows), pixels, 2), np.float32)
    missing = set(order)
    for row, rgb in tqdm(read_images(config.root, rows, size), total=len(rows), unit="image", desc="pixels"):
        number = order[row["file"]]
        missing.discard(row["file"])
        luv = rgb_to_luv(square(rgb, size))
        chosen = np.random.default_rng([seed, number]).choice(size * size, pixels, replace=False)
        lightness[number], places[number] = luv[0], number * size * size + chosen
        uv[number] = luv[1:].reshape(2, -1)[:, chosen].T
    if missing:
        raise InputError(f"{config.root / 'images'}: {sorted(missing)[0]} and {len(missing) - 1} more are not there")
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    np.save(partial / "lightness.npy", lightness)
    np.save(partial / "places.npy", places.reshape(-1))
    np.save(partial / "uv.npy", uv.reshape(-1, 2))
    notes = {"images": [row["file"] for row in rows], "seen": seen, "size": size, "pixels": pixels}
    write_atomically(partial / "images.json", json.dumps(notes, indent=1) + "\n")
    partial.replace(folder)


def square(rgb: Array, size: int) -> Array:
    """(3, size, size) float32 R'G'B' in 0..1 of an (h, w, 3) uint8 image: its middle square, scaled."""
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    middle = rgb[top : top + side, left : left + side].astype(np.float32) / 255
    how = cv2.INTER_AREA if side >= size else cv2.INTER_CUBIC
    return np.clip(np.moveaxis(cv2.resize(middle, (size, size), interpolation=how), -1, 0), 0, 1)


def open_patch_data(folder: Path) -> PatchData:
    """Map a data folder into memory.

    Raises:
        InputError: files are missing or damaged.
    """
    try:
        lightness, places, uv = (
            np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("lightness", "places", "uv")
        )
        notes = json.loads((folder / "images.json").read_text(encoding="utf-8"))
        seen_rows = int(notes["seen"]) * int(notes["pixels"])
        return PatchData(lightness, places, np.asarray(uv), tuple(notes["images"]), seen_rows)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder}: not a complete data folder ({error}); remove it, and it is made again") from error


def patch_rows(data: PatchData, rows: Array, patch: int) -> Array:
    """Patches around chosen pixels, as the classifier sees them.

    Args:
        data: the data.
        rows: (n,) indices into `data.places`.
        patch: side of the patches, odd.

    Returns:
        (n, patch * patch) float32.
    """
    planes = _bordered_planes(data, patch)
    side = data.lightness.shape[1]
    number, place = np.divmod(data.places[rows], side * side)
    y, x = np.divmod(place, side)
    windows = np.lib.stride_tricks.sliding_window_view(planes, (patch, patch), axis=(1, 2))
    return np.ascontiguousarray(windows[number, y, x]).reshape(len(rows), patch * patch)


@lru_cache(maxsize=1)
def _bordered_planes(data: PatchData, patch: int) -> Array:
    return np.stack([bordered(plane, patch) for plane in data.lightness])
