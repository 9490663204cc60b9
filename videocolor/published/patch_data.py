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
from videocolor.datasets.pack import Item, PackReader
from videocolor.errors import InputError, ModelError
from videocolor.files import write_atomically
from videocolor.published.config import PatchDataConfig
from videocolor.published.patches import bordered, placed
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


def choose_images(config: PatchDataConfig, pack: PackReader) -> tuple[list[tuple[Item, int]], int]:
    """Choose pictures of a pack, of one without pictures frames: those to train on, then unseen ones.

    Which ones follows from a hash of their origin, so that it does not depend on the pack's order.

    Returns:
        (item, number of the frame) of each, and how many are trained on.

    Raises:
        ModelError: held-back footage.
        InputError: the pack has no such images.
    """
    if pack.notes.get("held"):
        raise ModelError(f"{config.pack}: a pack of held-back footage, never to be trained on")
    items = [
        item
        for item in pack.images or pack.clips
        if f"/{config.files}" in f"/{item.file}"
        and (not config.scenes or any(f"/{scene}/" in item.source for scene in config.scenes))
    ]
    if not items:
        which = f"{config.files} with {', '.join(config.scenes)} in their source" if config.scenes else config.files
        raise InputError(f"{config.pack}: no pictures of {which}; --set data.files='' --set data.scenes=[] takes all")
    items.sort(key=lambda item: hashlib.sha256(f"patches:{item.source}".encode()).digest())
    frames = [(item, number) for item in items for number in range(len(item.times))]
    seen = max(1, min(config.images, len(frames) - config.unseen))
    return frames[: seen + config.unseen], seen


def make_patch_data(config: PatchDataConfig, folder: Path, seed: int) -> None:
    """Write the data folder atomically.

    Raises:
        InputError, ModelError: as `choose_images`; or an image is damaged.
    """
    pack = PackReader(config.pack)
    items, seen = choose_images(config, pack)
    size, pixels = config.size, min(config.pixels, config.size**2)
    lightness = np.zeros((len(items), size, size), np.float32)
    places, uv = np.zeros((len(items), pixels), np.int64), np.zeros((len(items), pixels, 2), np.float32)
    for number, (item, frame) in enumerate(tqdm(items, unit="image", desc="pixels")):
        luv = rgb_to_luv(square(pack.frame(item, frame), size))
        chosen = np.random.default_rng([seed, number]).choice(size * size, pixels, replace=False)
        lightness[number], places[number] = luv[0], number * size * size + chosen
        uv[number] = luv[1:].reshape(2, -1)[:, chosen].T
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    np.save(partial / "lightness.npy", lightness)
    np.save(partial / "places.npy", places.reshape(-1))
    np.save(partial / "uv.npy", uv.reshape(-1, 2))
    notes = {"images": [item.file for item, _ in items], "seen": seen, "size": size, "pixels": pixels}
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


def patch_rows(data: PatchData, rows: Array, patch: int, *, position: bool = False) -> Array:
    """Patches around chosen pixels, as the classifier sees them.

    Args:
        data: the data.
        rows: (n,) indices into `data.places`.
        patch: side of the patches, odd.
        position: the pixels' places follow, see `videocolor.published.patches.placed`.

    Returns:
        (n, patch * patch) float32; with position two more columns.
    """
    planes = _bordered_planes(data, patch)
    side = data.lightness.shape[1]
    number, place = np.divmod(data.places[rows], side * side)
    y, x = np.divmod(place, side)
    windows = np.lib.stride_tricks.sliding_window_view(planes, (patch, patch), axis=(1, 2))
    found = np.ascontiguousarray(windows[number, y, x]).reshape(len(rows), patch * patch)
    return np.concatenate([found, placed(y, x, side, side)], axis=1) if position else found


@lru_cache(maxsize=1)
def _bordered_planes(data: PatchData, patch: int) -> Array:
    return np.stack([bordered(plane, patch) for plane in data.lightness])
