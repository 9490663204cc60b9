"""What a batch is about: a folder of reels, or a job file that lists films; each becomes a `FilmJob`."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import state_folder
from videocolor.config import AssignedHint, ColorizeConfig, parse_hint
from videocolor.errors import ConfigError, InputError, UsageError
from videocolor.presets import yaml_line
from videocolor.shards.types import FilmJob
from videocolor.video.sequences import IMAGE_SUFFIXES, check_name

__all__ = ["HINTS_SUFFIX", "JOB_SUFFIXES", "VIDEO_SUFFIXES", "Entry", "JobList", "find_reels", "read_jobs"]

VIDEO_SUFFIXES: Final = frozenset(
    f".{kind}"
    for kind in (
        *("mkv", "mp4", "m4v", "mov", "qt", "avi", "mxf", "webm", "mpg", "mpeg", "mpe", "m2v", "vob", "ts", "m2ts"),
        *("mts", "dv", "dif", "wmv", "asf", "flv", "f4v", "ogv", "3gp", "3g2", "y4m", "nut", "divx"),
    )
)
"""Files of a folder with these suffixes are reels."""
JOB_SUFFIXES: Final = frozenset({".yaml", ".yml", ".csv"})
HINTS_SUFFIX: Final = ".hints"
"""`REEL.hints/` beside REEL.mp4 holds its hints."""
_LONGEST: Final = 180
"""Bytes of a film's name in the working folder; file systems take 255, and something is put before and behind it."""


@dataclass(frozen=True)
class Entry:
    """A film as a person asks for it."""

    source: Path
    stem: Path
    """Where its result stands in OUT, without label and suffix: `a/reel`."""
    where: str
    """For messages: the job file's line, or nothing."""
    output: Path | None = None
    """The result as asked for, relative to OUT or absolute; None: follows from `stem`."""
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    priority: int = 0


@dataclass(frozen=True)
class JobList:
    """The films of a batch, and what a person should know about how they were found."""

    jobs: tuple[FilmJob, ...]
    notes: tuple[str, ...] = field(default=())


def read_jobs(source: Path, out: Path, config: BatchConfig, overrides: Sequence[str] = ()) -> JobList:
    """Find the films of a batch.

    Settings of a film: defaults < preset (the job file's, else `films.preset`) < `films.settings` < the job file's
    `set` and `hints` < `overrides`.

    Args:
        source: a folder (searched in depth), a job file (.yaml, .csv), or one film.
        out: the output folder; results keep the folders that the reels lie in.
        config: of the batch.
        overrides: `section.key=value` for all films, as of `videocolor colorize --set`.

    Raises:
        InputError: `source` is missing, cannot be read, or holds no film; a film's name is not UTF-8.
        ConfigError: a setting or a line of the job file cannot be used; names the line.
        UsageError: two films would be written to one file, or a result would replace a source.
    """
    out = out.absolute()
    if not source.exists() and "%" not in source.name:
        raise InputError(f"{source}: no such file or folder")
    notes: list[str] = []
    if source.is_dir():
        if source.resolve() == out.resolve():
            raise UsageError(f"-o {out}: is the folder of the reels; results need a folder of their own")
        entries = find_reels(source, out, notes)
    elif source.suffix.lower() in JOB_SUFFIXES:
        from videocolor.batch.jobfile import read_job_file

        entries = read_job_file(source)
    else:
        entries = [Entry(source.absolute(), Path(_stem(source)), "", overrides=_beside(source))]
    if not entries:
        raise InputError(f"{source}: holds no film ({', '.join(notes) or 'nothing that looks like one'})")
    for entry in entries:
        check_name(entry.source)
    check_name(out)
    stems = _distinct(entries)
    names: set[str] = set()
    jobs = [_job(entry, stem, out, config, overrides, names) for entry, stem in zip(entries, stems, strict=True)]
    _check_collisions(jobs, entries, out)
    return JobList(tuple(jobs), tuple(notes))


def find_reels(folder: Path, out: Path, notes: list[str]) -> list[Entry]:
    """The reels of a folder and the folders in it, in the order of their names.

    Hidden files, the output folder, output folders of other batches and `REEL.hints` are left out; so are files
    of other kinds, which `notes` tells of. A folder with nothing but numbered images is one reel.

    Raises:
        InputError: a folder cannot be read.
    """
    root, out = folder.absolute(), out.resolve()
    found: list[Entry] = []
    others: Counter[str] = Counter()

    def failed(error: OSError) -> None:
        raise InputError(f"{error.filename}: {error.strerror}; make it readable, or move it away")

    for place, folders, files in os.walk(root, onerror=failed):
        here = Path(place)
        images = [name for name in files if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES]
        if _is_sequence(images, files):
            found.append(Entry(here, here.relative_to(root), "", overrides=_beside(here)))
            files = []
        folders[:] = [name for name in folders if _is_searched(here / name, out, notes)]
        for name in files:
            if name.startswith("."):
                continue
            path = here / name
            if path.suffix.lower() in VIDEO_SUFFIXES:
                found.append(Entry(path, path.relative_to(root).with_suffix(""), "", overrides=_beside(path)))
            else:
                others[path.suffix.lower() or "(no suffix)"] += 1
    if others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
        notes.append(f"{folder}: files that are no films are left alone: {kinds}")
    return sorted(found, key=lambda entry: entry.source)


