"""What was asked for when a film was rendered, a small file each: which shots a later change concerns follows from it.

PROJECT/renders/.requests/ID.json      ID: the batch's hash of the film's settings (`settings_id`)
"""

from __future__ import annotations

from pathlib import Path

from videocolor.errors import ConfigError
from videocolor.studio.history import read_json

__all__ = ["requested_images"]


def requested_images(renders: Path) -> set[str]:
    """Names of the pictures of hints that renders were asked for with."""
    found: set[str] = set()
    for path in (renders / ".requests").glob("*.json"):
        try:
            found |= set(read_json(path)["images"])
        except (ConfigError, KeyError, TypeError):
            continue
    return found
