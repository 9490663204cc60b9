"""Which films a batch is about: those of a folder, or of a job file (YAML or CSV) with settings for each.

    films:                                    film,hints,preset,output,priority,set
      - film: reels/1931.mov                  reels/1931.mov,stills/1931,master,,5,model.batch=4; output.crf=12
        hints: stills/1931                    reels/1932.mov,,,,,
        preset: master
        output: 1931_color.mkv
        priority: 5
        set: {model.batch: 4, output: {crf: 12}}

Paths are relative to the job file, `output` to the output folder. Further columns are of the catalog
(`videocolor.batch.catalog`).
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from videocolor.batch.catalog import read_catalog
from videocolor.batch.state import state_folder
from videocolor.config.parsing import parse_hint
from videocolor.errors import ConfigError, InputError, UsageError
from videocolor.presets import list_presets, read_yaml, yaml_line
from videocolor.video.sequences import IMAGE_SUFFIXES

__all__ = [
    "HINTS_SUFFIX",
    "JOB_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Entry",
    "absolute_hint",
    "find_reels",
    "one_reel",
    "read_job_file",
]

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
_KEYS: Final = ("film", "hints", "preset", "output", "priority", "set")
_PATHS: Final = ("shots.file", "hints.folder")


@dataclass(frozen=True)
class Entry:
    """A film as asked for."""

    source: Path
    stem: Path
    """Path of its result in OUT, without label and suffix: `a/reel`."""
    where: str
    """For messages: the job file's line, or empty."""
    output: Path | None = None
    """Path of its result, relative to OUT; None: follows from `stem`."""
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    priority: int = 0
    catalog: Mapping[str, str] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)


def find_reels(folder: Path, out: Path, notes: list[str]) -> list[Entry]:
    """Return the reels of a folder, searched in depth, ordered by name.

    Left out are hidden files, the output folder, output folders of other batches, `REEL.hints`, and files of other
    kinds, which get a note. A folder of numbered images is one reel.

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
        notes.append(f"{folder}: files that are not films are left out: {kinds}")
    return sorted(found, key=lambda entry: entry.source)


def _is_searched(folder: Path, out: Path, notes: list[str]) -> bool:
    if folder.name.startswith(".") or folder.name.endswith(HINTS_SUFFIX) or folder.resolve() == out:
        return False
    if state_folder(folder).is_dir():
        notes.append(f"{folder}: left out, it contains the results of another batch")
        return False
    return True


def _is_sequence(images: Sequence[str], files: Sequence[str]) -> bool:
    """Return whether a folder has numbered images and no film: stills beside reels are no reel."""
    numbered = sum(any(letter.isdigit() for letter in Path(name).stem) for name in images)
    return numbered >= 2 and not any(Path(name).suffix.lower() in VIDEO_SUFFIXES for name in files)


def one_reel(source: Path) -> Entry:
    """Return a batch's only film."""
    return Entry(source.absolute(), Path(_stem(source)), "", overrides=_beside(source))


def _beside(source: Path) -> tuple[str, ...]:
    """Return the override for a reel's hints folder, which is beside it under its name."""
    folder = source.absolute().with_name(_stem(source) + HINTS_SUFFIX)
    return (_override("hints.folder", str(folder)),) if folder.is_dir() else ()


def _stem(source: Path) -> str:
    if "%" in source.name and not source.is_file():
        return source.name.partition("%")[0].rstrip("._- ") or source.absolute().parent.name
    return source.name if source.is_dir() else source.stem


def absolute_hint(item: str, folder: Path) -> str:
    """Return a hint `[TIME=]IMAGE[@TIME]` with its image, relative to `folder`, as an absolute path."""
    if (folder / item).is_file():
        return str(folder / item)
    image = str(parse_hint(item)[1])
    if not Path(image).is_absolute():
        head, _, tail = item.rpartition(image)
        # The time is before the last occurrence; a name like `3=3.png` contains its digits.
        return f"{head}{folder / image}{tail}"
    return item


def _override(key: str, value: Any) -> str:
    """Return `key=value` for `ColorizeConfig.load`."""
    return f"{key}={yaml_line(value)}"


def read_job_file(path: Path) -> list[Entry]:
    """Return the films of a job file, in its order.

    Raises:
        InputError: it cannot be read.
        ConfigError: a line cannot be used, or repeats a film; names file, line and key.
    """
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _yaml_rows(path)
    entries: list[Entry] = []
    lines: dict[tuple[Path, Path | None], int] = {}
    for line, row in rows:
        where = f"{path}, line {line}: "
        try:
            entry = _entry(row, path.absolute().parent, where)
        except (ConfigError, UsageError) as error:
            raise ConfigError(f"{where}{error}") from error
        known = lines.setdefault((entry.source, entry.output), line)
        if known != line:
            raise ConfigError(f"{where}film {entry.source} is listed in line {known} already")
        entries.append(entry)
    return entries


