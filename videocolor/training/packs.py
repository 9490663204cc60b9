"""The packs that a run reads: those that its settings name, or those of a data set of pairs, made where missing."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from videocolor.events import Observer
from videocolor.training.config import DataConfig, PackConfig, RunConfig
from videocolor.training.distributed import ProcessGroup

__all__ = ["make_pack", "packed"]

_log = logging.getLogger(__name__)
_SPLITS = {"pack": "train", "held_pack": "val"}


@contextmanager
def packed(config: RunConfig, group: ProcessGroup, observer: Observer | None = None) -> Iterator[RunConfig]:
    """Yield the settings with packs that are there: with `data.pairs`, its splits train and val are packed.

    Args:
        config: the settings.
        group: its first process packs, the others wait.
        observer: receives progress; None: a bar on stderr.

    Raises:
        InputError: the data set cannot be read, or has nothing to train on.
        OutputError: a pack cannot be written.
    """
    data = config.data
    if data.pairs is None:
        yield config
        return
    folder = data.pairs / "packs" / f"{data.short_side}px"
    folders = {key: folder / split for key, split in _SPLITS.items()}
    if group.first:
        _make(data, data.pairs, folders, observer)
    group.mean(torch.zeros(1))  # wait for the first process
    yield config.model_copy(update={"data": data.model_copy(update=folders)})


def _make(data: PackConfig, pairs: Path, folders: dict[str, Path], observer: Observer | None) -> None:
    from videocolor.datasets.pairs.packing import packable  # reads films: training itself does without PyAV

    tracks = isinstance(data, DataConfig) and data.tracks
    part_bytes = int(data.part_mb * 1e6)
    for key, split in _SPLITS.items():
        if split == "val" and not packable(pairs, split):
            _log.warning("%s: no accepted pair in the split val, so there is no validation", pairs)
            shutil.rmtree(folders[key], ignore_errors=True)
            continue
        make_pack(
            pairs,
            folders[key],
            split,
            tracks=tracks,
            short_side=data.short_side,
            jpeg_quality=data.jpeg_quality,
            part_bytes=part_bytes,
            observer=observer,
        )


def make_pack(
    folder: Path,
    out: Path,
    split: str,
    *,
    tracks: bool,
    part_bytes: int,
    root: Path | None = None,
    observer: Observer | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Pack a split and, where asked for, compute the tracks in its clips; arguments and errors as of `pack_pairs`."""
    from videocolor.datasets.pairs.packing import films_of, pack_pairs

    notes = pack_pairs(folder, out, split, part_bytes=part_bytes, root=root, observer=observer, **settings)
    if tracks:
        from videocolor.training.propagating import propagate_pack

        propagate_pack(out, films_of(folder, split, root), part_bytes=part_bytes, quiet=observer is not None)
    return notes
