"""Shots: finding cuts, comparing pictures, and the shot list that a person can edit.

A shot list is YAML:

    film: newsreel.mkv
    frames: 576
    shots:
    - {shot: 1, time: "00:00:00.000", frame: 0}
    - {shot: 2, time: "00:00:02.167", frame: 52, note: the bridge}

`frame` rules: it is the index of the shot's first frame, counted from 0. `shot`, counted from 1 as everywhere
that people read, and `time` are there for them; what stands in these two is not used. To part a shot, add a
line with the frame of the cut; to join two, delete the line of the second.

Lists named .csv, .edl and .otio are those of other programs: `videocolor.shots.interchange`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from videocolor.config import ShotsConfig
from videocolor.errors import ConfigError, OutputError, UsageError
from videocolor.files import write_atomically
from videocolor.motion.similarity import scene_distance, shot_similarity
from videocolor.shots.detect import CutFinder
from videocolor.shots.interchange import READERS, WRITERS, Edit, Reel
from videocolor.types import Shot

__all__ = [
    "CutFinder",
    "FilmShots",
    "ListedShot",
    "check_shot_file",
    "clock",
    "known_shots",
    "listed_shots",
    "read_shots",
    "scene_distance",
    "shot_similarity",
    "write_shots",
]

_HEAD: Final = """\
# Shots of the film; edit freely. `frame` is the index of a shot's first frame and is all that counts:
# add a line to part a shot, delete a line to join two. `shot` and `time` are there for you to read.
"""
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader, in C where it is there: a feature film's list has 2,000 lines and is read at every preview."""
_FILE_KEYS: Final = ("film", "frames", "shots")
_SHOT_KEYS: Final = {"shot": "int", "time": "str", "frame": "int", "note": "str"}


@dataclass(frozen=True)
class ListedShot:
    """A line of a shot list."""

    start: int
    """Index of the shot's first frame."""
    note: str | None = None
    """What a person wrote about it."""


@dataclass(frozen=True)
class FilmShots:
    """Where the shots of a film begin, so that a shot can be named by any frame of it."""

    starts: tuple[int, ...]
    """Index of each shot's first frame, ascending from 0."""
    frames: int | None = None
    """How many the film has, where that is known."""

    def number(self, frame: int, what: str) -> int:
        """Return number, from 0, of the shot that holds a frame.

        Args:
            frame: its index in the film, counted from 0.
            what: who asks, for the message.

        Raises:
            UsageError: the film has no such frame.
        """
        if frame < 0 or (self.frames is not None and frame >= self.frames):
            raise UsageError(f"{what}: frame {frame} lies beyond the film, which has {self.frames} frames, from 0 on")
        return bisect_right(self.starts, frame) - 1


