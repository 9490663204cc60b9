"""Packs: frames and their pairs in a few memory-mapped files, with an index that a person can read.

frames.000.bin ...   frames one after another, JPEG (4:4:4) or plain R'G'B'; no file is larger than the part size
frames.npy           (frames, 3) int64: part, byte offset in it, bytes
thumbs.000.npy ...   (frames, THUMB, THUMB, 3) uint8
pairs.npy            (pairs, 2) int64: original and hint, as numbers of frames of the pack, ascending
index.json           {"version": 2, "codec": "jpeg" | "raw", "parts": n, "items": [{file, source, ...}, ...], ...}

The index is written last: a folder without one is no pack. It grows by some 200 bytes an item and is never split.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Literal

import cv2
import numpy as np

from videocolor.errors import InputError, OutputError
from videocolor.files import write_atomically
from videocolor.images import encode_image
from videocolor.types import Array

__all__ = [
    "PART_BYTES",
    "Item",
    "PackReader",
    "PackWriter",
    "PartsReader",
    "PartsWriter",
    "thumbnail",
]

PART_BYTES: Final = 15_000_000
"""Largest part by default."""
THUMB: Final = 16
"""Side of the thumbnails in pixels."""
_THUMB_BYTES: Final = THUMB * THUMB * 3
_NPY_HEADER: Final = 256
"""Bytes of a .npy file in front of the data, at most."""


class PartsWriter:
    """Writes pieces of bytes into STEM.000.bin, STEM.001.bin ...; a piece never spans two of them."""

    def __init__(self, folder: Path, stem: str, part_bytes: int = PART_BYTES) -> None:
        self.folder, self.stem, self.part_bytes = folder, stem, part_bytes
        self.parts = 0
        """How many files there are."""
        self._file: BinaryIO | None = None
        self._used = 0

    def write(self, data: bytes) -> tuple[int, int, int]:
        """Append a piece.

        Returns:
            Its part, its offset in there, and its length in bytes.

        Raises:
            OutputError: the piece alone is larger than a part.
        """
        if len(data) > self.part_bytes:
            raise OutputError(f"{self.folder}: a part of {self.part_bytes} bytes cannot hold a piece of {len(data)}")
        if self._file is None or self._used + len(data) > self.part_bytes:
            self.close()
            self._file = _part(self.folder, self.stem, self.parts).open("wb")
            self.parts, self._used = self.parts + 1, 0
        self._file.write(data)
        self._used += len(data)
        return self.parts - 1, self._used - len(data), len(data)

    def close(self) -> None:
        """Finish the last part."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> PartsWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class PartsReader:
    """Reads what `PartsWriter` wrote.

    Raises:
        FileNotFoundError: a part is missing.
    """

    def __init__(self, folder: Path, stem: str, parts: int) -> None:
        paths = (_part(folder, stem, number) for number in range(parts))
        self._data = [np.memmap(path, dtype=np.uint8, mode="r") for path in paths]

    def read(self, part: int, start: int, length: int) -> Array:
        """(length,) uint8 view of a piece."""
        return self._data[part][start : start + length]


def _part(folder: Path, stem: str, number: int, suffix: str = "bin") -> Path:
    return folder / f"{stem}.{number:03d}.{suffix}"


@dataclass(frozen=True)
class Item:
    """One clip or one image of the pack."""

    file: str
    source: str
    licence: str
    kind: str
    """`clip` or `image`."""
    first: int
    """Number of the first frame, counted over the pack (row of the thumbnails)."""
    height: int
    width: int
    times: tuple[float, ...]
    """Seconds of each frame; (0.0,) for an image."""