def _entry(row: Mapping[str, Any], folder: Path, where: str) -> Entry:
    catalog, checksums = read_catalog(row, _KEYS)
    film = row.get("film")
    if not isinstance(film, str) or not film.strip():
        raise ConfigError("film: expected the path of a film")
    source = Path(folder / film.strip())
    output = _text(row, "output")
    return Entry(
        source=source,
        stem=Path(source.name if source.is_dir() else source.stem),
        where=where,
        output=None if output is None else _output(output),
        preset=_preset(_text(row, "preset"), folder),
        overrides=(*_hints(row.get("hints"), folder), *_settings(row.get("set"), folder)),
        priority=_priority(row.get("priority")),
        catalog=catalog,
        checksums=checksums,
    )


def _text(row: Mapping[str, Any], key: str) -> str | None:
    value = row.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ConfigError(f"{key} = {value!r}: expected text")
    return value.strip()


def _output(text: str) -> Path:
    path = Path(text)
    if not path.suffix or ".." in path.parts or path.is_absolute():
        raise ConfigError(f"output = {text!r}: expected a file in the output folder, with its suffix: reel_color.mkv")
    return path


def _preset(text: str | None, folder: Path) -> str | None:
    """Return a preset's name, or the path of a file beside the job file."""
    if text is None or text in {name for p in list_presets("colorize") for name in (p.name, p.name.split("/", 1)[1])}:
        return text
    beside = folder / text
    return str(beside) if beside.is_file() else text


def _hints(value: Any, folder: Path) -> Iterator[str]:
    """Yield the overrides for a folder, a picture, `TIME=picture`, or a list of the latter two."""
    if value is None or value == "":
        return
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in items):
        raise ConfigError(f"hints = {value!r}: expected a folder, a picture, TIME=picture, or a list of pictures")
    if len(items) == 1 and (folder / items[0]).is_dir():
        yield _override("hints.folder", str(folder / items[0]))
        return
    yield _override("hints.items", [absolute_hint(item, folder) for item in items])


def _settings(value: Any, folder: Path) -> Iterator[str]:
    """Yield the overrides for `key=value; key=value`, or for a mapping, nested or with dots."""
    if value is None or value == "":
        return
    if isinstance(value, str):
        for item in value.split(";"):
            key, equals, text = item.strip().partition("=")
            if equals:
                yield f"{key}={text}" if key not in _PATHS else _override(key, str(folder / text.strip()))
            elif item.strip():
                raise ConfigError(f"set = {item.strip()!r}: expected key=value, several with ; between them")
        return
    if not isinstance(value, Mapping):
        raise ConfigError(f"set = {value!r}: expected settings, as in {{model.batch: 4}}")
    for key, inner in _flat(value):
        if key in _PATHS and isinstance(inner, str):
            inner = str(folder / inner)
        elif key == "hints.items" and isinstance(inner, list):
            inner = [absolute_hint(str(item), folder) for item in inner]
        elif key == "hints.assigned" and isinstance(inner, list):
            inner = [_beside_job(entry, folder) for entry in inner]
        yield _override(key, inner)


def _beside_job(entry: Any, folder: Path) -> Any:
    """Make the image of an entry of `hints.assigned` absolute; other values are left to validation."""
    if not (isinstance(entry, Mapping) and isinstance(entry.get("image"), str)):
        return entry
    return {**entry, "image": absolute_hint(entry["image"], folder)}


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _priority(value: Any) -> int:
    try:
        if value is None or value == "":
            return 0
        if isinstance(value, bool | float):
            raise ValueError
        return int(value)
    except (ValueError, TypeError):
        raise ConfigError(f"priority = {value!r}: expected an integer; higher comes first") from None


def _yaml_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    values = read_yaml(path)
    films = values.get("films")
    if not isinstance(films, list) or set(values) != {"films"}:
        extra = ", ".join(sorted(set(values) - {"films"}))
        raise ConfigError(f"{path}: expected a list `films:`{f', not also {extra}' if extra else ''}")
    for line, row in zip(_lines(path), films, strict=True):
        if isinstance(row, str):
            row = {"film": row}
        if not isinstance(row, Mapping):
            raise ConfigError(f"{path}, line {line}: expected a film with its keys, found {row!r}")
        yield line, row


def _lines(path: Path) -> list[int]:
    """Return the line in which each film of the list begins, from 1."""
    root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    films = next(node for key, node in root.value if key.value == "films")
    return [item.start_mark.line + 1 for item in films.value]


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            sample = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter=";" if sample.count(";") > sample.count(",") else ",", strict=True)
            if "film" not in (reader.fieldnames or ()):
                raise ConfigError(f"{path}, line 1: expected a heading with the column film ({', '.join(_KEYS)})")
            twice = [name for name, count in Counter(reader.fieldnames).items() if name and count > 1]
            if twice:
                raise ConfigError(f"{path}, line 1: two columns are named {twice[0]}")
            for row in reader:
                if None in row or None in row.values():
                    wanted = len(reader.fieldnames or ())
                    raise ConfigError(f"{path}, line {reader.line_num}: expected {wanted} columns")
                if any(value.strip() for value in row.values()):
                    yield reader.line_num, row
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from error
    except csv.Error as error:
        raise ConfigError(f"{path}, line {reader.line_num}: not valid CSV: {error}") from error
