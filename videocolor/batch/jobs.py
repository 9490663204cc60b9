"""The jobs of a batch: each film of a folder or job file, with its complete configuration, as a `FilmJob`."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from videocolor.batch.listing import JOB_SUFFIXES, Entry, absolute_hint, find_reels, one_reel, read_job_file
from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import state_folder, write_text
from videocolor.config import AssignedHint, ColorizeConfig
from videocolor.errors import ConfigError, InputError, UsageError
from videocolor.presets import yaml_line
from videocolor.shards.types import FilmJob
from videocolor.video.sequences import check_name

__all__ = ["JobList", "plan_reels", "read_jobs"]

_LONGEST: Final = 180
"""Bytes of a film's name in the working folder; file systems take 255, and prefixes and suffixes are added."""
_LONGEST_TARGET: Final = 255 - 45
"""Bytes of a result's name; the longest beside it is that of its source's digests while they are written."""
_JOB_FILE_HEAD: Final = """\
# The films of a folder. Remove a line to leave a film out, set its hints (a folder, a picture, TIME=picture, or a list
# of pictures), or add preset, priority, set. `videocolor batch run THIS -o OUT` works by it, with the same --set.
films:
"""


@dataclass(frozen=True)
class JobList:
    """The films of a batch, and notes on how they were found."""

    jobs: tuple[FilmJob, ...]
    notes: tuple[str, ...] = field(default=())
    refused: tuple[str, ...] = ()
    """Why reels are left out whose names cannot be used."""


def read_jobs(source: Path, out: Path, config: BatchConfig, overrides: Sequence[str] = ()) -> JobList:
    """Find the films of a batch.

    Settings of a film: defaults < preset (the job file's, else `films.preset`) < `films.settings` < the job file's
    `set` and `hints` < `overrides`.

    Args:
        source: a folder (searched in depth), a job file (.yaml, .csv), or one film.
        out: the output folder; results keep the folders of the reels.
        config: of the batch.
        overrides: `section.key=value` for all films, as of `videocolor colorize --set`.

    Raises:
        InputError: `source` is missing, cannot be read, or contains no film that can be used.
        ConfigError: a setting or a line of the job file cannot be used; names the line.
    """
    out = out.absolute()
    if not source.exists() and "%" not in source.name:
        raise InputError(f"{source}: no such file or folder")
    notes: list[str] = []
    if source.is_dir():
        if source.resolve() == out.resolve():
            raise UsageError(f"-o {out}: is the folder of the reels; results need another folder")
        entries = find_reels(source, out, notes)
    elif source.suffix.lower() in JOB_SUFFIXES:
        entries = read_job_file(source)
    else:
        entries = [one_reel(source)]
    if not entries:
        raise InputError(f"{source}: contains no film ({', '.join(notes) or 'nothing that looks like one'})")
    check_name(out)
    names: set[str] = set()
    configs = _Configs(config, overrides)
    jobs, refused = [], []
    targets: dict[str, Path] = {}
    sources = {os.path.realpath(entry.source) for entry in entries}
    for entry, stem in zip(entries, _distinct(entries), strict=True):
        try:
            check_name(entry.source)
            job = _job(entry, stem, out, config, configs.of(entry), names)
            _check_target(job, entry.where, out, targets, sources)
        except ConfigError:
            raise
        except (InputError, UsageError) as error:
            refused.append(str(error))
        else:
            jobs.append(job)
    if not jobs:
        raise InputError("; ".join(refused))
    return JobList(tuple(jobs), tuple(notes), tuple(refused))


def plan_reels(jobs: Sequence[FilmJob], out: Path) -> Path:
    """Write the films of a folder as a job file to be edited, unless it is there; return its path.

    Raises:
        OutputError: it cannot be written.
    """
    path = state_folder(out) / "reels.yaml"
    rows = (
        {
            "film": str(job.source),
            "hints": job.config["hints"]["folder"],
            "output": job.target.relative_to(out.absolute()).as_posix(),
        }
        for job in jobs
    )
    if not path.exists():
        write_text(path, _JOB_FILE_HEAD + "".join(f"- {yaml_line(row)}\n" for row in rows))
    return path


def _distinct(entries: Sequence[Entry]) -> list[Path]:
    """Return where results go; reels that differ only in their suffix keep it: `reel.mov`, `reel.mp4`."""
    stems = [entry.stem if str(entry.stem) != "." else Path(entry.source.name) for entry in entries]
    seen = Counter(str(stem).casefold() for stem, entry in zip(stems, entries, strict=True) if entry.output is None)
    return [
        stem.with_name(entry.source.name) if seen[str(stem).casefold()] > 1 else stem
        for stem, entry in zip(stems, entries, strict=True)
    ]


