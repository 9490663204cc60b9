"""A first pass over the film: its shots, how each looks, and which frame each timed hint means.

Needed when hints are to be dealt to shots before the coloring starts, for the shot list, and for a dry
run. A film without hints is colored in one pass and never scanned.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Final

from videocolor.config import ColorizeConfig
from videocolor.errors import NoVideoError, UsageError
from videocolor.motion.similarity import thumbnail
from videocolor.restoration import active, restore
from videocolor.shots.detect import CutFinder
from videocolor.shots.prepare import Cuts, ListedCuts, Prepared, mark_shots, prepare, working_size
from videocolor.shots.shotlist import read_shots
from videocolor.types import Array, Frame, Shot, VideoInfo
from videocolor.video import open_video
from videocolor.video.carrier import KindFinder
from videocolor.video.stored import SourceColor, source_color

__all__ = ["VIEWS", "FilmScan", "ShotView", "Span", "ScanResult", "cuts_for", "one_frame", "scan_film"]

_ROUNDED: Final = Fraction(3, 2000)
"""Seconds by which a time in a name, rounded to milliseconds like Matroska's own, may miss its frame."""
VIEWS: Final = 8
"""Most pictures kept of one shot."""


@dataclass(frozen=True, eq=False)
class ShotView:
    """A shot and a few pictures of it, evenly spread."""

    shot: Shot
    views: tuple[tuple[int, Array], ...] = field(repr=False)
    """(frame index, (90, 160) uint8 luma) pairs in film order, at most eight, the first frame always."""
    last_pts: int
    """Of its last frame."""
    last: Array = field(repr=False)
    """(90, 160) uint8 luma of its last frame."""


@dataclass(frozen=True, eq=False)
class ScanResult:
    """What the first pass found."""

    info: VideoInfo
    shots: tuple[ShotView, ...]
    frames: int
    nearest: dict[Fraction, int] = field(default_factory=dict)
    """Frame index nearest to each film time asked for."""
    losses: tuple[str, ...] = ()
    offsets: tuple[Fraction, ...] = ()
    """As `VideoReader.offsets`."""
    pts: Sequence[int] = field(default=(), repr=False)
    """Time of every frame, in ticks: eight bytes a frame."""
    colors: Mapping[int, SourceColor] = field(default_factory=dict)
    """Index of a shot -> color that the film has there already, where it has any."""
    begins: Mapping[str, int] = field(default_factory=dict)
    """Kind of side data that belongs into the output (captions) -> time of the first frame that has it, in ticks."""

    def shot_at(self, index: int) -> Shot:
        """Return the shot that holds a frame."""
        return next(view.shot for view in self.shots if view.shot.start <= index < view.shot.end)


