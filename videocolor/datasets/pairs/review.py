"""Show pairs to a person: review page and list, with the way back, and contact sheets.

Page and list give the same lines, which `pairs review DIR --apply FILE` reads:

    accept 4f0c...  anything after the id is for you to read
    reject 91ab...
    ?      77de...  not decided
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from videocolor.datasets.pairs.frames import encode_picture, shrink_to
from videocolor.datasets.pairs.manifest import (
    HASHES,
    MANIFEST,
    Decision,
    PairRecord,
    frame_name,
    read_hashes,
    read_manifest,
    write_hashes,
    write_manifest,
)
from videocolor.datasets.pairs.reading import PairPictures
from videocolor.datasets.pairs.settings import StoreConfig
from videocolor.errors import InputError
from videocolor.files import disk_errors, file_sha256, write_atomically
from videocolor.images import encode_image
from videocolor.pages import render
from videocolor.shots.shotlist import clock
from videocolor.types import Array

__all__ = [
    "Applied",
    "apply_decisions",
    "contact_sheet",
    "parse_decisions",
    "read_decisions",
    "review_list",
    "review_page",
    "spread_out",
    "to_review",
]

_SHORT_SIDE: Final = 200
"""Of the pictures of the page, in pixels."""
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
    data = encode_image(sheet, path.suffix, quality=82)
    with disk_errors(path):
        path.write_bytes(data)
    return path


def _fit(rgb: Array, size: tuple[int, int]) -> Array:
    """Fit a picture into (height, width) on black, aspect kept."""
    scale = min(size[0] / rgb.shape[0], size[1] / rgb.shape[1])
    w, h = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    canvas = np.zeros((*size, 3), np.uint8)
    top, left = (size[0] - h) // 2, (size[1] - w) // 2
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas[top : top + h, left : left + w] = cv2.resize(rgb, (w, h), interpolation=way)
    return canvas


_KEPT: Final = "decisions.txt"
_WORDS: Final[dict[str, Decision | None]] = {
    **dict.fromkeys(("accept", "accepted", "a"), "accepted"),
    **dict.fromkeys(("reject", "rejected", "r"), "rejected"),
    "?": None,
}
_HEAD: Final = """\
# One pair a line. Write accept or reject in place of the question mark, save, and give the file back with
#   videocolor pairs review DIR --apply FILE
# Where frames are stored, the end of each line names the two files, without their suffix.
"""


@dataclass(frozen=True)
class Applied:
    """What became of a file of decisions."""

    accepted: int
    rejected: int
    undecided: int
    unknown: int
    """Decisions about pairs that the data set does not hold (kept: a later build may)."""


def to_review(records: Iterable[PairRecord], decision: Decision = "doubtful") -> list[PairRecord]:
    """List the pairs of one decision, the most distant last."""
    return sorted((r for r in records if r.decision == decision), key=lambda r: (r.distance, r.pair_id))


def review_list(records: Sequence[PairRecord]) -> str:
    """Write the list for an editor, one pair per line."""
    return _HEAD + "".join(f"?      {r.pair_id}  {_about(r)}\n" for r in records)


def _about(record: PairRecord) -> str:
    times = f"{clock(record.seconds('original'))} and {clock(record.seconds('hint'))}"
    name = " ".join(record.source.split())
    original = frame_name(record.source_sha256, record.original_pts, suffix="")
    hint = frame_name(record.source_sha256, record.hint_pts, warped=record.self_pair, suffix="").rpartition("/")[2]
    return f"distance {record.distance:.1f}, {times}, shot {record.shot}, {name}, {original} and {hint}"


def review_page(folder: Path, records: Sequence[PairRecord], *, root: Path | None = None) -> str:
    """Write the page for a browser: one HTML text that loads nothing, pictures inside it.

    Args:
        folder: the data set.
        records: what to show, in this order.
        root: where sources are, in the mode of references.

    Raises:
        InputError: a picture cannot be read.
    """
    pictures = PairPictures(folder, records, root=root)
    jpeg = StoreConfig(quality=80)

    def shown(record: PairRecord, which: str) -> str:
        rgb = shrink_to(pictures.get(record, "original" if which == "original" else "hint"), _SHORT_SIDE)
        return "data:image/jpeg;base64," + base64.b64encode(encode_picture(rgb, jpeg)).decode()

    by_source = sorted(range(len(records)), key=lambda i: (records[i].source_sha256, records[i].original_pts))
    items: dict[int, dict[str, object]] = {}
    for index in by_source:  # source by source, so that films are decoded once
        record = records[index]
        items[index] = {
            "id": record.pair_id,
            "source": record.source,
            "shot": record.shot,
            "distance": record.distance,
            "times": [clock(record.seconds("original")), clock(record.seconds("hint"))],
            "offset": round(record.offset_s, 3),
            "pictures": [shown(record, "original"), shown(record, "hint")],
        }
    pictures.close()
    return render("review", name=folder.name or "pairs", pairs=[items[i] for i in range(len(records))])


def parse_decisions(path: Path) -> tuple[dict[str, Decision], int]:
    """(pair_id -> decision, number of undecided lines) of a file as the page or the list gives it.

    Raises:
        InputError: it cannot be read, a line cannot be used, or a pair is both accepted and rejected.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    found: dict[str, Decision] = {}
    undecided = 0
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 2 or words[0].lower() not in _WORDS or not _is_id(words[1]):
            raise InputError(f"{path}, line {number}: expected `accept ID`, `reject ID` or `? ID`, found {line[:60]!r}")
        decision = _WORDS[words[0].lower()]
        if decision is None:
            undecided += 1
        elif found.setdefault(words[1], decision) != decision:
            raise InputError(f"{path}, line {number}: {words[1]} was decided otherwise above")
    return found, undecided


def _is_id(word: str) -> bool:
    return len(word) == 20 and all(c in "0123456789abcdef" for c in word)


def read_decisions(folder: Path) -> Mapping[str, Decision]:
    """Read what a person decided about the pairs of a data set; empty where nobody did.

    Raises:
        InputError: DIR/decisions.txt cannot be used.
    """
    path = folder / _KEPT
    return parse_decisions(path)[0] if path.exists() else {}


def apply_decisions(folder: Path, path: Path) -> Applied:
    """Take decisions into the data set: into DIR/decisions.txt, which survives a rebuild, and into the manifest.

    Decisions taken earlier stay unless the file says otherwise.

    Raises:
        InputError: the file or the manifest cannot be used.
        OutputError: the data set cannot be written.
    """
    records = read_manifest(folder)
    new, undecided = parse_decisions(path)
    merged = {**read_decisions(folder), **new}
    write_atomically(folder / _KEPT, "".join(f"{merged[key].removesuffix('ed')} {key}\n" for key in sorted(merged)))
    write_manifest(folder, [replace(r, decision=merged.get(r.pair_id, r.decision)) for r in records])
    hashes = read_hashes(folder) if (folder / HASHES).exists() else {}
    write_hashes(folder, {**hashes, MANIFEST: file_sha256(folder / MANIFEST)})
    known = {record.pair_id for record in records}
    counts = Counter(decision for key, decision in new.items() if key in known)
    return Applied(counts["accepted"], counts["rejected"], undecided, len(new.keys() - known))
