"""Pack a data set of pairs, so that trainers read it fast: the accepted pairs of one split, in a few files."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from videocolor.datasets.pack import PART_BYTES, PackReader, PackWriter
from videocolor.datasets.pairs.frames import shrink_to
from videocolor.datasets.pairs.manifest import MANIFEST, PairRecord, read_manifest, read_state, state_path
from videocolor.datasets.pairs.reading import PairPictures, Which, locate
from videocolor.datasets.pairs.sources import allowed_licence
from videocolor.datasets.pairs.splits import find_leaks
from videocolor.errors import InputError, OutputError
from videocolor.events import Event, Observer
from videocolor.files import disk_errors, file_sha256, folder_lock
from videocolor.types import Array

__all__ = ["films_of", "pack_pairs", "packable"]

_log = logging.getLogger(__name__)


def packable(folder: Path, split: str) -> list[PairRecord]:
    """Read the pairs of a split that may be trained on: accepted ones, of sources without a non-commercial licence.

    Raises:
        InputError: there is no manifest that can be read, or a source is in two splits.
    """
    every = read_manifest(folder)
    if leaks := find_leaks(every):
        raise InputError(f"{folder}: {leaks[0]}; `videocolor pairs split {folder}` divides again")
    return [r for r in every if r.split == split and r.decision == "accepted" and allowed_licence(r.licence)]


def pack_pairs(
    folder: Path,
    out: Path,
    split: str = "train",
    *,
    short_side: int = 192,
    jpeg_quality: int | None = 92,
    part_bytes: int = PART_BYTES,
    root: Path | None = None,
    observer: Observer | None = None,
) -> dict[str, Any]:
    """Pack the accepted pairs of a split; a pack that is up to date stays as it is.

    Args:
        folder: the data set.
        out: folder of the pack.
        split: train, val, test or held_back; a pack of the latter says `held` and is never trained on.
        short_side: of the packed frames, at most.
        jpeg_quality: of the packed frames; None: not compressed.
        part_bytes: size of the pack's files at most.
        root: where sources are, in the mode of references.
        observer: receives progress; None: a bar on stderr.

    Returns:
        What the pack's index says besides its items: `licences`, counts of sources by kind and licence, and settings.

    Raises:
        InputError: the split has no such pair, or a picture cannot be read.
        OutputError: the pack cannot be written, or the folder holds something else.
    """
    if (out / MANIFEST).exists():
        raise OutputError(f"{out}: holds a data set of pairs; give the pack another folder")
    records = packable(folder, split)
    if not records:
        raise InputError(
            f"{folder}: no accepted pair in the split {split}; `videocolor pairs stats {folder}` counts them, "
            "`videocolor pairs split` divides its sources again"
        )
    made_of = {"manifest": file_sha256(folder / MANIFEST), "split": split, "short_side": short_side}
    wanted: dict[str, Any] = {**made_of, "jpeg_quality": jpeg_quality, "part_bytes": part_bytes}
    with disk_errors(out), folder_lock(out, "the pack"):
        notes = _notes_of(out)
        if notes is not None and all(notes.get(key) == value for key, value in wanted.items()):
            return notes
        writer = PackWriter(out, jpeg_quality=jpeg_quality, part_bytes=part_bytes)
        pictures, bar = PairPictures(folder, records, root=root), _Bar(records, observer)
        licences = {"clip": Counter[str](), "image": Counter[str]()}
        try:
            for group in _by_source(records):
                kind = "image" if group[0].self_pair else "clip"
                _add(writer, kind, group, pictures, short_side, bar)
                licences[kind][group[0].licence] += 1
        finally:
            bar.close()
            pictures.close()
        counts = {kind: dict(counter.most_common()) for kind, counter in licences.items()}
        writer.close({**wanted, "held": split == "held_back", "licences": counts})
        return dict(PackReader(out).notes)


def _add(
    writer: PackWriter, kind: str, group: Sequence[PairRecord], pictures: PairPictures, short_side: int, bar: _Bar
) -> None:
    """Pack a source: its frames, each once, and its pairs."""
    first, frames = group[0], _frames(group)
    state = read_state(state_path(pictures.folder, first.source_sha256))
    origin = (state.origin if state is not None else "") or first.source
    number = {pts: n for n, (pts, _, _) in enumerate(frames)}
    pairs = [(number[r.original_pts], number[r.hint_pts]) for r in group if not r.self_pair]
    writer.add(first.source, origin, first.licence, kind, _read(pictures, frames, short_side, bar), pairs)


def films_of(folder: Path, split: str, root: Path | None = None) -> dict[str, Path]:
    """Find the films of a split's pairs, by the name that the pack's item has.

    Raises:
        InputError: one is gone.
    """
    films = {r.source_sha256: r for r in packable(folder, split) if not r.self_pair}
    return {record.source: locate(folder, record, root) for record in films.values()}


def _notes_of(folder: Path) -> dict[str, Any] | None:
    try:
        return PackReader(folder).notes
    except InputError:
        return None


def _by_source(records: Sequence[PairRecord]) -> list[list[PairRecord]]:
    groups: dict[str, list[PairRecord]] = {}
    for record in records:
        groups.setdefault(record.source_sha256, []).append(record)
    return list(groups.values())


def _frames(records: Sequence[PairRecord]) -> list[tuple[int, PairRecord, Which]]:
    """List a source's frames by time, each once, with a pair that has it. A picture is an original; its hint is not."""
    found: dict[int, tuple[PairRecord, Which]] = {}
    for record in records:
        if not record.self_pair:
            found.setdefault(record.hint_pts, (record, "hint"))
        found.setdefault(record.original_pts, (record, "original"))
    return [(pts, *found[pts]) for pts in sorted(found)]


def _read(
    pictures: PairPictures, frames: Sequence[tuple[int, PairRecord, Which]], short_side: int, bar: _Bar
) -> Iterator[tuple[float, Array]]:
    for _, record, which in frames:
        yield record.seconds(which), np.ascontiguousarray(shrink_to(pictures.get(record, which), short_side))
        bar.advance()


class _Bar:
    """Tells how many of the frames are packed."""

    def __init__(self, records: Sequence[PairRecord], observer: Observer | None) -> None:
        self._observer = observer
        total = sum(len(_frames(group)) for group in _by_source(records))
        self._bar = tqdm(total=total, unit="frame", desc="pack", disable=observer is not None or None, leave=False)
        self._total, self._done = total, 0

    def advance(self) -> None:
        self._done += 1
        self._bar.update()
        if self._observer is not None and (self._done % 64 == 0 or self._done == self._total):
            self._observer(Event("progress", {"stage": "pack", "frames": self._done, "total": self._total}))

    def close(self) -> None:
        self._bar.close()