@dataclass(frozen=True)
class Span:
    """The part of a film that is colored, and the film's own bounds, in seconds."""

    start: Fraction
    end: Fraction
    frame: Fraction
    """Mean length of a frame."""
    film_start: Fraction
    film_end: Fraction

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the film is left out."""
        return self.start <= self.film_start + self.frame and self.film_end <= self.end + self.frame

    @classmethod
    def of(cls, scan: ScanResult) -> Span:
        """Take the bounds from a scan."""
        first, last, info = scan.shots[0].shot, scan.shots[-1].shot, scan.info
        start, end = first.start_pts * first.time_base, last.end_pts * last.time_base
        film_start = info.start_pts * info.time_base
        film_end = end if info.duration is None else max(end, film_start + info.duration)
        return cls(start, end, (end - start) / scan.frames, film_start, film_end)

    def holds(self, moment: Fraction) -> bool:
        """Tell whether a time means one of the frames that are colored."""
        # Where the film itself begins, a time a little before it means its first frame; in its middle, another one.
        slack = self.frame if self.start <= self.film_start + _ROUNDED else self.frame / 2
        goes_on = self.film_end > self.end + self.frame / 2
        return self.start - slack <= moment and not (goes_on and moment >= self.end - _ROUNDED)


def cuts_for(config: ColorizeConfig, scan: ScanResult | None = None) -> Cuts:
    """Choose what finds the cuts: an earlier scan, a shot file, a detector, or nothing."""
    if scan is not None:
        return ListedCuts([view.shot.start for view in scan.shots])
    if config.shots.file is not None:
        if config.input.start:
            raise UsageError(
                f"--shots {config.shots.file} counts frames from the film's first; it does not go together with --start"
            )
        return ListedCuts([shot.start for shot in read_shots(config.shots.file)])
    if config.shots.detector == "transnet":
        from videocolor.shots.detect import TransnetFinder

        return TransnetFinder()
    return ListedCuts([]) if config.shots.detector == "none" else CutFinder()


class _Gallery:
    """Evenly spread pictures of a shot of unknown length: when full, every second one goes."""

    def __init__(self) -> None:
        self.views: list[tuple[int, Array]] = []
        self._stride = 1
        self._count = 0

    def add(self, index: int, gray: Array) -> None:
        if self._count % self._stride == 0:
            self.views.append((index, thumbnail(gray)))
            if len(self.views) > VIEWS:
                self.views = self.views[::2]
                self._stride *= 2
        self._count += 1


class _Nearest:
    """The frame nearest to each of some times, found in one pass; the earlier one where two are."""

    def __init__(self, times: Sequence[Fraction]) -> None:
        self._wanted = sorted(set(times))
        self._best: dict[Fraction, tuple[Fraction, int]] = {}

    def add(self, frame: Frame) -> None:
        for wanted in self._wanted:
            miss = abs(frame.pts * frame.time_base - wanted)
            if wanted not in self._best or miss < self._best[wanted][0]:
                self._best[wanted] = (miss, frame.index)

    def result(self) -> dict[Fraction, int]:
        return {wanted: index for wanted, (_, index) in self._best.items()}


def one_frame(info: VideoInfo) -> int:
    """Ticks that a frame is shown for which does not say so itself."""
    return max(1, round(1 / ((info.rate or Fraction(25)) * info.time_base)))


def _views(
    marked: Iterable[tuple[int, Prepared]], usual: int, tick: Callable[[int, Prepared], None]
) -> Iterator[ShotView]:
    """Shots with their pictures, each as soon as the next one begins: that is its end."""
    waiting: tuple[int, Prepared, Prepared, _Gallery] | None = None
    for number, items in groupby(marked, key=lambda pair: pair[0]):
        gallery = _Gallery()
        first: Prepared | None = None
        for _, item in items:
            if first is None and waiting is not None:
                yield _view(*waiting, item.frame.pts)
            first, last = first or item, item
            gallery.add(item.frame.index, item.gray)
            tick(number, item)
        assert first is not None  # groupby never yields an empty group
        waiting = (number, first, last, gallery)
    if waiting is not None:
        frame = waiting[2].frame
        yield _view(*waiting, frame.pts + (frame.duration or usual))


def _view(number: int, first: Prepared, last: Prepared, gallery: _Gallery, end_pts: int) -> ShotView:
    a, z = first.frame, last.frame
    shot = Shot(number, a.index, z.index + 1, a.pts, end_pts, a.time_base)
    return ShotView(shot, tuple(gallery.views), z.pts, thumbnail(last.gray))


class FilmScan:
    """One pass over a film, at the cost of decoding alone: iterate for its shots, each as soon as its end is known.

    Args:
        source: the film.
        config: names the shot detector, or the shot file that replaces it.
        times: film times in seconds whose nearest frames are wanted.
        exact: decode as for coloring, without shortcuts: a seventh slower, and cuts are those that coloring finds.
        look: called with the index and the (h, w) uint8 luma of every frame, at the size at which cuts are found.
        progress: called with (frames so far, estimated total). What it raises ends the pass.

    Raises:
        InputError: the film cannot be read; ConfigError: the shot file does not fit it.
    """

    def __init__(
        self,
        source: Path,
        config: ColorizeConfig,
        *,
        times: Sequence[Fraction] = (),
        exact: bool = False,
        look: Callable[[int, Array], None] | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> None:
        self._source, self._config, self._progress, self._look = source, config, progress, look
        self._nearest, self._cuts = _Nearest(times), cuts_for(config)
        span = config.input
        self._video = open_video(source, rate=span.rate, start=span.start, end=span.end, fast=not exact)
        self.info = self._video.info
        self.pts = array("q")
        """Time of every frame so far, in ticks."""
        self.colors: dict[int, SourceColor] = {}
        """As `ScanResult.colors`."""
        self._kinds = KindFinder()
        self.begins: dict[str, int] = {}
        """As `ScanResult.begins`."""

    @property
    def nearest(self) -> dict[Fraction, int]:
        """As `ScanResult.nearest`; complete when the pass has ended."""
        return self._nearest.result()

    @property
    def losses(self) -> tuple[str, ...]:
        """What could not be read so far, in words."""
        return tuple(self._video.losses)

    @property
    def offsets(self) -> tuple[Fraction, ...]:
        """As `VideoReader.offsets`."""
        return tuple(self._video.offsets)

    def __iter__(self) -> Iterator[ShotView]:
        settings, found = self._config.restoration, False
        with self._video as video:
            frames = restore(video, settings) if active(settings) else video
            marked = mark_shots(prepare(frames, working_size(self.info.width, self.info.height)), self._cuts)
            for view in _views(marked, one_frame(self.info), self._tick):
                found = True
                yield view
        if not found:
            raise NoVideoError(f"{self._source}: no frame could be decoded between the start and the end asked for")

    def _tick(self, shot: int, item: Prepared) -> None:
        frame = item.frame
        self._nearest.add(frame)
        if self._look is not None:
            self._look(frame.index, item.gray)
        self.pts.append(frame.pts)
        if self.colors.get(shot) != "color" and (kind := source_color(frame)) != "none":
            self.colors[shot] = kind
        if self.info.format != "image2":
            self.begins |= dict.fromkeys(self._kinds.begin(frame), frame.pts)
        if self._progress is not None:
            self._progress(frame.index + 1, self.info.frames)


def scan_film(
    source: Path,
    config: ColorizeConfig,
    *,
    times: Sequence[Fraction] = (),
    exact: bool = False,
    look: Callable[[int, Array], None] | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> ScanResult:
    """Decode the film once and describe all its shots; arguments and errors as of `FilmScan`."""
    scan = FilmScan(source, config, times=times, exact=exact, look=look, progress=progress)
    views = tuple(scan)
    last = views[-1].shot.end
    return ScanResult(
        scan.info, views, last, scan.nearest, scan.losses, scan.offsets, scan.pts, scan.colors, scan.begins
    )