class _Configs:
    """Configurations of films; equal ones are one object, since archives have thousands of films."""

    def __init__(self, config: BatchConfig, overrides: Sequence[str]) -> None:
        self._films, self._overrides = config.films, overrides
        self._known: dict[tuple[str | None, tuple[str, ...]], dict[str, Any]] = {}

    def of(self, entry: Entry) -> dict[str, Any]:
        """Return the configuration of a film, as `ColorizeConfig.as_dict` does; not to be changed."""
        asked = (entry.preset or self._films.preset, (*self._films.settings, *entry.overrides, *self._overrides))
        if asked not in self._known:
            try:
                self._known[asked] = _rooted(ColorizeConfig.load(*asked)).as_dict()
            except ConfigError as error:
                raise ConfigError(f"{entry.where}{error}") from error
        return self._known[asked]


def _job(entry: Entry, stem: Path, out: Path, config: BatchConfig, film: dict[str, Any], names: set[str]) -> FilmJob:
    target = entry.output or stem.with_name(stem.name + config.films.label + config.films.container)
    if config.films.label and target.stem.endswith(config.films.label):
        stem = target.with_name(target.stem.removesuffix(config.films.label))  # as in the folder's batch
    name = _name(stem, names)
    folder = state_folder(out) / "shards" / name
    beside = (dict(entry.catalog), dict(entry.checksums))
    return FilmJob(name, entry.source, out / target, film, folder, entry.priority, *beside)


def _name(stem: Path, names: set[str]) -> str:
    """Return a file name without suffix for a path: `a__reel`; a hash makes it unique, and short enough."""
    name = "__".join(part for part in stem.parts if part not in ("..", "/", stem.anchor)) or "film"
    if name.casefold() in names or len(name.encode()) > _LONGEST:
        mark = hashlib.sha256(str(stem).encode()).hexdigest()[:8]
        while len(name.encode()) > _LONGEST - 10:
            name = name[:-1]
        name = f"{name}-{mark}"
    if name.casefold() in names:
        name = f"{name}-{len(names)}"
    names.add(name.casefold())
    return name


def _rooted(config: ColorizeConfig) -> ColorizeConfig:
    """Make paths absolute: workers may run in other folders, or on other machines."""
    hints, shots, model = config.hints, config.shots, config.model
    networks = {"name": model.name, "automatic": model.automatic}
    rooted = {key: str(Path(n).absolute()) if n and Path(n).is_file() else n for key, n in networks.items()}
    return config.model_copy(
        update={
            "hints": hints.model_copy(
                update={
                    "items": tuple(absolute_hint(item, Path.cwd()) for item in hints.items),
                    "folder": None if hints.folder is None else hints.folder.absolute(),
                    "assigned": tuple(_absolute_entry(entry) for entry in hints.assigned),
                }
            ),
            "shots": shots.model_copy(update={"file": None if shots.file is None else shots.file.absolute()}),
            "model": model.model_copy(update=rooted),
        }
    )


def _absolute_entry(entry: AssignedHint) -> AssignedHint:
    return entry.model_copy(update={"image": absolute_hint(entry.image, Path.cwd())})


def _check_target(job: FilmJob, where: str, out: Path, targets: dict[str, Path], sources: Collection[str]) -> None:
    """Check that a result has a name of its own that can be written; `targets`: those of earlier films, and which."""
    name = job.target.name
    length = len(os.fsencode(name))
    if length > _LONGEST_TARGET:
        raise UsageError(
            f"{where}{job.source}: the result's name has {length} bytes, more than {_LONGEST_TARGET}, "
            "so names beside it find no room; rename the reel, or name its output in a job file"
        )
    if any(ord(letter) < 32 for letter in str(job.target.relative_to(out))):
        raise UsageError(f"{where}{str(job.source)!r}: the name has a line break or control character; rename it")
    real = Path(os.path.realpath(job.target))
    other = targets.setdefault(str(real).casefold(), job.source)
    if other != job.source:
        raise UsageError(
            f"{where}{job.source} and {other} would both be written to {job.target}; name the outputs in a job file"
        )
    if str(real) in sources or any(str(parent) in sources for parent in real.parents):
        raise UsageError(f"{where}{job.target}: would replace a reel of this batch; choose another folder")
    if state_folder(out) in job.target.parents:
        raise UsageError(f"{where}{job.target}: is in the working folder of the batch; give another name")