def clock(seconds: Fraction | float) -> str:
    """Seconds as HH:MM:SS.mmm, rounded to the nearest millisecond."""
    thousandths = round(seconds * 1000)
    minutes, ms = divmod(thousandths, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{ms // 1000:02d}.{ms % 1000:03d}"


def check_shot_file(path: Path, *, overwrite: bool = False, source: Path | None = None) -> None:
    """May a shot list be written here? Ask before the film is read.

    Args:
        path: where the list shall lie.
        overwrite: an existing file may be replaced.
        source: the film, which is never overwritten.

    Raises:
        OutputError: no; the message says why.
    """
    if not path.exists():
        return
    if source is not None and source.exists() and path.samefile(source):
        raise OutputError(f"{path}: is the film itself; the source is never overwritten")
    if not path.is_file():
        raise OutputError(f"{path}: is not a file and cannot be replaced")
    if not overwrite:
        raise OutputError(f"{path}: exists already, perhaps edited; give another name or --overwrite")


def write_shots(
    path: str | Path,
    shots: Sequence[Shot],
    *,
    film: str = "",
    notes: Mapping[int, str] | None = None,
    overwrite: bool = False,
    rate: Fraction | None = None,
    timecode: str | None = None,
) -> None:
    """Write a shot list, whole or not at all.

    Args:
        path: the file: .csv, .edl, .otio, and YAML with any other suffix.
        shots: the film's shots in order, without gaps.
        film: the film's name, for people.
        notes: `Shot.index` (counted from 0) -> note.
        overwrite: replace an existing file.
        rate: the film's frames a second, for EDL and OTIO.
        timecode: of the film's first frame, for EDL and OTIO.

    Raises:
        OutputError: the file exists, or cannot be written.
        UsageError: EDL or OTIO without a rate, or OTIO without its library.
    """
    path = Path(path)
    check_shot_file(path, overwrite=overwrite)
    if path.suffix.lower() in WRITERS:
        edits = [Edit(shot.start, shot.end, (notes or {}).get(shot.index)) for shot in shots]
        write_atomically(path, WRITERS[path.suffix.lower()](path, Reel(film, rate, timecode), edits))
        return
    lines = [
        f"film: {_quote(film)}",
        f"frames: {shots[-1].end if shots else 0}",
        "shots:" if shots else "shots: []",
    ]
    for shot in shots:
        note = (notes or {}).get(shot.index)
        tail = f", note: {_quote(note)}" if note else ""
        time = clock(shot.start_pts * shot.time_base)
        lines.append(f'- {{shot: {shot.index + 1}, time: "{time}", frame: {shot.start}{tail}}}')
    write_atomically(path, _HEAD + "\n".join(lines) + "\n")


def read_shots(path: str | Path, *, frames: int | None = None) -> list[ListedShot]:
    """Read a shot list as `write_shots` writes it, perhaps edited.

    Args:
        path: the file.
        frames: how many frames the film has; None: not known, then the file's own number counts.

    Returns:
        The shots in order; the first starts at frame 0, whether listed or not.

    Raises:
        ConfigError: the file cannot be read or a line of it cannot be used; it names file and line.
    """
    return _read_list(Path(path), frames)[0]


def listed_shots(path: Path) -> FilmShots:
    """Where the shots of a list begin, and how many frames it says that the film has.

    Raises:
        ConfigError: as `read_shots`.
    """
    listed, frames = _read_list(path, None)
    return FilmShots(tuple(shot.start for shot in listed), frames)


def known_shots(settings: ShotsConfig) -> FilmShots | None:
    """Return the film's shots where they are known without a scan: a shot list, or no detection.

    Raises:
        ConfigError: the shot list cannot be read.
    """
    if settings.file is not None:
        return listed_shots(settings.file)
    return FilmShots((0,)) if settings.detector == "none" else None


def _read_list(path: Path, frames: int | None) -> tuple[list[ListedShot], int | None]:
    """Return the shots, and the number of frames that they were checked against."""
    if path.suffix.lower() in READERS:
        return _read_edits(path, READERS[path.suffix.lower()](path), frames)
    root = _parse(path)
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{path}: not a shot list; expected the keys {', '.join(_FILE_KEYS)}")
    entries: yaml.Node | None = None
    for key, value in root.value:
        if key.value not in _FILE_KEYS:
            raise _error(path, key, f"unknown key {key.value!r}; expected {', '.join(_FILE_KEYS)}")
        if key.value == "shots":
            entries = value
        elif key.value == "frames" and frames is None:
            frames = _scalar(path, value, "frames", "int")
    if not isinstance(entries, yaml.SequenceNode):
        raise ConfigError(f"{path}: no list under `shots:`")
    listed: list[ListedShot] = []
    for node in entries.value:
        shot = _read_shot(path, node)
        if frames is not None and shot.start >= frames:
            raise _error(path, node, f"frame {shot.start} lies beyond the film, which has {frames} frames")
        if listed and shot.start <= listed[-1].start:
            raise _error(path, node, f"frame {shot.start} is not after the line above ({listed[-1].start})")
        listed.append(shot)
    return (listed if listed and listed[0].start == 0 else [ListedShot(0), *listed]), frames


def _read_edits(path: Path, edits: Sequence[Edit], frames: int | None) -> tuple[list[ListedShot], int | None]:
    """Return the shots of another program's list; its end counts where it states one."""
    frames = frames if frames is not None or not edits else edits[-1].end or None
    for edit in edits:
        if frames is not None and edit.start >= frames:
            raise ConfigError(f"{path}: frame {edit.start} lies beyond the film, which has {frames} frames")
    listed = [ListedShot(edit.start, edit.note) for edit in edits]
    return (listed if listed and listed[0].start == 0 else [ListedShot(0), *listed]), frames


def _parse(path: Path) -> yaml.Node | None:
    """Return the file as YAML nodes, which know their lines."""
    try:
        return yaml.compose(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError(f"{path}, line {line}: not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error


def _read_shot(path: Path, node: yaml.Node) -> ListedShot:
    if not isinstance(node, yaml.MappingNode):
        raise _error(path, node, f"expected a shot, {{{', '.join(_SHOT_KEYS)}}}")
    values: dict[str, Any] = {}
    for key, value in node.value:
        kind = _SHOT_KEYS.get(key.value)
        if kind is None:
            raise _error(path, key, f"unknown key {key.value!r}; expected {', '.join(_SHOT_KEYS)}")
        if key.value in values:
            raise _error(path, key, f"{key.value!r} stands twice")
        values[key.value] = _scalar(path, value, key.value, "int" if kind == "int" else "str")
    if "frame" not in values:
        raise _error(path, node, "no `frame`, the index of the shot's first frame")
    return ListedShot(values["frame"], values.get("note"))


def _scalar(path: Path, node: yaml.Node, name: str, kind: Literal["int", "str"]) -> Any:
    """Return a number that is not negative, or any text."""
    if isinstance(node, yaml.ScalarNode):
        if kind == "str":
            return node.value
        if node.tag == "tag:yaml.org,2002:int" and node.value.isdecimal():
            return int(node.value)
    wanted = "a whole number, 0 or more" if kind == "int" else "text"
    raise _error(path, node, f"`{name}` cannot be used; expected {wanted}")


def _error(path: Path, node: yaml.Node, message: str) -> ConfigError:
    return ConfigError(f"{path}, line {node.start_mark.line + 1}: {message}")


def _quote(text: str) -> str:
    """Text as a double-quoted YAML scalar on one line."""
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**6).strip()
