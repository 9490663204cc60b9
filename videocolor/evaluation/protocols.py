"""Protocols: which hints a method gets, and which frames then do not count.

    auto      none
    e1        the true first frame
    e1-far    the shot's last frame, after the part that is scored
    ek        the true first frame and every 50th from there
    cuts      a film of several clips, the true first frame of each shot
    robust    the first frame of another clip; and no hint, to compare
    similar   a listed frame or picture of a similar subject
    points    n small squares of the true first frame

Frames given as hints are reference frames and left out of the means.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from videocolor.errors import InputError, OutputError, UsageError
from videocolor.evaluation.clips import ClipFile, WorkingClip, join, list_clips, plain_file, read_frames, read_part
from videocolor.evaluation.settings import EvaluateConfig, Pair
from videocolor.evaluation.tasks import GivenHint, Task, hint_picture, write_png
from videocolor.files import file_sha256, plain, write_atomically
from videocolor.types import Array
from videocolor.video import open_video

__all__ = ["Case", "Unit", "cases_of", "export_inputs", "plan_units", "point_mask"]


@dataclass(frozen=True)
class Unit:
    """A row of the table by clip: a clip, or a film joined from several."""

    name: str
    clips: tuple[ClipFile, ...]
    hint: Path | None = None
    """Where the hint comes from, if not from the clips."""
    hint_at: float = 0.0
    """Seconds in `hint`."""
    hint_sha256: str = ""


@dataclass(frozen=True, eq=False)
class Case:
    """A task, and the truth of its result."""

    name: str
    """Empty where the protocol has one case a clip."""
    clip: WorkingClip
    hints: tuple[GivenHint, ...]
    references: frozenset[int]
    """Frames given as hints; left out of the means."""

    def task(self) -> Task:
        """Return what the method gets: no color but the hints'."""
        clip = self.clip
        return Task(clip.luma, clip.rate, self.hints, clip.shots, clip.matrix, clip.name, self.name)


