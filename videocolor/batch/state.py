"""What a batch keeps in `OUT/.videocolor`: small files, each written completely and synced.

    batch.json               what was asked for: the configuration and the films, in order
    shards/NAME/job.json     what a film's working folder was made for; beside it the plan, shards and their records
    shards/NAME/merging      the film is being merged: a file under its final name is this batch's own
    films/NAME.json          receipt: the film is finished; outlives the working folder, is listed in the manifest
    films/NAME.new           the next receipt, until the manifest lists it
    amending/NAME/           the film's record, report and proofs while they are replaced
    shards/NAME/failed.json  why it cannot be done, as long as nothing changes
    given_up/NAME.json       why it is not to be done
    status.json              the driver's last report, for people (`videocolor.batch.status`); nothing depends on it

Plans, shard records and receipts alone decide what is done. Whatever cannot be written raises OutputError.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from videocolor.config import ColorizeConfig
from videocolor.config.parsing import parse_hint
from videocolor.errors import InputError
from videocolor.files import disk_errors, file_sha256, write_atomically
from videocolor.fingerprint import digest, settings_of
from videocolor.shards.types import FilmJob
from videocolor.version import __version__

__all__ = [
    "SourceState",
    "as_text",
    "clear_merging",
    "drop_work",
    "failed_before",
    "give_up",
    "given_up",
    "keeps_shards",
    "mark_failed",
    "mark_merging",
    "merging",
    "plan_path",
    "read_batch",
    "read_file",
    "same_job",
    "settings_id",
    "source_state",
    "state_folder",
    "write_batch",
    "write_file",
    "write_job",
    "write_text",
]

_LARGE: Final = 64 * 2**20
"""Larger files beside a film (weights, hints) are identified by their size."""


@dataclass(frozen=True)
class SourceState:
    """Size and time of a source, by which it is recognized without being read."""

    bytes: int
    mtime_ns: int
    """Of an image sequence: the latest."""
    files: int = 1


def state_folder(out: Path) -> Path:
    """Return `OUT/.videocolor`."""
    return out / ".videocolor"


# ---- the batch ------------------------------------------------------------------------------------------------------


def write_batch(out: Path, config: dict[str, Any], jobs: Iterable[FilmJob]) -> None:
    """Record what is asked for."""
    values = {"out": str(out), "config": config, "jobs": [job.as_dict() for job in jobs]}
    write_text(state_folder(out) / "batch.json", json.dumps(values, ensure_ascii=False) + "\n")


def read_batch(out: Path) -> tuple[dict[str, Any], list[FilmJob]]:
    """Return the configuration and the films of the last run, with their results where `out` is now.

    Raises:
        InputError: no batch was run here, or the file is damaged.
    """
    path = state_folder(out) / "batch.json"
    if not path.is_file():
        raise InputError(f"{out}: no batch was run here ({path} is missing)")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        jobs = [FilmJob.from_dict(job) for job in data["jobs"]]
        return dict(data["config"]), [_moved(job, Path(data["out"]), out.absolute()) for job in jobs]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is damaged ({error}); `videocolor batch run` writes it again") from error


def _moved(job: FilmJob, before: Path, now: Path) -> FilmJob:
    """Return a job of an output folder that has been moved, or is mounted elsewhere."""
    if before == now:
        return job
    target, folder = (now / path.relative_to(before) for path in (job.target, job.folder))
    return replace(job, target=target, folder=folder)


# ---- a film that is worked on ---------------------------------------------------------------------------------------


def plan_path(job: FilmJob) -> Path:
    """Return the path of a film's plan."""
    return job.folder / "plan.yaml"


def source_state(source: Path) -> SourceState:
    """Return size and time of a film, or of the images of a sequence.

    Raises:
        InputError: it is missing or cannot be read; NoVideoError: a folder without images.
    """
    from videocolor.video.sequences import find_sequence

    sequence = find_sequence(source)
    files = (source,) if sequence is None else sequence.files
    try:
        stats = [file.stat() for file in files]
    except OSError as error:
        raise InputError(f"{source}: {error.strerror or error}") from error
    return SourceState(sum(s.st_size for s in stats), max(s.st_mtime_ns for s in stats), len(stats))


def settings_id(job: FilmJob) -> str:
    """Return sixteen hex digits for what is made of a film.

    Hashed are its target in the output folder, its configuration, less what changes no sample, and the files that it
    names: hints, shot list, weights (by their bytes, very large ones by their size). Folders do not count: archives
    are mounted elsewhere.
    """
    config = settings_of(ColorizeConfig.model_validate(job.config), "color", "saturation", "shots", "encoding")
    beside = {str(path): _print(path) for path in _read_beside(job)}
    out = job.folder.parent.parent.parent
    target = os.path.relpath(job.target, out) if job.target.is_relative_to(out) else job.target.name
    return digest(target, _without_folders(config, [*beside, config["hints.folder"]]), list(beside.values()))[:16]


