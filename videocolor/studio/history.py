"""The earlier states of a project: one file a state, whole, so that undo needs nothing else.

history/000001.json      project.json and the first frames of the shots, as they were
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from videocolor.errors import ConfigError
from videocolor.files import write_atomically
from videocolor.studio.projectdata import ProjectData, State, explain

__all__ = ["History", "read_json", "state_from", "state_json"]

_MOST: Final = 200
"""States that are kept."""
_FILE: Final = re.compile(r"(\d{6,})\.json")


class History:
    """The states that lie in a folder, by their positions; reading it never changes it.

    Args:
        folder: `PROJECT/history`; must exist where something is to be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        self._there = {int(match[1]) for name in names if (match := _FILE.fullmatch(name))}

    def __contains__(self, position: int) -> bool:
        return position in self._there

    def path(self, position: int) -> Path:
        """Where a state lies, or would."""
        return self.folder / f"{position:06d}.json"

    def write(self, state: State) -> None:
        """Keep a state at its own position, in place of what stands there.

        Raises:
            OutputError: it cannot be written.
        """
        write_atomically(self.path(state.data.position), state_json(state))
        self._there.add(state.data.position)

    def forget_around(self, position: int) -> None:
        """Forget what a new change has made unreachable: states behind it, and the oldest beyond 200."""
        for other in [p for p in self._there if p > position or p <= position - _MOST]:
            self.path(other).unlink(missing_ok=True)
            self.forget(other)

    def forget(self, position: int) -> None:
        """Know nothing of a state any more, whose file was deleted."""
        self._there.discard(position)

    def read(self, position: int) -> State:
        """A state.

        Raises:
            ConfigError: it is missing or damaged.
        """
        path = self.path(position)
        return state_from(read_json(path), path)

    def states(self) -> Iterator[State]:
        """All that can be read, oldest first; damaged ones are passed over, they can only not be gone back to."""
        for position in sorted(self._there):
            try:
                yield self.read(position)
            except ConfigError:
                continue


def state_json(state: State) -> str:
    """A state as text."""
    cuts = None if state.cuts is None else list(state.cuts)
    data = {"project": state.data.model_dump(mode="json"), "cuts": cuts}
    return json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n"


def state_from(values: Any, path: Path) -> State:
    """What `state_json` wrote.

    Raises:
        ConfigError: it is damaged; names the file.
    """
    try:
        cuts = values["cuts"]
        data = ProjectData.model_validate(values["project"])
        return State(data, None if cuts is None else tuple(int(start) for start in cuts))
    except ValidationError as error:
        raise ConfigError(f"{path}: cannot be used: {explain(error)}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: is not a state of a project ({error})") from error


def read_json(path: Path) -> Any:
    """The JSON of a file.

    Raises:
        ConfigError: it cannot be read; names the file.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is damaged, not JSON: {error}") from error