class PackWriter:
    """Writes a pack; `close` makes it readable. An earlier pack in the folder is removed first.

    Args:
        folder: made where it is not there.
        jpeg_quality: 1..100; None: not compressed.
        part_bytes: size of a file at most.
    """

    def __init__(self, folder: Path, *, jpeg_quality: int | None = 92, part_bytes: int = PART_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for pattern in ("index.json", "frames.npy", "pairs.npy", "frames.*.bin", "thumbs.*.npy"):
            for path in folder.glob(pattern):
                path.unlink()
        self.folder, self._quality, self._part_bytes = folder, jpeg_quality, part_bytes
        self._frames = PartsWriter(folder, "frames", part_bytes)
        self._places: list[tuple[int, int, int]] = []
        self._items: list[Item] = []
        self._thumbs: list[Array] = []
        self._pairs: list[tuple[int, int]] = []

    def add(
        self,
        file: str,
        source: str,
        licence: str,
        kind: str,
        frames: Iterable[tuple[float, Array]],
        pairs: Sequence[tuple[int, int]] = (),
    ) -> None:
        """Append one item.

        Args:
            file: name in the manifest.
            source: where it is from.
            licence: as the manifest states it.
            kind: `clip` or `image`.
            frames: (seconds, (h, w, 3) uint8 R'G'B'), all of one size; at least one.
            pairs: (original, hint) as numbers of `frames`.

        Raises:
            ValueError: frames of several sizes, or not uint8.
            OutputError: a frame is larger than a part.
        """
        first, height, width = len(self._thumbs), 0, 0
        times: list[float] = []
        for time, rgb in frames:
            if not times:
                height, width = rgb.shape[:2]
            if rgb.shape != (height, width, 3) or rgb.dtype != np.uint8:
                raise ValueError(f"{file}: frame {rgb.shape} {rgb.dtype}, expected {(height, width, 3)} uint8")
            self._places.append(self._frames.write(_encode(rgb, self._quality)))
            self._thumbs.append(thumbnail(rgb))
            times.append(round(time, 4))
        self._items.append(Item(file, source, licence, kind, first, height, width, tuple(times)))
        self._pairs += [(first + original, first + hint) for original, hint in sorted(pairs)]

    def close(self, notes: dict[str, object]) -> None:
        """Finish the pack.

        Args:
            notes: what else the index should say (counts, settings).
        """
        self._frames.close()
        np.save(self.folder / "frames.npy", np.asarray(self._places, np.int64).reshape(-1, 3))
        np.save(self.folder / "pairs.npy", np.asarray(self._pairs, np.int64).reshape(-1, 2))
        rows = max(1, (self._part_bytes - _NPY_HEADER) // _THUMB_BYTES)
        for number, start in enumerate(range(0, len(self._thumbs), rows)):
            np.save(_part(self.folder, "thumbs", number, "npy"), np.stack(self._thumbs[start : start + rows]))
        codec: Literal["raw", "jpeg"] = "raw" if self._quality is None else "jpeg"
        head = {"version": 2, "codec": codec, "jpeg_quality": self._quality, "parts": self._frames.parts}
        index = {**notes, **head, "items": [asdict(item) for item in self._items]}
        write_atomically(self.folder / "index.json", json.dumps(index))


class PackReader:
    """Random access to the frames of a pack; from several threads, if need be.

    Raises:
        InputError: the folder is no pack, or one whose files do not belong together.
    """

    def __init__(self, folder: Path) -> None:
        try:
            index: dict[str, Any] = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            raw = index.pop("items")
            self.thumbs, self._places, self._pairs, self._parts = _open(folder, index)
        except FileNotFoundError as error:
            raise InputError(
                f"{folder}: no pack ({error.filename} is missing); `videocolor pairs pack` makes one, "
                "--set data.pairs=DIR trains on a data set of pairs"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{folder}: a pack that cannot be read ({error}); make it again") from error
        self._jpeg = index.get("codec") == "jpeg"
        self.notes: dict[str, object] = index
        self.items = [Item(**{**entry, "times": tuple(entry["times"])}) for entry in raw]
        self.clips = [item for item in self.items if item.kind == "clip" and len(item.times) > 1]
        self.images = [item for item in self.items if item.kind == "image"]
        if not len(self.thumbs) == len(self._places) == sum(len(item.times) for item in self.items):
            raise InputError(f"{folder}: index, frames and thumbnails are not of one pack; pack it again")

    def pairs(self, item: Item) -> Array:
        """(n, 2) int64: original and hint of each of an item's pairs, as numbers of its frames, ascending."""
        ends = item.first, item.first + len(item.times)
        begin, end = np.searchsorted(self._pairs[:, 0], ends)
        return np.asarray(self._pairs[begin:end] - item.first)

    def frame(self, item: Item, number: int) -> Array:
        """(h, w, 3) uint8 R'G'B' of one frame of an item; read-only where it was not compressed.

        Raises:
            InputError: its bytes are damaged.
        """
        part, start, length = self._places[item.first + number].tolist()
        data = self._parts.read(part, start, length)
        if not self._jpeg:
            return data.reshape(item.height, item.width, 3)
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if bgr is None or bgr.shape != (item.height, item.width, 3):
            raise InputError(f"{item.file}: frame {number} is damaged in the pack; pack it again")
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def _encode(rgb: Array, quality: int | None) -> bytes:
    if quality is None:
        return np.ascontiguousarray(rgb).tobytes()
    # Full chroma, for it is the truth.
    return encode_image(rgb, ".jpg", quality=quality, full_chroma=True)


def _open(folder: Path, index: dict[str, Any]) -> tuple[Array, Array, Array, PartsReader]:
    """Open thumbnails, offsets of the frames, pairs, and the parts that hold the frames."""
    if index["version"] != 2 or index["codec"] not in ("raw", "jpeg"):
        raise ValueError(f"version {index['version']}, codec {index['codec']}")
    thumbs = [np.load(path) for path in sorted(folder.glob("thumbs.*.npy"))]
    together = np.concatenate(thumbs) if thumbs else np.zeros((0, THUMB, THUMB, 3), np.uint8)
    pairs = np.load(folder / "pairs.npy") if (folder / "pairs.npy").exists() else np.zeros((0, 2), np.int64)
    return together, np.load(folder / "frames.npy"), pairs, PartsReader(folder, "frames", index["parts"])


def thumbnail(rgb: Array) -> Array:
    """Shrink a frame to a few colors, of which statistics are taken.

    Args:
        rgb: (h, w, 3) uint8.

    Returns:
        (THUMB, THUMB, 3) uint8, area-averaged.
    """
    return np.asarray(cv2.resize(rgb, (THUMB, THUMB), interpolation=cv2.INTER_AREA))
