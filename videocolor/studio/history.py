"""States of a project on disk: the present one in three files, the earlier ones for undo.

project.json             the present state
shots.yaml               where shots begin, as `videocolor shots` writes it
history/000001.json      project.json and the first frames of the shots, one file per state
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final, Protocol

from pydantic import ValidationError

from videocolor.errors import ConfigError, InputError, OutputError
from videocolor.files import write_atomically
from videocolor.shots.shotlist import write_shots
from videocolor.studio.projectdata import ProjectData, State, explain, read_json
from videocolor.studio.projectfolder import PROJECT, SHOTS, shots_digest
from videocolor.types import Shot

__all__ = ["FrameTimes", "History", "save_state"]

log = logging.getLogger(__name__)
_MOST: Final = 200
"""States that are kept."""
_FILE: Final = re.compile(r"(\d{6,})\.json")


class History:
    """The kept states of a project by their positions.

    Args:
        folder: `PROJECT/history`; must exist before anything is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        self._there = {int(match[1]) for name in names if (match := _FILE.fullmatch(name))}

    def __contains__(self, position: int) -> bool:
        return position in self._there

    def path(self, position: int) -> Path:
        """Return the file of a state, existing or not."""
        return self.folder / f"{position:06d}.json"

    def write(self, state: State) -> None:
        """Keep a state at its own position, replacing an earlier one.

        Raises:
            OutputError: it cannot be written.
        """
        cuts = None if state.cuts is None else list(state.cuts)
        data = {"project": state.data.model_dump(mode="json"), "cuts": cuts}
        text = json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(self.path(state.data.position), text)
        self._there.add(state.data.position)

    def forget_around(self, position: int) -> None:
        """Delete states that a change at `position` makes unreachable: later ones, and the oldest beyond 200."""
        for other in [p for p in self._there if p > position or p <= position - _MOST]:
            self.path(other).unlink(missing_ok=True)
            self.forget(other)

    def forget(self, position: int) -> None:
        """Forget a state whose file was deleted."""
        self._there.discard(position)

    def read(self, position: int) -> State:
        """Return a state.

        Raises:
            ConfigError: it is missing or damaged; names the file.
        """
        path = self.path(position)
        values = read_json(path)
        try:
            cuts = values["cuts"]
            data = ProjectData.model_validate(values["project"])
            return State(data, None if cuts is None else tuple(int(start) for start in cuts))
        except ValidationError as error:
            raise ConfigError(f"{path}: cannot be used: {explain(error)}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{path}: is not a state of a project ({error})") from error

    def states(self) -> Iterator[State]:
        """Yield all readable states, oldest first; damaged ones only cannot be restored."""
        for position in sorted(self._there):
            try:
                yield self.read(position)
            except ConfigError:
                continue


class FrameTimes(Protocol):
    """The frames of a scanned film."""

    @property
    def frames(self) -> int:
        """Number of frames."""

    @property
    def pts(self) -> Sequence[int]:
        """Time of every frame, in ticks."""

    @property
    def time_base(self) -> Fraction:
        """Seconds per tick."""


def save_state(folder: Path, history: History, state: State, index: FrameTimes | None, film: str) -> State:
    """Write shots.yaml, the state in history/, then project.json, which decides: all of them, or none.

    If the process is killed in between, the list of shots counts as edited by a person.

    Args:
        folder: of the project.
        history: of the project.
        state: to be saved.
        index: of the film, to write the list of shots; None: keep the list.
        film: its name, for display.

    Returns:
        The state with the digest of the list.

    Raises:
        OutputError: it cannot be written, or shots.yaml cannot be read back; all files are as before.
    """
    listed, kept = folder / SHOTS, history.path(state.data.position)
    before = {path: _bytes(path) for path in (listed, kept)}
    try:
        if state.cuts is not None and index is not None:
            _write_list(listed, state.cuts, state.notes, index, film)
        state = replace(state, data=state.data.model_copy(update={"shots_sha256": shots_digest(folder)}))
        history.write(state)
        write_atomically(folder / PROJECT, state.data.model_dump_json(indent=1) + "\n")
    except (OutputError, InputError):
        for path, data in before.items():
            _put_back(path, data)
        if before[kept] is None:
            history.forget(state.data.position)
        raise
    return state


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"{path}: cannot be read before it is replaced: {error.strerror or error}") from error


def _put_back(path: Path, data: bytes | None) -> None:
    """Restore a file; even a full disk has room for it, freed just before."""
    try:
        if data is None:
            path.unlink(missing_ok=True)
        elif _bytes(path) != data:
            write_atomically(path, data)
    except (OSError, OutputError) as error:
        log.warning("a change could not be saved, and %s could not be put back: %s", path, error)


def _write_list(path: Path, cuts: Sequence[int], notes: Mapping[int, str], index: FrameTimes, film: str) -> None:
    ends = [*cuts[1:], index.frames]
    after = index.pts[index.frames - 1] + 1
    shots = [
        Shot(n, start, end, index.pts[start], index.pts[end] if end < index.frames else after, index.time_base)
        for n, (start, end) in enumerate(zip(cuts, ends, strict=True))
    ]
    texts = {number: notes.get(start, "") for number, start in enumerate(cuts)}
    write_shots(path, shots, film=film, notes=texts, overwrite=True)