def _without_folders(value: Any, paths: Collection[str | None]) -> Any:
    """Replace paths in plain values by their names."""
    if isinstance(value, dict):
        return {key: _without_folders(inner, paths) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_folders(inner, paths) for inner in value]
    if isinstance(value, str):
        for path in filter(None, paths):
            value = value.replace(path, Path(path).name)
    return value


def _read_beside(job: FilmJob) -> Iterator[Path]:
    """Yield the files that are read besides the film; missing ones are reported by whoever reads them."""
    hints, shots, model = (job.config.get(name) or {} for name in ("hints", "shots", "model"))
    for network in (model.get("name"), model.get("automatic")):
        if network and Path(network).is_file():
            yield Path(network)
    for item in (*(hints.get("items") or ()), *(entry["image"] for entry in hints.get("assigned") or ())):
        yield parse_hint(item)[1]
    if hints.get("folder"):
        yield from sorted(path for path in Path(hints["folder"]).glob("*") if path.is_file())
    if shots.get("file"):
        yield Path(shots["file"])


def _print(path: Path) -> str:
    try:
        size = path.stat().st_size
        return str(size) if size > _LARGE else file_sha256(path)
    except OSError:
        return "missing"


def write_job(job: FilmJob) -> None:
    """Record in the working folder what it is for; makes the folder."""
    write_file(job.folder / "job.json", _made_for(job))


def same_job(job: FilmJob) -> bool:
    """Return whether the working folder was made for this source as it is, these settings, and by this version."""
    return read_file(job.folder / "job.json") == _made_for(job)


def _made_for(job: FilmJob) -> dict[str, Any]:
    return {
        "videocolor": __version__,
        "source": str(job.source),
        "source_state": asdict(source_state(job.source)),
        "settings": settings_id(job),
        "shards": {key: job.config.get("shots", {}).get(key) for key in ("shard", "max_shard")},
    }


def mark_merging(job: FilmJob) -> None:
    """Claim the film's name: a file under it is this batch's own from here on."""
    with disk_errors(job.folder):
        job.folder.mkdir(parents=True, exist_ok=True)
    write_atomically(job.folder / "merging", f"{job.target}\n")


def merging(job: FilmJob) -> bool:
    """Return whether a merge of this film began and left no receipt."""
    try:
        return (job.folder / "merging").read_text(encoding="utf-8") == f"{job.target}\n"
    except (OSError, UnicodeDecodeError):
        return False


def clear_merging(job: FilmJob) -> None:
    """Withdraw the claim of `mark_merging`."""
    with disk_errors(job.folder):
        (job.folder / "merging").unlink(missing_ok=True)


def mark_failed(job: FilmJob, error: str) -> None:
    """Record that a film cannot be done as it is."""
    write_file(job.folder / "failed.json", {**_made_for(job), "error": error})


def failed_before(job: FilmJob) -> str | None:
    """Return why a film could not be done, if nothing has changed since."""
    data = read_file(job.folder / "failed.json") or {}
    error = data.pop("error", None)
    return str(error) if error and data == _made_for(job) else None


def give_up(out: Path, name: str, reason: str | None) -> None:
    """Record that a film is not to be done, and why; None: it is again."""
    path = state_folder(out) / "given_up" / f"{name}.json"
    if reason is not None:
        write_file(path, {"date": time.strftime("%Y-%m-%d"), "reason": reason})
    with disk_errors(path):
        path.unlink(missing_ok=True) if reason is None else None


def given_up(out: Path, name: str) -> str | None:
    """Return why a film is not to be done; None: it is."""
    data = read_file(state_folder(out) / "given_up" / f"{name}.json")
    return None if data is None else f"given up on {data.get('date')}: {data.get('reason')}"


def keeps_shards(job: FilmJob) -> bool:
    """Return whether the shards stay after the merge (`output.keep_shards`)."""
    return bool(job.config.get("output", {}).get("keep_shards"))


def drop_work(job: FilmJob) -> None:
    """Remove all earlier work on a film that is not finished."""
    with disk_errors(job.folder):
        if job.folder.exists():
            shutil.rmtree(job.folder)


# ---- files ----------------------------------------------------------------------------------------------------------


def write_file(path: Path, data: dict[str, Any]) -> None:
    """Write values as JSON, completely and synced; makes the folder."""
    write_text(path, as_text(data))


def as_text(data: dict[str, Any]) -> str:
    """Return values as the JSON that `write_file` writes."""
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a file completely and synced; makes the folder."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)


def read_file(path: Path) -> dict[str, Any] | None:
    """Return the values of a JSON file; None if there is none, or it is damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
