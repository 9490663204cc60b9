"""Checkpoints: written atomically, with everything that going on needs."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from videocolor.errors import ModelError, OutputError
from videocolor.training.config import RunConfig

__all__ = ["restoring", "save_checkpoint", "warn_of_changes"]

_log = logging.getLogger(__name__)


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write to a neighbor, flush to disk, rename: a killed run leaves the old file or the new one.

    Raises:
        OutputError: it cannot be written.
    """
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as handle:
            torch.save(content, handle)
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise OutputError(f"{path}: the checkpoint cannot be written: {error}") from error


@contextmanager
def restoring(path: Path) -> Iterator[None]:
    """Turn errors of taking over a checkpoint's state into a `ModelError` that names the file."""
    try:
        yield
    except (RuntimeError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: of another network or other settings ({error}); begin another run") from error


def warn_of_changes(before: dict[str, Any], config: RunConfig, free: Set[str]) -> None:
    """Warn where a run goes on with settings that change what it does."""
    now = config.model_dump(mode="json")
    for key in sorted(before.keys() & now.keys() - free):
        if before[key] != now[key]:
            _log.warning("resumed with %s = %s; the run began with %s", key, now[key], before[key])
