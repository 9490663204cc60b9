"""The projects that were opened last on this machine, for the page that opens without a film."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, Final

from videocolor.errors import OutputError
from videocolor.files import write_atomically

__all__ = ["read_recent", "remember_project"]

log = logging.getLogger(__name__)
_MOST: Final = 20


def _file() -> Path:
    """Return the list's file: in the system's folder for state, which `XDG_STATE_HOME` moves."""
    if given := os.environ.get("XDG_STATE_HOME"):
        return Path(given) / "videocolor" / "recent.json"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "videocolor" / "recent.json"
    return Path.home() / ".local" / "state" / "videocolor" / "recent.json"


def read_recent() -> list[dict[str, Any]]:
    """Return {film, project, there} of the projects opened last, the newest first; `there`: its film is, too."""
    try:
        listed = json.loads(_file().read_text(encoding="utf-8"))
        pairs = [(Path(entry["film"]), Path(entry["project"])) for entry in listed]
    except (OSError, ValueError, TypeError, KeyError):  # none yet, or edited: it is a convenience
        return []
    return [{"film": str(f), "project": str(p), "there": os.path.exists(f)} for f, p in pairs if os.path.isdir(p)]


def remember_project(film: Path, project: Path) -> None:
    """Put a project first on the list."""
    kept = [entry for entry in read_recent() if entry["project"] != str(project)]
    entries = [{"film": str(film), "project": str(project)}, *kept][:_MOST]
    path = _file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps([{"film": one["film"], "project": one["project"]} for one in entries], ensure_ascii=False)
        write_atomically(path, text + "\n")
    except (OSError, OutputError, UnicodeEncodeError) as error:
        log.info("the list of recent projects could not be written: %s", error)
