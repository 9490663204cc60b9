"""Rows of an evaluation: the scores and stills of one method on one case of one clip, and their store."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from videocolor.errors import InputError
from videocolor.files import file_sha256, plain, write_atomically
from videocolor.types import Array

__all__ = ["TRUTH", "Row", "Store", "code_digest", "digest"]

TRUTH: Final = "truth"
"""Label of the truth's rows."""


@dataclass(frozen=True)
class Row:
    """Scores of one method on one case of one unit."""

    unit: str
    case: str
    """Empty where the protocol has one case a clip."""
    method: str
    scores: dict[str, Any]
    """As `videocolor.evaluation.scoring.Scores`; None: not measured."""
    stills: tuple[str, ...]
    """PNG files of the kept frames, relative to the output folder."""
    still_frames: tuple[int, ...]
    """Their frames, counted from the scored part's first."""
    hints: dict[str, str]
    """Name of a hint -> its picture, relative to the output folder."""
    about: dict[str, Any]
    """Which part of the clip was scored; which frames were hints."""
    notes: tuple[str, ...]
    """What a reader should know: a hint refused, a result scaled."""
    seconds: float
    """Wall time of the method alone, for all frames."""
    peak_bytes: int | None
    """Peak of the process's resident memory; None on systems that do not report it."""


def digest(value: Any) -> str:
    """Return the sha256 of a value as canonical JSON."""
    return hashlib.sha256(json.dumps(plain(value), sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=2)
def code_digest(*, package: bool) -> str:
    """Return the sha256 of the source that rows depend on, so that rows of other code are not used.

    Args:
        package: of the package, for methods that run `colorize` or a network; else of scores and baselines alone.
    """
    root = Path(__file__).parent.parent
    beside = {"table.py", "output.py", "reports", "pages", "cli"}
    folder = root if package else root / "evaluation"
    files = (p for p in sorted(folder.rglob("*.py")) if not beside & set(p.relative_to(root).parts))
    return digest([(p.relative_to(root).as_posix(), file_sha256(p)) for p in files])


class Store:
    """Finished rows in the output folder, so that a stopped run can be resumed.

    Args:
        folder: the output folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def still(self, unit: str, label: str, key: str, case: str, frame: int) -> Path:
        """Return the path of a kept frame."""
        name = f"{_safe(label)}-{key[:10]}{'-' + _safe(case) if case else ''}-{frame:06d}.png"
        return self.folder / "stills" / _safe(unit) / name

    def hint(self, unit: str, rgb: Array) -> Path:
        """Return the path of a hint's picture, which is named by its content."""
        return self.folder / "stills" / _safe(unit) / f"hint-{hashlib.sha256(rgb.tobytes()).hexdigest()[:10]}.png"

    def read(self, unit: str, label: str, key: str) -> list[Row] | None:
        """Return the rows of a unit by a method; None if they are not done or lack a picture.

        Raises:
            InputError: the file is damaged.
        """
        path = self._path(unit, label, key)
        if not path.is_file():
            return None
        try:
            rows = [_row(entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}: damaged; remove it, or give --fresh to compute everything again") from error
        pictures = [picture for row in rows for picture in (*row.stills, *row.hints.values())]
        return rows if all((self.folder / picture).is_file() for picture in pictures) else None

    def write(self, unit: str, label: str, key: str, rows: Sequence[Row]) -> None:
        """Store the rows of a unit by a method."""
        path = self._path(unit, label, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps([plain(row) for row in rows], indent=1) + "\n")

    def _path(self, unit: str, label: str, key: str) -> Path:
        return self.folder / "done" / _safe(unit) / f"{_safe(label)}-{key[:10]}.json"


def _row(entry: Mapping[str, Any]) -> Row:
    names = ("stills", "still_frames", "notes")
    return Row(**{**entry, **{name: tuple(entry[name]) for name in names}})


def _safe(name: str) -> str:
    """Make a name that is valid in every file system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name) or "_"
