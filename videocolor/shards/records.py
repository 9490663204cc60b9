"""The files in a film's working folder: shards, the record of each, and the state of shots that are split.

    plan.yaml               the plan
    shard-00001.vcs         frames, encoded (videocolor.video.shardfile)
    shard-00001.json        its record, written and synced after it: the fact that it is done
    shard-00001.state.npz   where the shard ends inside a shot: what the next one begins with

Records alone decide what is done.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from videocolor.errors import InputError, OutputError
from videocolor.files import file_sha256, plain, write_atomically
from videocolor.shards.types import FilmJob, FilmPlan, ShardRecord
from videocolor.types import Array
from videocolor.video import sync_folder

__all__ = [
    "discard_work",
    "drop_stale",
    "finished_shards",
    "load_state",
    "state_path",
    "save_state",
    "shard_path",
    "work_folder",
    "write_record",
]


def work_folder(target: Path) -> Path:
    """Return the folder of a film's shards until it is complete."""
    return target.with_name(f".{target.name}.videocolor")


def shard_path(folder: Path, number: int) -> Path:
    """Return the file of a shard; files are counted from 1."""
    return folder / f"shard-{number + 1:05d}.vcs"


def state_path(folder: Path, number: int) -> Path:
    """Return the file of a shot's state at the end of a shard inside the shot."""
    return folder / f"shard-{number + 1:05d}.state.npz"


def write_record(folder: Path, record: ShardRecord) -> None:
    """Write down that a shard is done; its file is there and synced."""
    path = shard_path(folder, record.number).with_suffix(".json")
    write_atomically(path, json.dumps(plain(asdict(record)), ensure_ascii=False) + "\n")
    sync_folder(folder)


def _read_record(path: Path) -> ShardRecord | None:
    """Read a record; None where it is damaged: then the shard is colored again."""
    try:
        return ShardRecord.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, InputError):
        return None


def finished_shards(job: FilmJob, plan: FilmPlan, numbers: Iterable[int] | None = None) -> dict[int, ShardRecord]:
    """Find the shards of a plan that are done: complete on disk, and with the plan's keys.

    Reads each file once, for its sha256.

    Args:
        job: says where they are.
        plan: of the film.
        numbers: of the shards that are asked for; None: all.
    """
    found: dict[int, ShardRecord] = {}
    for shard in plan.shards if numbers is None else [plan.shards[number] for number in numbers]:
        path = shard_path(job.folder, shard.number)
        record = _read_record(path.with_suffix(".json"))
        if record is None or record.key != shard.key or not _complete(path, record):
            continue
        if shard.closes_inside and not _has_state(state_path(job.folder, shard.number)):
            continue
        found[shard.number] = record
    return found


def any_records(folder: Path) -> bool:
    """Whether some shard was finished here, by whatever plan."""
    return any(folder.glob("shard-*.json"))


def _complete(path: Path, record: ShardRecord) -> bool:
    try:
        return path.stat().st_size == record.bytes and file_sha256(path) == record.sha256
    except OSError:
        return False


def _has_state(path: Path) -> bool:
    try:
        load_state(path)  # which may be empty: without smoothing, nothing is remembered
    except InputError:
        return False  # the shard is colored again, and remembers again
    return True


def drop_stale(folder: Path, finished: Mapping[int, ShardRecord]) -> None:
    """Remove the files of shards that are not done, or were made by other settings."""
    kept = {shard_path(folder, number).name.removesuffix(".vcs") for number in finished}
    for file in [*folder.glob("shard-*"), *folder.glob(".shard-*"), *folder.glob(".plan.*")]:
        if file.name.partition(".")[0] not in kept:
            file.unlink(missing_ok=True)


def save_state(path: Path, state: Mapping[str, Array]) -> None:
    """Write the state of a shot, complete and synced or not at all.

    Raises:
        OutputError: the disk is full or cannot be written.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, **state)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def load_state(path: Path) -> dict[str, Array]:
    """Read what `save_state` wrote.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove it, and the shard goes again") from error


def discard_work(job: FilmJob) -> None:
    """Remove the working folder of a film that is merged."""
    shutil.rmtree(job.folder, ignore_errors=True)


def as_dict(record: ShardRecord) -> dict[str, Any]:
    """Plain values, for messages."""
    return dict(plain(asdict(record)))
