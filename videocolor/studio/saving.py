"""How a state of a project gets onto the disk: three files one after the other, all of them or as if none."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from videocolor.errors import InputError, OutputError
from videocolor.files import write_atomically
from videocolor.studio.history import History
from videocolor.studio.projectdata import State
from videocolor.studio.projectfolder import PROJECT, SHOTS, shots_digest
from videocolor.studio.shotlist import FrameTimes, write_list

__all__ = ["save_state"]

log = logging.getLogger(__name__)


def save_state(folder: Path, history: History, state: State, index: FrameTimes | None, film: str) -> State:
    """Write shots.yaml, the state in history/, then project.json: a project is at the state that stands there.

    Killed in between, the list of shots is newer than the project, and counts as edited by a person.

    Args:
        folder: of the project.
        history: of the project.
        state: what is to be saved.
        index: of the film, to write the list of shots; None: the list stays as it is.
        film: its name, for people.

    Returns:
        The state with the digest of the list that stands there.

    Raises:
        OutputError: it cannot be written, or shots.yaml cannot be read back; all is as it was.
    """
    listed, kept = folder / SHOTS, history.path(state.data.position)
    before = {path: _bytes(path) for path in (listed, kept)}
    try:
        if state.cuts is not None and index is not None:
            write_list(listed, state.cuts, state.notes, index, film)
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
    """What stood there before; on a full disk there is room for it, as it has just been given free."""
    try:
        if data is None:
            path.unlink(missing_ok=True)
        elif _bytes(path) != data:
            write_atomically(path, data)
    except (OSError, OutputError) as error:
        log.warning("a change could not be saved, and %s could not be put back: %s", path, error)
