"""Contact sheets: many pairs on one picture, original left and hint right, their distance below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from videocolor.datasets.pairs.manifest import PairRecord
from videocolor.datasets.pairs.reading import PairPictures
from videocolor.errors import InputError, OutputError
from videocolor.files import disk_errors
from videocolor.types import Array

__all__ = ["contact_sheet", "spread_out"]

_CAPTION: Final = 18
"""Height of the line below a pair, in pixels."""
_GAP: Final = 6


def spread_out(records: Sequence[PairRecord], count: int) -> list[PairRecord]:
    """At most `count` pairs, evenly spread over the distance, at most one of each source while there are enough."""
    ordered = sorted(records, key=lambda r: (r.distance, r.pair_id))
    seen: dict[str, PairRecord] = {}
    for record in sorted(ordered, key=lambda r: r.pair_id):  # ids are random as to distance
        seen.setdefault(record.source_sha256, record)
    chosen = sorted(seen.values(), key=lambda r: (r.distance, r.pair_id)) if len(seen) >= count else ordered
    if len(chosen) <= count:
        return list(chosen)
    return [chosen[round(i * (len(chosen) - 1) / max(1, count - 1))] for i in range(count)]


def contact_sheet(
    folder: Path,
    records: Sequence[PairRecord],
    path: Path,
    *,
    columns: int = 4,
    height: int = 96,
    root: Path | None = None,
) -> Path:
    """Draw pairs in the order given.

    Args:
        folder: the data set.
        records: the pairs.
        path: picture to write; .jpg or .png.
        columns: pairs side by side.
        height: of each picture, in pixels; cells are 16:9, what is wider or taller is fitted into them.
        root: where sources are, in the mode of references.

    Raises:
        InputError: no pairs, or a picture that cannot be read. OutputError: the sheet cannot be written.
    """
    if not records:
        raise InputError(f"{folder}: no pair to draw")
    pictures = PairPictures(folder, records, root=root)
    width = round(height * 16 / 9)
    cell = (height + _CAPTION + _GAP, 2 * width + 2 + 2 * _GAP)
    rows = -(-len(records) // columns)
    sheet = np.full((rows * cell[0] + _GAP, columns * cell[1], 3), 24, np.uint8)
    for number, record in enumerate(records):
        top, left = number // columns * cell[0] + _GAP, number % columns * cell[1] + _GAP
        for side, which in enumerate(("original", "hint")):
            picture = _fit(pictures.get(record, "original" if which == "original" else "hint"), (height, width))
            x = left + side * (width + 2)
            sheet[top : top + height, x : x + width] = picture
        moved = "itself" if record.self_pair else f"{record.offset_s:+.1f} s"
        text = f"{record.distance:.1f}  {moved}  {Path(record.source).name}"[: 2 * width // 7]
        place = (left, top + height + _CAPTION - 5)
        cv2.putText(sheet, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (230, 230, 230), 1, cv2.LINE_AA)
    pictures.close()
    quality = [cv2.IMWRITE_JPEG_QUALITY, 82] if path.suffix.lower() in (".jpg", ".jpeg") else []
    try:
        done, data = cv2.imencode(path.suffix.lower(), np.ascontiguousarray(sheet[..., ::-1]), quality)
    except cv2.error as error:
        raise OutputError(f"{path}: not a picture's suffix; use .jpg or .png") from error
    if not done:
        raise OutputError(f"{path}: the sheet cannot be encoded")
    with disk_errors(path):
        path.write_bytes(data.tobytes())
    return path


def _fit(rgb: Array, size: tuple[int, int]) -> Array:
    """The picture inside (height, width), aspect kept, on black."""
    scale = min(size[0] / rgb.shape[0], size[1] / rgb.shape[1])
    w, h = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    canvas = np.zeros((*size, 3), np.uint8)
    top, left = (size[0] - h) // 2, (size[1] - w) // 2
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas[top : top + h, left : left + w] = cv2.resize(rgb, (w, h), interpolation=way)
    return canvas
