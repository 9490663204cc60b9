"""Clips whose colors are known: listing them, and reading a part of one into a working copy.

A working copy is a memory-mapped file in a temporary folder, so methods may access any frame of it.
"""

from __future__ import annotations

import logging
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Final, TypeVar

import cv2
import numpy as np

from videocolor.errors import ConfigError, InputError, UsageError
from videocolor.evaluation.settings import ClipSettings
from videocolor.evaluation.tasks import luma_codes, matrix_for
from videocolor.files import file_sha256
from videocolor.hints.plan import frame_to_rgb
from videocolor.presets import find_preset, read_yaml
from videocolor.shots.detect import CutFinder
from videocolor.shots.prepare import working_size
from videocolor.types import Array, Frame, Matrix
from videocolor.video import open_video
from videocolor.video.stored import stored_rgb

__all__ = [
    "ClipFile",
    "WorkingClip",
    "fit_frame",
    "join",
    "list_clips",
    "plain_file",
    "read_frames",
    "read_part",
    "working_shape",
]

T = TypeVar("T")
_VIDEOS: Final = frozenset({".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".mxf", ".ts", ".y4m"})
_COLORLESS: Final = 3.0
"""Mean difference of a pixel's R', G' and B', in codes, below which a clip is black and white."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipFile:
    """A clip on disk."""

    path: Path
    sha256: str

    @property
    def name(self) -> str:
        """The file's name without its suffix, under which results of others are sought."""
        return self.path.stem


@dataclass(frozen=True, eq=False)
class WorkingClip:
    """The part of a clip that is scored, at working size."""

    name: str
    truth: Array
    """(n, h, w, 3) uint8 R'G'B'."""
    luma: Array
    """(n, h, w) uint8, full-range Y' codes of `matrix`."""
    rate: Fraction
    shots: tuple[int, ...] = (0,)
    """First frames of its shots."""
    beyond: Array | None = None
    """(h, w, 3) uint8: the shot's last frame after this part, for protocols that use one."""
    about: dict[str, object] = field(default_factory=dict)
    """Where it was cut, for the result: source, sha256, first_frame, frames, size, and what was left out."""

    @property
    def matrix(self) -> Matrix:
        """Luma weights of `luma`."""
        return matrix_for(self.luma.shape[1])


def list_clips(folder: Path, settings: ClipSettings) -> list[ClipFile]:
    """List the clips of a folder by name, or those of `settings.listed` in its order.

    Raises:
        InputError: the folder is missing or has no video; a listed file is missing or differs from the one listed.
        UsageError: two clips have one name.
        ConfigError: the list cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder; --clips takes a folder of videos with their true colors")
    if settings.listed is None:
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in _VIDEOS and not p.name.startswith("."))
        if not paths:
            raise InputError(f"{folder}: no video in it; expected {', '.join(sorted(_VIDEOS))}")
        clips = [ClipFile(path, file_sha256(path)) for path in _thinned(paths, settings.most)]
    else:
        rows = _thinned(_listed(settings.listed), settings.most)
        clips = [_checked(folder / str(row["file"]), row.get("sha256"), settings.listed) for row in rows]
    twice = [a.name for a, b in pairwise(sorted(clips, key=lambda clip: clip.name)) if a.name == b.name]
    if twice:
        raise UsageError(f"{folder}: two clips are named {twice[0]}; names without suffix must differ")
    return clips


def _thinned(items: Sequence[T], most: int | None) -> list[T]:
    if most is None or most >= len(items):
        return list(items)
    return [items[index * len(items) // most] for index in range(most)]


def _listed(source: str) -> list[dict[str, str]]:
    path = find_preset(source, "evaluate")
    rows = read_yaml(path).get("clips")
    if not isinstance(rows, list) or not rows or not all(isinstance(r, dict) and "file" in r for r in rows):
        raise ConfigError(f"{path}: expected `clips:`, a list of entries with `file:`")
    return rows


def _checked(path: Path, sha256: str | None, source: str) -> ClipFile:
    if not path.is_file():
        raise InputError(f"{path}: missing, though {source} lists it; --clips names the folder that holds these files")
    found = file_sha256(path)
    if sha256 is not None and found != str(sha256):
        raise InputError(f"{path}: sha256 {found[:12]} is not that of {source} ({str(sha256)[:12]}): another file")
    return ClipFile(path, found)


def working_shape(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return (height, width) of the working copy: short side at most `short_side`, never enlarged, even."""
    scale = min(1.0, short_side / min(width, height))
    h, w = (max(2, round(side * scale / 2) * 2) for side in (height, width))
    return h, w


def fit_frame(rgb: Array, shape: tuple[int, int]) -> Array:
    """Scale (h, w, 3) uint8 to cover (height, width) `shape`, and crop the rest evenly."""
    height, width = rgb.shape[:2]
    if (height, width) == shape:
        return rgb
    scale = max(shape[0] / height, shape[1] / width)
    size = (max(shape[1], round(width * scale)), max(shape[0], round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    large = cv2.resize(rgb, size, interpolation=method)
    top, left = (size[1] - shape[0]) // 2, (size[0] - shape[1]) // 2
    return np.ascontiguousarray(large[top : top + shape[0], left : left + shape[1]])


def read_frames(path: Path, shape: tuple[int, int] | None = None, short_side: int | None = None) -> Iterator[Array]:
    """Yield the frames of a film, sequence or picture as (h, w, 3) uint8 R'G'B'.

    Args:
        path: what `open_video` takes.
        shape: (height, width) to scale and crop frames to; None: by `short_side`.
        short_side: see `working_shape`; None: the film's own size.
    """
    with open_video(path) as video:
        target = shape
        if target is None and short_side is not None:
            target = working_shape(video.info.width, video.info.height, short_side)
        for frame in video:
            rgb = _rgb8(frame)
            yield rgb if target is None else fit_frame(rgb, target)


def _rgb8(frame: Frame) -> Array:
    """(h, w, 3) uint8; 8-bit R'G'B' is taken as stored, not by way of luma and chroma."""
    stored = stored_rgb(frame)
    if stored is not None and stored.dtype == np.uint8:
        return np.array(stored)
    peak = 1.0 if stored is None else float(2**frame.layout.depth - 1)
    rgb = frame_to_rgb(frame) if stored is None else stored.astype(np.float32) / np.float32(peak)
    return np.asarray(np.rint(rgb * 255).astype(np.uint8))


def plain_file(path: Path, folder: Path) -> Path:
    """Return a file's path; a member of a tar archive (`pictures.tar/a.jpg`) is first extracted into `folder`.

    Raises:
        InputError: there is no such file or member.
    """
    if path.is_file():
        return path
    archive = next((p for p in path.parents if p.suffix == ".tar" and p.is_file()), None)
    if archive is None:
        raise InputError(f"{path}: no such file")
    wanted = path.relative_to(archive).as_posix()
    try:
        with tarfile.open(archive) as members:
            member = next((m for m in members if m.name.removeprefix("./") == wanted and m.isfile()), None)
            handle = None if member is None else members.extractfile(member)
            data = None if handle is None else handle.read()
    except (tarfile.TarError, OSError) as error:
        raise InputError(f"{archive}: cannot be read: {error}") from error
    if data is None:
        raise InputError(f"{archive}: holds no {wanted}")
    target = folder / f"member{path.suffix}"
    target.write_bytes(data)
    return target


def read_part(
    clip: ClipFile,
    settings: ClipSettings,
    folder: Path,
    *,
    reach: float | None = None,
    shape: tuple[int, int] | None = None,
) -> WorkingClip:
    """Read the longest shot among a clip's first seconds into a working copy.

    Args:
        clip: which.
        settings: length, size, detector.
        folder: of the working copy; the caller removes it.
        reach: search this many seconds, score at most half of the shot found, and keep the shot's last frame.
        shape: (height, width) to scale and crop to; None: by `settings.short_side`.

    Raises:
        InputError: the clip cannot be read.
    """
    with open_video(clip.path) as video:
        info = video.info
    rate = info.rate or Fraction(25)
    shape = shape or working_shape(info.width, info.height, settings.short_side)
    wanted = max(2, int(max(settings.seconds, reach or 0) * rate + Fraction(1, 2)))
    raw = folder / f"{clip.name}.rgb"
    finder, count, cuts = CutFinder(), 0, [0]
    size = working_size(shape[1], shape[0])
    with raw.open("wb") as file:
        for rgb in islice(read_frames(clip.path, shape), wanted):
            file.write(np.ascontiguousarray(rgb).tobytes())
            if settings.detector == "content":
                small = cv2.resize(luma_codes(rgb, matrix_for(shape[0])), size[::-1], interpolation=cv2.INTER_AREA)
                cuts += finder.push(small)
            count += 1
    cuts += finder.finish() if settings.detector == "content" else []
    start, stop = _longest(cuts, count)
    frames = np.memmap(raw, np.uint8, "r", shape=(count, *shape, 3))
    most = max(1, int(settings.seconds * rate + Fraction(1, 2)))
    beyond = None
    if reach is not None:
        most, beyond = min(most, max(1, (stop - start) // 2)), np.array(frames[stop - 1])
    truth = frames[start : min(stop, start + most)]
    if float(np.ptp(truth[:: max(1, len(truth) // 4)], axis=-1).mean()) < _COLORLESS:
        _log.warning("%s: has no color, so its scores say nothing of a method's color", clip.path.name)
    about: dict[str, object] = {
        "source": clip.path.name,
        "sha256": clip.sha256,
        "first_frame": start,
        "frames": len(truth),
        "rate": str(rate),
        "size": [shape[1], shape[0]],
        "cuts": sorted(set(cuts) - {0}),
    }
    if reach is not None:
        about |= {"hint_frame": stop - 1, "shot_frames": stop - start}
    return WorkingClip(clip.name, truth, _lumas(truth, folder / f"{clip.name}.luma"), rate, (0,), beyond, about)


def join(parts: Sequence[WorkingClip], name: str, folder: Path) -> WorkingClip:
    """Join parts of one size to a film, a shot each, at the first one's rate."""
    shape = parts[0].truth.shape[1:]
    count = sum(len(part.truth) for part in parts)
    truth = np.memmap(folder / f"{name}.rgb", np.uint8, "w+", shape=(count, *shape))
    starts, place = [], 0
    for part in parts:
        starts.append(place)
        truth[place : place + len(part.truth)] = part.truth
        place += len(part.truth)
    about: dict[str, object] = {
        "frames": count,
        "rate": str(parts[0].rate),
        "size": [shape[1], shape[0]],
        "shots": [{**part.about, "at": at} for part, at in zip(parts, starts, strict=True)],
    }
    return WorkingClip(name, truth, _lumas(truth, folder / f"{name}.luma"), parts[0].rate, tuple(starts), None, about)


def _longest(cuts: Sequence[int], count: int) -> tuple[int, int]:
    """First frame and exclusive end of the longest shot; of equal ones the earlier."""
    bounds = [*sorted({cut for cut in cuts if cut < count}), count]
    return max(pairwise(bounds), key=lambda pair: (pair[1] - pair[0], -pair[0]))


def _lumas(truth: Array, path: Path) -> Array:
    luma = np.memmap(path, np.uint8, "w+", shape=truth.shape[:3])
    for rgb, target in zip(truth, luma, strict=True):
        target[...] = luma_codes(rgb, matrix_for(truth.shape[1]))
    return luma
