"""Facts of a film that lie on the disk as small files, written whole and synced: what was asked for, what was finished.

    OUT/.videocolor/shards/NAME/job.json      what the working folder was made for
    OUT/.videocolor/shards/NAME/merging       the film is being put together: what stands under its name is ours
    OUT/.videocolor/films/NAME.json           receipt: the film is finished; outlives the working folder

A ledger that was lost is made anew from these, from the plans and from the shards' records.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from videocolor.config import parse_hint
from videocolor.errors import InputError
from videocolor.files import disk_errors, file_sha256, write_atomically
from videocolor.shards.types import FilmJob
from videocolor.version import __version__

__all__ = [
    "Receipt",
    "SourceState",
    "drop_work",
    "keeps_shards",
    "known_jobs",
    "mark_merging",
    "merging",
    "plan_path",
    "read_receipt",
    "receipt_fits",
    "receipt_path",
    "same_job",
    "settings_id",
    "source_state",
    "state_folder",
    "write_job",
    "write_receipt",
]

_LARGE: Final = 64 * 2**20
"""Files beside a film that are larger are known by their size."""
_NO_SAMPLES: Final = (
    *(("output", key) for key in ("overwrite", "sidecar", "report", "resume", "keep_shards")),
    *(("model", "device"), ("model", "threads")),
)
"""Settings that change no sample of a film."""
_NEWER: Final = (("hints", "assigned"), ("chroma", "by_shot"))
"""Settings that came later: where nothing is set, films of earlier batches stay finished."""
_JOB: Final = "job.json"
_MERGING: Final = "merging"


@dataclass(frozen=True)
class SourceState:
    """By what a source is known again without reading it."""

    bytes: int
    mtime_ns: int
    """Of image sequences: the latest."""
    files: int = 1


@dataclass(frozen=True)
class Receipt:
    """The fact that a film is finished."""

    name: str
    source: str
    source_state: SourceState
    source_sha256: str
    settings: str
    """`settings_id` of its job."""
    target: str
    target_bytes: int
    target_mtime_ns: int
    sha256: str
    """Of the finished film."""
    frames: int
    seconds: float
    """Work of all workers, in seconds."""
    shards: int
    warnings: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """What the ledger keeps of it."""
        return {"frames": self.frames, "shards": self.shards, "sha256": self.sha256, "seconds": self.seconds}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Receipt:
        """What `dataclasses.asdict` made."""
        return cls(**{**data, "source_state": SourceState(**data["source_state"]), "warnings": tuple(data["warnings"])})


def state_folder(out: Path) -> Path:
    """Return `OUT/.videocolor`: state, shards, receipts and logs of a batch."""
    return out / ".videocolor"


def plan_path(job: FilmJob) -> Path:
    """Where the plan of a film lies."""
    return job.folder / "plan.yaml"


def source_state(source: Path) -> SourceState:
    """Size and time of a film, or of the images of a sequence.

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
    """Sixteen hex digits that stand for what is made of a film: its configuration, less what changes no sample, its
    hints, its list of shots and weights from a file (by their bytes, very large ones by their size)."""
    config = json.loads(json.dumps(job.config))
    for section, key in (*_NO_SAMPLES, ("shots", "shard"), ("shots", "max_shard")):
        config.get(section, {}).pop(key, None)
    for section, key in _NEWER:
        if not config.get(section, {}).get(key):
            config.get(section, {}).pop(key, None)
    beside = [(str(path), _print(path)) for path in _read_beside(job)]
    text = json.dumps([str(job.target), config, beside], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_beside(job: FilmJob) -> Iterator[Path]:
    """What is read of other files than the film; missing ones are left to those who need them."""
    hints, shots, model = (job.config.get(name) or {} for name in ("hints", "shots", "model"))
    if Path(model.get("name", "")).is_file():
        yield Path(model["name"])
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
    """Say in the working folder what it is for; makes the folder.

    Raises:
        OutputError: it cannot be written.
    """
    with disk_errors(job.folder):
        job.folder.mkdir(parents=True, exist_ok=True)
    data = {"job": job.as_dict(), **_made_for(job)}
    write_atomically(job.folder / _JOB, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def _made_for(job: FilmJob) -> dict[str, Any]:
    return {
        "videocolor": __version__,
        "source": str(job.source),
        "source_state": asdict(source_state(job.source)),
        "settings": settings_id(job),
        "shards": {key: job.config.get("shots", {}).get(key) for key in ("shard", "max_shard")},
    }


def same_job(job: FilmJob) -> bool:
    """Whether the working folder was made for this source, as it is now, these settings, and by this version."""
    data, made = _read(job.folder / _JOB), _made_for(job)
    return data is not None and all(data.get(key) == value for key, value in made.items())


def known_jobs(out: Path) -> Iterator[FilmJob]:
    """The jobs whose working folders lie in an output folder, by name: what a lost ledger is made anew from."""
    for path in sorted((state_folder(out) / "shards").glob(f"*/{_JOB}")):
        data = _read(path)
        if data is not None and "job" in data:
            yield FilmJob.from_dict(data["job"])


def mark_merging(job: FilmJob) -> None:
    """From here on what stands under the film's name is this batch's.

    Raises:
        OutputError: it cannot be written.
    """
    write_atomically(job.folder / _MERGING, f"{job.target}\n")


def merging(job: FilmJob) -> bool:
    """Whether a merge of this film had begun and left no receipt."""
    try:
        return (job.folder / _MERGING).read_text(encoding="utf-8") == f"{job.target}\n"
    except (OSError, UnicodeDecodeError):
        return False


def keeps_shards(job: FilmJob) -> bool:
    """Whether the shards stay when the film is whole (`output.keep_shards`)."""
    return bool(job.config.get("output", {}).get("keep_shards"))


def drop_work(job: FilmJob) -> None:
    """Forget all earlier work on a film that is not finished.

    Raises:
        OutputError: it cannot be removed.
    """
    with disk_errors(job.folder):
        if job.folder.exists():
            shutil.rmtree(job.folder)


def receipt_path(out: Path, name: str) -> Path:
    """Where the receipt of a finished film lies."""
    return state_folder(out) / "films" / f"{name}.json"


def write_receipt(out: Path, receipt: Receipt) -> None:
    """Write the fact that a film is finished.

    Raises:
        OutputError: it cannot be written.
    """
    path = receipt_path(out, receipt.name)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(asdict(receipt), indent=1, ensure_ascii=False) + "\n")


def read_receipt(out: Path, name: str) -> Receipt | None:
    """The receipt of a film; None where there is none that can be read."""
    data = _read(receipt_path(out, name))
    try:
        return None if data is None else Receipt.from_dict(data)
    except (KeyError, TypeError):
        return None


def receipt_fits(receipt: Receipt, job: FilmJob) -> bool:
    """Whether a receipt is about this job, its source is the same, and its film still stands as it was finished.

    Sizes and times are compared; where the source's time alone differs, its sha256. `batch verify` reads everything.
    """
    if receipt.settings != settings_id(job) or receipt.source != str(job.source):
        return False
    try:
        target = os.stat(job.target)
    except OSError:
        return False
    if target.st_size != receipt.target_bytes:
        return False
    now = source_state(job.source)
    if now == receipt.source_state:
        return True
    if (now.bytes, now.files) != (receipt.source_state.bytes, receipt.source_state.files) or not job.source.is_file():
        return False
    return file_sha256(job.source) == receipt.source_sha256


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
