"""Films of a batch that was run before: what its ledger, or else its working folders, know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videocolor.batch.ledger import FilmRow, Ledger, ledger_path
from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import known_jobs, state_folder
from videocolor.errors import InputError, UsageError
from videocolor.presets import load_model, suggest
from videocolor.shards.types import FilmJob

__all__ = ["failed_jobs", "last_config", "unfinished_jobs"]


def failed_jobs(out: Path, names: Sequence[str] = ()) -> tuple[FilmJob, ...]:
    """Jobs of films that failed.

    Args:
        out: the output folder.
        names: only these; empty: all of them.

    Raises:
        InputError: no batch was run here.
        UsageError: a name that is not in the batch, or a film that has not failed.
    """
    return _jobs(out, names, ("failed",))


def unfinished_jobs(out: Path, names: Sequence[str] = ()) -> tuple[FilmJob, ...]:
    """Jobs of films that are not finished; arguments and errors as of `failed_jobs`."""
    return _jobs(out, names, ("failed", "planned", "running"))


def _jobs(out: Path, names: Sequence[str], states: Sequence[str]) -> tuple[FilmJob, ...]:
    try:
        with Ledger(out) as ledger:
            rows = ledger.films()
            _check_names(out, names, rows, states)
            chosen = [row.name for row in rows if row.state in states and (not names or row.name in names)]
            return tuple(job for name in chosen if (job := ledger.job(name)) is not None)
    except InputError:
        found = tuple(job for job in known_jobs(out) if not names or job.name in names)
        if not ledger_path(out).exists() and not found:
            raise InputError(f"{out}: no batch was run here ({state_folder(out)} is missing)") from None
        return found  # the ledger is damaged: the working folders know what is not finished


def _check_names(out: Path, names: Sequence[str], rows: Sequence[FilmRow], states: Sequence[str]) -> None:
    known = {row.name: row.state for row in rows}
    for name in names:
        if name not in known:
            raise UsageError(f"{name}: is no film of {out}{suggest(name, known)}; `videocolor batch status` lists them")
        if known[name] not in states:
            raise UsageError(f"{name}: is {known[name]}, not {' or '.join(states)}")


def last_config(
    out: Path, source: str | None = None, overrides: Sequence[str] = (), flags: Mapping[str, Any] | None = None
) -> BatchConfig:
    """The configuration that a batch was last run with, changed by overrides and flags.

    Args:
        out: the output folder.
        source: preset or file in place of the last configuration.
        overrides: `section.key=value`.
        flags: dotted key to value; None values mean "flag not given".

    Raises:
        ConfigError: a value cannot be used.
    """
    if source is not None:
        return load_model(BatchConfig, "batch", source, overrides, flags)
    try:
        with Ledger(out) as ledger:
            values = ledger.meta("config")
    except InputError:
        values = None
    base: dict[str, Any] = {}
    for section, keys in (values or {}).items():
        for key, value in keys.items():
            base[f"{section}.{key}"] = value
    changed = load_model(BatchConfig, "batch", None, overrides, flags).model_dump(mode="json", exclude_unset=True)
    for section, keys in changed.items():
        for key, value in keys.items():
            base[f"{section}.{key}"] = value
    return load_model(BatchConfig, "batch", None, (), base)