def _is_searched(folder: Path, out: Path, notes: list[str]) -> bool:
    if folder.name.startswith(".") or folder.name.endswith(HINTS_SUFFIX) or folder.resolve() == out:
        return False
    if state_folder(folder).is_dir():
        notes.append(f"{folder}: left out, it holds the results of another batch")
        return False
    return True


def _is_sequence(images: Sequence[str], files: Sequence[str]) -> bool:
    """Two numbered images or more, no film among them; posters and stills beside reels are no reel."""
    numbered = sum(any(letter.isdigit() for letter in Path(name).stem) for name in images)
    return numbered >= 2 and not any(Path(name).suffix.lower() in VIDEO_SUFFIXES for name in files)


def _beside(source: Path) -> tuple[str, ...]:
    """The hints that lie beside a reel by their name."""
    folder = source.absolute().with_name(_stem(source) + HINTS_SUFFIX)
    return (as_override("hints.folder", str(folder)),) if folder.is_dir() else ()


def _stem(source: Path) -> str:
    if "%" in source.name and not source.is_file():
        return source.name.partition("%")[0].rstrip("._- ") or source.absolute().parent.name
    return source.name if source.is_dir() else source.stem


def _distinct(entries: Sequence[Entry]) -> list[Path]:
    """Where results go: of reels that differ in nothing but the suffix, all keep it: `reel.mov`, `reel.mp4`."""
    stems = [entry.stem if str(entry.stem) != "." else Path(entry.source.name) for entry in entries]
    seen = Counter(str(stem).casefold() for stem, entry in zip(stems, entries, strict=True) if entry.output is None)
    return [
        stem.with_name(entry.source.name) if seen[str(stem).casefold()] > 1 else stem
        for stem, entry in zip(stems, entries, strict=True)
    ]


def _job(
    entry: Entry, stem: Path, out: Path, config: BatchConfig, overrides: Sequence[str], names: set[str]
) -> FilmJob:
    target = entry.output or stem.with_name(stem.name + config.films.label + config.films.container)
    settings = (*config.films.settings, *entry.overrides, *overrides)
    try:
        film = ColorizeConfig.load(entry.preset or config.films.preset, settings)
    except ConfigError as error:
        raise ConfigError(f"{entry.where}{error}") from error
    name = _name(stem, names)
    folder = state_folder(out) / "shards" / name
    return FilmJob(name, entry.source, out / target, _rooted(film).as_dict(), folder, entry.priority)


def _name(stem: Path, names: set[str]) -> str:
    """A file name without suffix for a path: `a__reel`; a hash is added where two would be one, or too long."""
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
    """The configuration with whole paths: workers may stand in other folders, or on other machines."""
    hints, shots, model = config.hints, config.shots, config.model
    weights = Path(model.name)
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
            "model": model.model_copy(update={"name": str(weights.absolute()) if weights.is_file() else model.name}),
        }
    )


def _absolute_entry(entry: AssignedHint) -> AssignedHint:
    return entry.model_copy(update={"image": absolute_hint(entry.image, Path.cwd())})


def absolute_hint(item: str, folder: Path) -> str:
    """A hint `[TIME=]IMAGE[@TIME]` with the whole path of its image, which is relative to `folder`."""
    whole = folder / item
    if whole.is_file():
        return str(whole)
    image = str(parse_hint(item)[1])
    if not Path(image).is_absolute():
        head, _, tail = item.rpartition(image)
        # The text before the last occurrence is the time; a name like `3=3.png` holds its own time's digits.
        return f"{head}{folder / image}{tail}"
    return item


def _check_collisions(jobs: Iterable[FilmJob], entries: Sequence[Entry], out: Path) -> None:
    targets: dict[str, FilmJob] = {}
    jobs = list(jobs)
    sources = {os.path.realpath(job.source): job for job in jobs}
    for job, entry in zip(jobs, entries, strict=True):
        key = os.path.realpath(job.target).casefold()
        if key in targets:
            raise UsageError(
                f"{entry.where}{job.source} and {targets[key].source} would both be written to {job.target}; "
                "name the outputs in a job file"
            )
        targets[key] = job
        real = Path(os.path.realpath(job.target))
        if str(real) in sources or any(str(parent) in sources for parent in real.parents):
            raise UsageError(f"{entry.where}{job.target}: would replace a reel of this batch; choose another folder")
        if state_folder(out) in job.target.parents:
            raise UsageError(f"{entry.where}{job.target}: lies in the working folder of the batch; give another name")


def as_override(key: str, value: Any) -> str:
    """`key=value` for `ColorizeConfig.load`."""
    return f"{key}={yaml_line(value)}"
