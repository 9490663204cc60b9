"""The frames that explain a film: gray, to color by hand, or in colors that the network proposes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

import cv2
import numpy as np

from videocolor.color import codes_to_luma
from videocolor.config import ColorizeConfig
from videocolor.errors import OutputError, PluginError
from videocolor.events import Event, Observer, RunLog, ignore
from videocolor.hints.align import with_luma
from videocolor.hints.files import CHOICES
from videocolor.hints.plan import HintPlan
from videocolor.images import encode_image, resized
from videocolor.models.base import Colorizer
from videocolor.motion.similarity import shot_similarity
from videocolor.pipeline.film import load_network
from videocolor.pipeline.reuse import recurring_shots
from videocolor.pipeline.upsample import plane_luma, upsample_chroma
from videocolor.plugins import find
from videocolor.preview import PreviewFrame, before_rgb, preview_rgb
from videocolor.restoration import active, restore
from videocolor.shots.prepare import small_luma, working_size
from videocolor.shots.scan import ShotView, scan_film
from videocolor.types import Array, Frame
from videocolor.video import open_video

__all__ = [
    "PER_SHOT",
    "RANKINGS",
    "Ranking",
    "chosen_keyframes",
    "color_picture",
    "propose_colors",
    "rank_views",
    "suggestion_name",
    "suggestion_png",
    "write_keyframes",
]

Ranking = Callable[[Sequence[tuple[int, Array]]], Sequence[int]]
"""Sorts a shot's views ((frame index, luma picture) pairs, see `ShotView.views`): indices, the best one first."""


def rank_views(views: Sequence[tuple[int, Array]]) -> list[int]:
    """Frame indices of a shot's views, the one that explains most of the shot first: its medoid.

    Args:
        views: (frame index, luma picture) pairs as `ShotView.views` holds them, at least one.

    Returns:
        All indices; the first has the largest sum of similarities to all views (the earliest where several have). Each
        further one adds most to what the chosen ones explain already: the sum, over the views, of the similarity to
        the nearest chosen one (greedy facility location; Nemhauser, Wolsey, Fisher 1978).
    """
    like = np.array([[shot_similarity(mine, other) for _, other in views] for _, mine in views])
    chosen = [int(np.argmax(like.sum(axis=1)))]
    while len(chosen) < len(views):
        explained = np.maximum(like, like[chosen].max(axis=0)).sum(axis=1)
        explained[chosen] = -1
        chosen.append(int(np.argmax(explained)))
    return [views[place][0] for place in chosen]


def suggestion_name(number: int, frame: Frame) -> str:
    """File name of a shot's frame that is to be painted: `shot0003_t00012.345s.png` for shot number 2, from 0."""
    return f"shot{number + 1:04d}_t{float(frame.pts * frame.time_base):09.3f}s.png"


def suggestion_png(frame: Frame) -> bytes:
    """Return a frame's luma as an RGB PNG of 8 bits, of 16 where the film has more than 8.

    Three equal channels: painting programs open a PNG of one channel as a picture that takes no color.
    """
    gray = np.clip(codes_to_luma(frame.luma, frame.layout.depth, frame.color.range), 0, 1)
    top, kind = (65535, np.uint16) if frame.layout.depth > 8 else (255, np.uint8)
    return encode_image(np.repeat(np.rint(gray * top).astype(kind)[..., None], 3, axis=2))


RANKINGS: Final[dict[str, Ranking]] = {"medoid": rank_views}
PER_SHOT: Final = 3
"""Most keyframes of a shot."""
_EXPLAINED: Final = 0.5
"""Similarity to a chosen frame from which another frame of the shot needs none of its own."""
_ROWS: Final = 12
"""Rows on a page of the contact sheet."""
_CELLS: Final = 4
"""Gray pictures in a row of it."""
_LINES: Final = 180
"""Height of a picture on it."""