def plan_units(clips: Sequence[ClipFile], folder: Path, config: EvaluateConfig) -> list[Unit]:
    """List what will be scored.

    Args:
        clips: the clips, in order.
        folder: of the clips; hints of pairs are relative to it.
        config: protocol and its settings.

    Raises:
        UsageError: the protocol needs other clips, or more.
        InputError: a hint's file is missing.
    """
    protocol = config.protocol
    if protocol.name == "similar":
        return _pairs(clips, folder, protocol.pairs)
    if protocol.name == "cuts":
        size = protocol.film_shots
        if len(clips) < size:
            raise UsageError(f"protocol cuts joins {size} clips to a film, there are {len(clips)}")
        groups = [clips[start : start + size] for start in range(0, len(clips) - size + 1, size)]
        return [Unit(f"film{number:02d}", tuple(group)) for number, group in enumerate(groups, 1)]
    if protocol.name == "robust":
        places = protocol.places or max(1, len(clips) // 3)
        if places % len(clips) == 0:
            raise UsageError(
                f"protocol robust takes the hint from the clip {places} places before, which is the same one among "
                f"{len(clips)}; give more clips, or change protocol.places"
            )
        others = [clips[(index - places) % len(clips)] for index in range(len(clips))]
        return [Unit(c.name, (c,), other.path, 0.0, other.sha256) for c, other in zip(clips, others, strict=True)]
    return [Unit(clip.name, (clip,)) for clip in clips]


def _pairs(clips: Sequence[ClipFile], folder: Path, pairs: Sequence[Pair]) -> list[Unit]:
    if not pairs:
        raise UsageError("protocol similar needs protocol.pairs; --config evaluate/similar lists those of this project")
    by_file = {clip.path.name: clip for clip in clips}
    units = []
    for pair in pairs:
        hint = folder / pair.hint
        if pair.clip not in by_file:
            raise UsageError(f"protocol.pairs: no clip {pair.clip} among the {len(clips)} that were given")
        clip = by_file[pair.clip]
        with tempfile.TemporaryDirectory(prefix="videocolor-") as name:
            sha256 = file_sha256(plain_file(hint, Path(name)))
        units.append(Unit(f"{clip.name}+{hint.stem}", (clip,), hint, float(pair.at), sha256))
    return units


def cases_of(unit: Unit, config: EvaluateConfig, folder: Path) -> Iterator[Case]:
    """Yield the cases of a unit; working copies go into `folder`, which the caller removes.

    Raises:
        InputError: a clip or hint cannot be read.
    """
    protocol = config.protocol
    if protocol.name == "cuts":
        clip = _film(unit, config, folder)
    else:
        reach = float(protocol.reach) if protocol.name == "e1-far" else None
        clip = replace(read_part(unit.clips[0], config.clips, folder, reach=reach), name=unit.name)
    match protocol.name:
        case "auto":
            yield Case("", clip, (), frozenset())
        case "e1" | "cuts" | "ek":
            step = protocol.every if protocol.name == "ek" else len(clip.truth)
            frames = sorted({*clip.shots, *range(0, len(clip.truth), step)})
            hints = tuple(GivenHint(np.array(clip.truth[index]), index) for index in frames)
            yield Case("", clip, hints, frozenset(frames))
        case "e1-far":
            assert clip.beyond is not None
            # The hint of a shot of one frame is that frame itself: a reference.
            yield Case("", clip, (GivenHint(clip.beyond),), frozenset({0} if clip.about["shot_frames"] == 1 else ()))
        case "robust" | "similar":
            hint = GivenHint(_other_frame(unit, folder), 0 if protocol.timed else None)
            yield Case("similar hint" if protocol.name == "similar" else "wrong hint", clip, (hint,), frozenset())
            yield Case("auto", clip, (), frozenset())
        case "points":
            for count in protocol.counts:
                yield _points(clip, count, config)


def _film(unit: Unit, config: EvaluateConfig, folder: Path) -> WorkingClip:
    """Join the unit's clips, each cropped to the first one's size."""
    settings = config.clips.model_copy(update={"seconds": config.protocol.shot_seconds})
    first = read_part(unit.clips[0], settings, folder)
    shape = (first.truth.shape[1], first.truth.shape[2])
    rest = [read_part(clip, settings, folder, shape=shape) for clip in unit.clips[1:]]
    return join([first, *rest], unit.name, folder)


def _other_frame(unit: Unit, folder: Path) -> Array:
    """(h, w, 3) uint8: the frame of another clip, or the picture, that is the hint."""
    assert unit.hint is not None
    file, skip = plain_file(unit.hint, folder), 0
    if unit.hint_at:
        with open_video(file) as video:
            skip = int(unit.hint_at * float(video.info.rate or 25) + 0.5)
    frame = next(islice(read_frames(file), skip, None), None)
    if frame is None:
        raise InputError(f"{unit.hint}: has no frame at {unit.hint_at:g} s, where the hint should be")
    return frame


def _points(clip: WorkingClip, count: int, config: EvaluateConfig) -> Case:
    mask = point_mask((clip.luma.shape[1], clip.luma.shape[2]), count, config.protocol.point_size, config.page.seed)
    rgb = np.where(mask[..., None], clip.truth[0], clip.luma[0][..., None])
    return Case("1 point" if count == 1 else f"{count} points", clip, (GivenHint(rgb, 0, mask),), frozenset({0}))


def point_mask(shape: tuple[int, int], count: int, size: int, seed: int) -> Array:
    """Draw `count` squares by seed, (h, w) bool; the first n of more are the same as n alone.

    Args:
        shape: (height, width).
        count: number of squares; they may overlap and cross the border.
        size: side at 240 lines on the short side, in pixels; scaled with the picture, odd.
        seed: of the draw.
    """
    half = max(0, round(size * min(shape) / 240 - 1) // 2)
    places = np.random.default_rng(seed).random((count, 2)) * shape
    mask = np.zeros(shape, bool)
    for row, column in places.astype(int):
        mask[max(0, row - half) : row + half + 1, max(0, column - half) : column + half + 1] = True
    return mask


def export_inputs(clips: Path, output: Path, config: EvaluateConfig) -> Iterator[Path]:
    """Write DIR/[CASE/]CLIP/gray/000001.png..., hints beside them, and task.json, clip by clip.

    Hints are PNG files; what is not painted is transparent. task.json has the frame rate, the shots, and each hint's
    frame. No true colors are written but the hints'.

    Args:
        clips: a folder of videos with their true colors.
        output: a new folder.
        config: protocol, clips.

    Yields:
        The folder of each case.

    Raises:
        InputError: a clip or hint cannot be read.
        OutputError: the folder exists, or cannot be written.
    """
    if output.exists():
        raise OutputError(f"{output}: exists; name a new folder")
    for unit in plan_units(list_clips(clips, config.clips), clips, config):
        with tempfile.TemporaryDirectory(prefix="videocolor-") as name:
            for case in cases_of(unit, config, Path(name)):
                folder = output / case.name.replace(" ", "_") / case.clip.name
                try:
                    _write_case(case, folder)
                except OSError as error:
                    raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
                yield folder


def _write_case(case: Case, folder: Path) -> None:
    task, hints = case.task(), []
    (folder / "gray").mkdir(parents=True)
    for index, luma in enumerate(task.luma, 1):
        write_png(folder / "gray" / f"{index:06d}.png", luma)
    for number, hint in enumerate(task.hints, 1):
        name = f"hint{number:02d}.png"
        write_png(folder / name, hint_picture(hint))
        hints.append({"file": name, "frame": hint.frame})
    about = {"rate": str(task.rate), "frames": len(task.luma), "shots": task.shots, "hints": hints}
    write_atomically(folder / "task.json", json.dumps(plain(about), indent=1) + "\n")
