"""Read tracks: where motion takes a hint's pixels in the clips of a pack, for training on propagated chroma.

places.000.bin ...   tracks: int16 displacements (h, w, 2) in 1/16 pixel of their grid and uint8 trust (h, w),
                     differences along x, low bytes before high bytes, deflated
index.json           {"version": 2, "pack": sha256 of its index, "parts": n,
                      "pairs": {"<file>": [[hint, frame, part, start, length, h, w], ...]}}

Hint and frame are numbers of frames in the pack's item. `videocolor.training.propagating` writes such a folder.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from videocolor.datasets.pack import PartsReader
from videocolor.errors import InputError
from videocolor.motion.flow import grid
from videocolor.types import Array

__all__ = ["TRACKS", "PropagatedPair", "PropagatedReader", "deflate", "inflate"]

TRACKS: Final = "tracks"
"""Folder of a pack's tracks, in the pack."""
UNIT: Final = 16.0
"""Steps of a stored displacement in a pixel."""


def deflate(moved: Array, trust: Array) -> bytes:
    """Compress a track: it is smooth, so differences along x are small.

    Args:
        moved: (h, w, 2) int16.
        trust: (h, w) uint8.
    """
    steps = np.diff(np.moveaxis(moved, -1, 0), axis=2, prepend=np.int16(0)).astype("<i2")
    planes = np.ascontiguousarray(steps).view(np.uint8).reshape(-1, 2).T
    return zlib.compress(planes.tobytes() + np.diff(trust, axis=1, prepend=np.uint8(0)).tobytes(), 6)


def inflate(data: bytes, height: int, width: int) -> tuple[Array, Array]:
    """Undo `deflate`: (h, w, 2) int16 and (h, w) uint8.

    Raises:
        InputError: the bytes are damaged.
    """
    try:
        raw = np.frombuffer(zlib.decompress(data), np.uint8)
        count = height * width * 4
        steps = np.ascontiguousarray(raw[:count].reshape(2, -1).T).view("<i2").reshape(2, height, width)
        trust = np.cumsum(raw[count:].reshape(height, width), axis=1, dtype=np.uint8)
    except (zlib.error, ValueError) as error:
        raise InputError(f"tracks are damaged ({error}); pack again with --tracks") from error
    return np.moveaxis(np.cumsum(steps, axis=2, dtype=np.int16), 0, -1), trust


@dataclass(frozen=True)
class PropagatedPair:
    """A pair of frames of one clip, and where the track between them is stored."""

    hint: int
    """Number of the hinted frame in the clip's item."""
    frame: int
    """Number of the frame that its color was propagated to."""
    part: int
    start: int
    """Byte offset in the part."""
    length: int
    height: int
    width: int


class PropagatedReader:
    """Random access to what `propagate_pack` wrote.

    Raises:
        InputError: the folder is not one, or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        try:
            index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            self._parts = PartsReader(folder, "places", index["parts"])
            self._pairs = {
                file: [PropagatedPair(*entry) for entry in entries] for file, entries in index["pairs"].items()
            }
        except FileNotFoundError as error:
            raise InputError(
                f"{folder}: no tracks ({error.filename} is missing); `videocolor pairs pack --tracks` computes them"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{folder}: tracks that cannot be read ({error}); pack again with --tracks") from error

    def of(self, file: str) -> list[PropagatedPair]:
        """All pairs of a clip; none for an image."""
        return self._pairs.get(file, [])

    def picture(self, pair: PropagatedPair, rgb: Array) -> tuple[Array, Array]:
        """Warp the reference frame to the other.

        Args:
            pair: of `of`.
            rgb: (h, w, 3) uint8, the hinted frame.

        Returns:
            (h, w, 3) uint8 the propagated frame, and (h, w) float32 its trust in 0..1.
        """
        h, w = pair.height, pair.width
        data = self._parts.read(pair.part, pair.start, pair.length).tobytes()
        steps, stored = inflate(data, h, w)
        trust = stored.astype(np.float32) / np.float32(255)
        height, width = rgb.shape[:2]
        size = (width, height)
        moved = cv2.resize(steps.astype(np.float32) / np.float32(UNIT), size, interpolation=cv2.INTER_LINEAR)
        places = cv2.add(grid(height, width), moved * np.array([width / w, height / h], np.float32))
        propagated = cv2.remap(rgb, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
        return propagated, cv2.resize(trust, (width, height), interpolation=cv2.INTER_LINEAR)