def write_keyframes(
    film: str | Path,
    folder: str | Path,
    config: ColorizeConfig | None = None,
    *,
    proposals: int = 0,
    ranking: str | Ranking = "medoid",
    per_shot: int = PER_SHOT,
    observer: Observer = ignore,
) -> list[Path]:
    """Write the frames that explain a film, as PNGs whose names carry their times.

    Of a shot, it is the medoid: of up to eight frames evenly spread, the one most similar to all others; and further
    ones while some of the eight resemble none of those chosen. A shot that looks like an earlier one needs none. The
    folder (`shot0003_t00012.345s.png`, ...) is taken back by `--hints`; choices/sheet01.jpg shows it. With proposals it
    holds the likeliest colors, and choices/2, choices/3, ... hold further ones under the same names: copy a file over
    the one in the folder to choose it.

    Args:
        film: film, image sequence or still.
        folder: where the pictures go; made if missing.
        config: its input, restoration, shots, model and output.overwrite count; None: defaults.
        proposals: how many colored versions of each frame, 0..9; 0: the frame's luma, to be colored by a person.
        ranking: chooses the frames: a name of `RANKINGS`, or a plug-in, a function or its name.
        per_shot: most frames of a shot.
        observer: receives progress and warnings.

    Returns:
        The folder's own pictures, in film order.

    Raises:
        UsageError: there is no such ranking.
        PluginError: it returned what is no index of a view.
        InputError: the film cannot be read.
        OutputError: the folder cannot be written, or holds such files already.
    """
    film, folder, config = Path(film), Path(folder), config or ColorizeConfig()
    colorizer, log = load_network(config) if proposals else None, RunLog(observer)
    names = _Names(folder, config.output.overwrite)
    sheet, written = _Sheet(names, 1 if proposals else _CELLS), list[Path]()
    for name, frame in chosen_keyframes(film, config, ranking, per_shot, log):
        label = name.removesuffix(".png")
        if colorizer is None:
            written.append(names.write(name, suggestion_png(frame)))
            sheet.add(label, [before_rgb(_colored(frame, None))])
            continue
        pictures = [preview_rgb(colored) for colored in propose_colors(frame, colorizer, proposals)]
        if len(pictures) < proposals and not written:
            log.warn(f"network {colorizer.card.name}: makes {len(pictures)} of {proposals} proposals")
        written.append(names.write(name, encode_image(pictures[0])))
        for place, picture in enumerate(pictures[1:], 2):
            names.write(f"{CHOICES}/{place}/{name}", encode_image(picture))
        sheet.add(label, [before_rgb(_colored(frame, None)), *pictures])
    sheet.finish()
    return written


def chosen_keyframes(
    film: Path, config: ColorizeConfig, ranking: str | Ranking, per_shot: int, log: RunLog
) -> Iterator[tuple[str, Frame]]:
    """Yield the chosen frames with their file names, in film order."""
    rank: Ranking = find(ranking, "keyframes", "ranking", RANKINGS) if isinstance(ranking, str) else ranking
    scan = scan_film(film, config, progress=log.scan_progress)
    log.warn(*scan.info.warnings, *scan.losses)
    again = recurring_shots(scan, HintPlan())
    if again:
        alike = ", ".join(f"{number + 1} ({reference + 1})" for number, reference in again.items())
        log.note(f"shots that look like an earlier one need no keyframe: {alike}")
    views = [view for view in scan.shots if view.shot.index not in again]
    wanted = {index: view.shot.index for view in views for index in _chosen(rank, view, per_shot)}
    found, began = 0, monotonic()
    for frame in _frames(film, config, max(wanted)):
        if (shot := wanted.get(frame.index)) is not None:
            found += 1
            yield suggestion_name(shot, frame), frame
            log.observer(_progress(frame.index + 1, scan.frames, monotonic() - began))
    if found < len(wanted):
        log.warn(f"{len(wanted) - found} keyframes are missing: their frames could not be read again")


def _chosen(rank: Ranking, view: ShotView, most: int) -> list[int]:
    """Return the indices of the frames that explain a shot: the first of a ranking, and more while views are left."""
    found, known = rank(view.views), dict(view.views)
    if not isinstance(found, Sequence) or not found or any(index not in known for index in found[:most]):
        raise PluginError(f"ranking of shot {view.shot.index + 1}: {found!r} does not begin with one of {list(known)}")
    chosen, open_views = list[int](), list(known.values())
    for index in found[:most]:
        if not open_views:
            break
        chosen.append(int(index))
        open_views = [other for other in open_views if shot_similarity(known[index], other) < _EXPLAINED]
    return chosen


