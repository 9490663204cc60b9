"""A packed folder: frames of many sizes in one memory-mapped file, with an index a person can read.

frames.bin    uint8 R'G'B', frame behind frame, each (h, w, 3) in C order
thumbs.npy    (frames, THUMB, THUMB, 3) uint8, for the scene check
index.json    {"items": [{file, source, licence, kind, start, height, width, times}, ...], ...}
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from videocolor.errors import InputError
from videocolor.pairs.distance import thumbnail
from videocolor.types import Array

__all__ = ["Item", "PackReader", "PackWriter"]


@dataclass(frozen=True)
class Item:
    """One clip or one image of the pack."""

    file: str
    source: str
    licence: str
    kind: str
    """`clip` or `image`."""
    start: int
    """Byte offset of the first frame in frames.bin."""
    first: int
    """Number of the first frame, counted over the pack (row of thumbs.npy)."""
    height: int
    width: int
    times: tuple[float, ...]
    """Seconds of each frame; (0.0,) for an image."""


class PackWriter:
    """Writes a pack; `close` makes it readable (index.json comes last)."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._file: BinaryIO = (folder / "frames.bin").open("wb")
        self._items: list[Item] = []
        self._thumbs: list[Array] = []

    def add(self, file: str, source: str, licence: str, kind: str, frames: list[tuple[float, Array]]) -> None:
        """Append one item; all frames are (h, w, 3) uint8 of one size."""
        height, width = frames[0][1].shape[:2]
        start = self._file.tell()
        times = tuple(round(time, 4) for time, _ in frames)
        self._items.append(Item(file, source, licence, kind, start, len(self._thumbs), height, width, times))
        for _, rgb in frames:
            if rgb.shape != (height, width, 3) or rgb.dtype != np.uint8:
                raise ValueError(f"{file}: frame {rgb.shape} {rgb.dtype}, expected {(height, width, 3)} uint8")
            self._file.write(np.ascontiguousarray(rgb).tobytes())
            self._thumbs.append(thumbnail(rgb))

    def close(self, notes: dict[str, object]) -> None:
        """Finish the pack.

        Args:
            notes: what else the index should say (counts, settings).
        """
        self._file.close()
        np.save(self.folder / "thumbs.npy", np.stack(self._thumbs))
        index = {**notes, "items": [asdict(item) for item in self._items]}
        (self.folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


class PackReader:
    """Random access to the frames of a pack."""

    def __init__(self, folder: Path) -> None:
        try:
            index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            self.thumbs: Array = np.load(folder / "thumbs.npy")
            self._data = np.memmap(folder / "frames.bin", dtype=np.uint8, mode="r")
        except FileNotFoundError as error:
            raise InputError(f"{folder}: not a packed folder ({error.filename} is missing); pack it first") from error
        raw = index.pop("items")
        self.notes: dict[str, object] = index
        self.items = [Item(**{**entry, "times": tuple(entry["times"])}) for entry in raw]
        self.clips = [item for item in self.items if item.kind == "clip" and len(item.times) > 1]
        self.images = [item for item in self.items if item.kind == "image"]

    def frame(self, item: Item, number: int) -> Array:
        """(h, w, 3) uint8 R'G'B' view of one frame of an item."""
        size = item.height * item.width * 3
        start = item.start + number * size
        return self._data[start : start + size].reshape(item.height, item.width, 3)
