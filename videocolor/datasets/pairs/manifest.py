"""The manifest: one JSON line per pair; and the layout of a data set.

DIR/manifest.jsonl      one line a pair, sorted by source and time
DIR/frames/SHA/PTS.jpg  frames, in the mode that stores them; SHA: the first 16 digits of the source's sha256
DIR/files.sha256        hashes of all stored files, as `sha256sum -c` reads them
DIR/settings/ID.yaml    the settings that a line's `settings` names
DIR/decisions.txt       what a person decided; survives a rebuild
DIR/shards/             WebDataset tars, where asked for
DIR/.build/             one file a source: what a resumed build needs to know
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal

from videocolor.errors import InputError, OutputError
from videocolor.files import disk_errors, write_atomically

__all__ = [
    "Decision",
    "DECISIONS",
    "drop_source",
    "frame_name",
    "HASHES",
    "MANIFEST",
    "pair_id",
    "PairRecord",
    "read_hashes",
    "read_manifest",
    "read_states",
    "SourceState",
    "SPLITS",
    "state_path",
    "uniforms",
    "write_hashes",
    "write_manifest",
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
    """Name the state file of a source."""
    return folder / _FOLDER / f"{sha256[:16]}.json"


def write_state(folder: Path, state: SourceState) -> None:
    """Write a state atomically: with it the source counts as done.

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
    """Read a state; None where there is none, or one that another version wrote."""
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
    """Read the states of all sources, sorted by name.

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


MANIFEST: Final = "manifest.jsonl"
Decision = Literal["accepted", "doubtful", "rejected"]
DECISIONS: Final[tuple[Decision, ...]] = ("accepted", "doubtful", "rejected")
SPLITS: Final = ("train", "val", "test", "held_back")


@dataclass(frozen=True)
class PairRecord:
    """One line of the manifest."""

    pair_id: str
    """20 hex digits, made of `source_sha256`, both times and their unit: the same pair always has the same id."""
    source: str
    """The film or picture as it was named to `pairs build`; `ARCHIVE.tar/MEMBER` for a picture in a tar."""
    source_sha256: str
    original_pts: int
    hint_pts: int
    """The same as `original_pts` where a picture was paired with its own crop and warp."""
    time_base: str
    """Unit of the times in seconds, as a fraction: `1/15360`."""
    offset_s: float
    """Seconds from original to hint in presentation time; negative where the hint comes before."""
    shot: int
    """Counted from 1."""
    distance: float
    """Euclidean distance of the scene check, CIE delta E (`videocolor.datasets.pairs.scene.scene_delta`)."""
    decision: Decision
    """accepted, doubtful or rejected; a person's decision goes before the threshold's."""
    split: str
    """train, val, test or held_back."""
    licence: str
    """As a `manifest.csv` beside the source states it, else `not stated`."""
    settings: str
    """`settings_id` of the build; DIR/settings/ID.yaml holds them."""

    @property
    def self_pair(self) -> bool:
        """Whether the hint is a crop and warp of the original."""
        return self.original_pts == self.hint_pts

    def seconds(self, which: Literal["original", "hint"]) -> float:
        """Presentation time of a frame."""
        return float((self.original_pts if which == "original" else self.hint_pts) * Fraction(self.time_base))

    def as_line(self) -> str:
        """JSON, keys in the order of the fields."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)


_FIELDS: Final = tuple(field.name for field in fields(PairRecord))
_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    **dict.fromkeys(_FIELDS, str),
    **dict.fromkeys(("original_pts", "hint_pts", "shot"), int),
    **dict.fromkeys(("offset_s", "distance"), (int, float)),
}


def pair_id(sha256: str, original_pts: int, hint_pts: int, time_base: Fraction) -> str:
    """20 hex digits that name a pair by its content."""
    return hashlib.sha256(f"{sha256} {original_pts} {hint_pts} {time_base}".encode()).hexdigest()[:20]


def uniforms(count: int, *words: object) -> list[float]:
    """Numbers in [0, 1) that follow from the words alone, on every machine and in every version of NumPy."""
    stream = hashlib.shake_256("\0".join(map(str, words)).encode()).digest(8 * count)
    return [int.from_bytes(stream[8 * i : 8 * i + 8], "big") / 2**64 for i in range(count)]


def frame_name(sha256: str, pts: int, *, warped: bool = False, suffix: str = ".jpg") -> str:
    """Path of a stored frame inside the data set, with forward slashes."""
    return f"frames/{sha256[:16]}/{pts}{'.warp' if warped else ''}{suffix}"


def write_manifest(folder: Path, records: Iterable[PairRecord]) -> None:
    """Write DIR/manifest.jsonl atomically, sorted by source, time and hint.

    Raises:
        OutputError: it cannot be written.
    """
    ordered = sorted(records, key=lambda r: (r.source, r.source_sha256, r.original_pts, r.hint_pts))
    write_atomically(folder / MANIFEST, "".join(record.as_line() + "\n" for record in ordered))


def read_manifest(folder: Path) -> list[PairRecord]:
    """Read the pairs of a data set, in the manifest's order.

    Raises:
        InputError: there is no manifest, or a line of it cannot be used; names file and line.
    """
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(
            f"{folder}: no {MANIFEST} in it; `videocolor pairs build VIDEO... -o DIR` makes one"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    return [_parse(path, number, line) for number, line in enumerate(text.splitlines(), 1)]


def _parse(path: Path, number: int, line: str) -> PairRecord:
    where = f"{path}, line {number}"
    try:
        values: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON ({error.msg})") from error
    if not isinstance(values, dict) or set(values) != set(_FIELDS):
        raise InputError(f"{where}: expected exactly the keys {', '.join(_FIELDS)}")
    for key, kind in _TYPES.items():
        if not isinstance(values[key], kind) or isinstance(values[key], bool):
            raise InputError(f"{where}: {key} = {values[key]!r} cannot be used")
    if values["decision"] not in DECISIONS or values["split"] not in SPLITS:
        raise InputError(f"{where}: decision {values['decision']!r} or split {values['split']!r} is unknown")
    try:
        positive = Fraction(values["time_base"]) > 0
    except (ValueError, ZeroDivisionError):
        positive = False
    if not positive:
        raise InputError(f"{where}: time_base = {values['time_base']!r} is no positive fraction")
    return PairRecord(**values)