def propose_colors(frame: Frame, colorizer: Colorizer, count: int) -> list[PreviewFrame]:
    """Color a frame without a hint in up to `count` ways, at its own size, the likeliest first."""
    height, width = frame.luma.shape
    seen = working_size(width, height, colorizer.card, hints="automatic")
    luma = small_luma(frame, seen)
    full = _luma(frame)
    found = colorizer.propose(luma, count)
    guide = cv2.resize(luma, found[0].shape[:0:-1], interpolation=cv2.INTER_AREA)
    return [_colored(frame, upsample_chroma(ab, guide, full)) for ab in found]


def color_picture(luma: Array, colorizer: Colorizer) -> Array:
    """Color one picture.

    Args:
        luma: (h, w) float32 Y' in 0..1.
        colorizer: see `load_colorizer`.

    Returns:
        (h, w, 3) uint8 R'G'B' of the same luma.
    """
    seen = working_size(luma.shape[1], luma.shape[0], colorizer.card, hints="automatic")
    small = resized(np.ascontiguousarray(luma, np.float32), seen)
    (ab,) = colorizer.propose(small, 1)
    rgb = with_luma(upsample_chroma(ab, resized(small, ab.shape[1:]), luma), luma)
    return np.asarray(np.rint(rgb * 255).astype(np.uint8))


def _frames(film: Path, config: ColorizeConfig, last: int) -> Iterator[Frame]:
    span = config.input
    with open_video(film, rate=span.rate, start=span.start, end=span.end) as video:
        for frame in restore(video, config.restoration) if active(config.restoration) else video:
            yield frame
            if frame.index >= last:
                return


def _colored(frame: Frame, ab: Array | None) -> PreviewFrame:
    luma = _luma(frame)
    ab = np.zeros((2, *luma.shape), np.float32) if ab is None else ab
    return PreviewFrame(frame.index, frame.pts, frame.time_base, luma, ab, frame.color.matrix)


def _luma(frame: Frame) -> Array:
    return plane_luma(frame.luma, frame.layout.depth, frame.color.range, frame.luma.shape[::-1])


class _Names:
    """Files of a folder, none of which is overwritten unasked."""

    def __init__(self, folder: Path, overwrite: bool) -> None:
        self._folder, self._overwrite = folder, overwrite
        self._make(folder)
        if overwrite:
            shutil.rmtree(folder / CHOICES, ignore_errors=True)  # further ones of an earlier run

    def holds(self, name: str) -> bool:
        return (self._folder / name).exists()

    def write(self, name: str, data: bytes) -> Path:
        path = self._folder / name
        if path.exists() and not self._overwrite:
            raise OutputError(f"{path}: exists; a painted hint is not overwritten without --overwrite")
        self._make(path.parent)
        try:
            path.write_bytes(data)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
        return path

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be made: {error.strerror or error}") from error


class _Sheet:
    """Contact sheets: gray pictures side by side, or a row of proposals for each."""

    def __init__(self, names: _Names, across: int) -> None:
        self._names, self._across, self._cells, self._pages = names, across, list[Array](), 0

    def add(self, label: str, pictures: Sequence[Array]) -> None:
        height, width = pictures[0].shape[:2]
        size = (max(1, round(width * _LINES / height)), _LINES)
        cell = np.concatenate([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in pictures], axis=1)
        title = np.full((24, cell.shape[1], 3), 255, np.uint8)
        cv2.putText(title, label, (4, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
        self._cells.append(np.concatenate([title, cell]))
        if len(self._cells) == _ROWS * self._across:
            self.finish()

    def finish(self) -> None:
        """Write the page, if it holds anything."""
        if not self._cells:
            return
        blank = np.full_like(self._cells[0], 255)
        cells = [*self._cells, *[blank] * (-len(self._cells) % self._across)]
        rows = [np.concatenate(cells[i : i + self._across], axis=1) for i in range(0, len(cells), self._across)]
        self._pages += 1
        while self._names.holds(page := f"{CHOICES}/sheet{self._pages:02d}.jpg"):
            self._pages += 1  # of an earlier run on another part of the film
        self._names.write(page, encode_image(np.concatenate(rows), ".jpg"))
        self._cells = []


def _progress(done: int, total: int, seconds: float) -> Event:
    """Like `RunLog`'s, one for each picture written."""
    rate = done / max(seconds, 1e-6)
    eta = (total - done) / rate
    return Event(
        "progress", {"stage": "keyframes", "frames": done, "total": total, "fps": round(rate, 2), "eta_s": eta}
    )
