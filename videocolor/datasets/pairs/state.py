"""What a build remembers of each source, so that it can be resumed, added to, split anew and verified."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from videocolor.errors import InputError, OutputError
from videocolor.files import disk_errors, write_atomically

__all__ = [
    "HASHES",
    "SourceState",
    "drop_source",
    "read_hashes",
    "read_states",
    "state_path",
    "write_hashes",
    "write_state",
]

HASHES: Final = "files.sha256"
_FOLDER: Final = ".build"


@dataclass(frozen=True)
class SourceState:
    """A source whose pairs are complete."""

    source: str
    path: str
    """Absolute path of the film, picture or tar at the time of the build."""
    sha256: str
    kind: str
    """`film` or `image`."""
    settings: str
    origin: str
    """Column `source` of the manifest.csv beside it; empty where nothing is said."""
    licence: str
    time_base: str
    frames: int
    """Frames of the source."""
    stamped_fps: float
    true_fps: float
    repeats: float
    shots: int
    prints: tuple[str, ...]
    """Perceptual hashes, 16 hex digits each."""
    pairs: tuple[dict[str, Any], ...]
    """pair_id, original_pts, hint_pts, offset_s, shot, distance, decision (the threshold's)."""
    files: dict[str, str]
    """Stored frame -> sha256."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Why fewer pairs came of it than were drawn."""
    warnings: tuple[str, ...] = ()


def state_path(folder: Path, sha256: str) -> Path:
    """Where the state of a source lies."""
    return folder / _FOLDER / f"{sha256[:16]}.json"


def write_state(folder: Path, state: SourceState) -> None:
    """Write a state, whole or not at all: with it the source counts as done.

    It is not synced to the disk, which would cost more than the work on a picture does: after a loss of power a state
    that cannot be read is no state, and `pairs verify` knows the frames' hashes.

    Raises:
        OutputError: it cannot be written.
    """
    path = state_path(folder, state.sha256)
    part = path.with_suffix(f".{os.getpid()}.part")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_text(json.dumps(asdict(state), ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def read_state(path: Path) -> SourceState | None:
    """A state; None where there is none, or one that another version wrote."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return SourceState(
            **{
                **values,
                "prints": tuple(values["prints"]),
                "pairs": tuple(values["pairs"]),
                "warnings": tuple(values["warnings"]),
            }
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return None  # another version's, or half a file of another program: the source is built again


def read_states(folder: Path) -> list[SourceState]:
    """The states of all sources, sorted by name.

    Raises:
        InputError: the folder holds none.
    """
    states = [state for path in sorted((folder / _FOLDER).glob("*.json")) if (state := read_state(path)) is not None]
    if not states:
        raise InputError(f"{folder}: {_FOLDER}/ is missing; build the data set again with `videocolor pairs build`")
    return sorted(states, key=lambda state: (state.source, state.sha256))


def drop_source(folder: Path, sha256: str) -> None:
    """Remove what is stored of a source: state and frames."""
    state_path(folder, sha256).unlink(missing_ok=True)
    shutil.rmtree(folder / "frames" / sha256[:16], ignore_errors=True)


def read_hashes(folder: Path) -> dict[str, str]:
    """File inside the data set -> sha256, as DIR/files.sha256 says.

    Raises:
        InputError: the list is missing or a line of it cannot be used.
    """
    path = folder / HASHES
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    hashes = {}
    for number, line in enumerate(lines, 1):
        digest, gap, name = line.partition("  ")
        if not gap or len(digest) != 64:
            raise InputError(f"{path}, line {number}: expected a sha256, two spaces and a file name")
        hashes[name] = digest
    return hashes


def write_hashes(folder: Path, hashes: Mapping[str, str]) -> None:
    """Write DIR/files.sha256, sorted, for `sha256sum -c`.

    Raises:
        OutputError: it cannot be written, or a name holds a line break.
    """
    if any("\n" in name for name in hashes):
        raise OutputError(f"{folder / HASHES}: a file name with a line break cannot be listed")
    write_atomically(folder / HASHES, "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes)))
