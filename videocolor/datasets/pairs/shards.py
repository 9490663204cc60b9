"""WebDataset tars of the accepted pairs: DIR/shards/SPLIT-000000.tar, the same bytes for the same data set.

Each pair is three members, `ID.original.jpg`, `ID.hint.jpg` and `ID.json` (its line of the manifest).
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from videocolor.datasets.pairs.frames import SUFFIX, encode_picture
from videocolor.datasets.pairs.manifest import PairRecord, frame_name, read_hashes, read_manifest, write_hashes
from videocolor.datasets.pairs.reading import PairPictures
from videocolor.errors import InputError
from videocolor.files import disk_errors, file_sha256

__all__ = ["shard_ids", "write_shards"]

_BYTES: Final = 200 * 2**20
"""Size from which a shard is closed."""


def write_shards(folder: Path, *, root: Path | None = None) -> list[Path]:
    """Write the tars of a data set and list them in files.sha256; earlier ones are replaced.

    Pairs are in the order of their ids, which is random as to source and time. Held-back pairs are left out.

    Args:
        folder: the data set.
        root: where sources are, in the mode of references.

    Raises:
        InputError: a picture cannot be read. OutputError: the tars cannot be written.
    """
    records = sorted((r for r in read_manifest(folder) if r.decision == "accepted"), key=lambda r: r.pair_id)
    pictures = PairPictures(folder, records, root=root)
    part = folder / f".shards.{os.getpid()}.part"
    names: list[str] = []
    try:
        with disk_errors(folder / "shards"):
            part.mkdir()
            for split in ("train", "val", "test"):
                chosen = (record for record in records if record.split == split)
                names += _write_split(part, split, chosen, pictures)
            shutil.rmtree(folder / "shards", ignore_errors=True)
            os.replace(part, folder / "shards")
    finally:
        shutil.rmtree(part, ignore_errors=True)
        pictures.close()
    others = {name: digest for name, digest in read_hashes(folder).items() if not name.startswith("shards/")}
    paths = [folder / "shards" / name for name in names]
    write_hashes(folder, others | {f"shards/{path.name}": file_sha256(path) for path in paths})
    return paths


def _write_split(folder: Path, split: str, records: Iterable[PairRecord], pictures: PairPictures) -> list[str]:
    names: list[str] = []
    tar: tarfile.TarFile | None = None
    try:
        for record in records:
            if tar is None or tar.offset >= _BYTES:
                if tar is not None:
                    tar.close()
                names.append(f"{split}-{len(names):06d}.tar")
                tar = tarfile.TarFile(folder / names[-1], "w", format=tarfile.USTAR_FORMAT)
            for name, data in _members(record, pictures):
                info = tarfile.TarInfo(f"{record.pair_id}.{name}")
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
    finally:
        if tar is not None:
            tar.close()
    return names


def _members(record: PairRecord, pictures: PairPictures) -> Iterator[tuple[str, bytes]]:
    store = pictures.settings[record.settings].store
    suffix = SUFFIX[store.format]
    if store.mode == "frames":  # the stored bytes as they are: encoding twice would cost quality
        times = {"original": record.original_pts, "hint": record.hint_pts}
        for which, pts in times.items():
            warped = record.self_pair and which == "hint"
            path = pictures.folder / frame_name(record.source_sha256, pts, warped=warped, suffix=suffix)
            try:
                yield f"{which}{suffix}", path.read_bytes()
            except FileNotFoundError as error:
                raise InputError(f"{path}: is missing; `videocolor pairs verify` says what else is") from error
    else:
        yield f"original{suffix}", encode_picture(pictures.get(record, "original"), store)
        yield f"hint{suffix}", encode_picture(pictures.get(record, "hint"), store)
    yield "json", (record.as_line() + "\n").encode()


def shard_ids(path: Path) -> dict[str, set[str]]:
    """pair_id -> kinds of members (`original.jpg`, `hint.jpg`, `json`) of a tar.

    Raises:
        InputError: it is not a tar that can be read.
    """
    found: dict[str, set[str]] = {}
    try:
        with tarfile.open(path) as tar:
            for info in tar:
                key, _, kind = info.name.partition(".")
                found.setdefault(key, set()).add(kind)
    except (OSError, tarfile.TarError) as error:
        raise InputError(f"{path}: not a tar that can be read: {error}") from error
    return found
