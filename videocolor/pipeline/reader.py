"""The reader of a film's frames, and of those of a part of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from videocolor.config import ColorizeConfig
from videocolor.errors import InputError
from videocolor.restoration import active, radius, restore
from videocolor.types import Frame, VideoInfo
from videocolor.video import VideoReader, open_video

__all__ = ["FilmReader", "Part"]

_RATE: Final = Fraction(25)


@dataclass(frozen=True)
class Part:
    """Frames of a film from one time to another."""

    start: int
    """Index of the first frame."""
    start_pts: int
    end_pts: int | None
    """Time after the last frame in ticks; None: to the film's end."""
    from_beginning: bool = False
    """Decode all earlier frames, too: for films in which a seek leads elsewhere."""


class FilmReader:
    """The frames that are colored, in order: restored where asked for, counted from the film's first.

    A context manager and an iterable of frames. A part's frames are those that the entire film gives, sample for
    sample: restoration gets the frames around the part to see, and where a seek does not lead to the part's first
    frame the film is decoded from its beginning.
    """

    def __init__(self, source: Path, config: ColorizeConfig, info: VideoInfo, part: Part | None = None) -> None:
        self._source, self._config, self._info, self.part = source, config, info, part
        self._around = radius(config.restoration) if active(config.restoration) else 0
        self.video = self._open(part)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.video.close()

    @property
    def losses(self) -> list[str]:
        """Describe what could not be read so far."""
        where = "" if self.part is None or not self.part.start else f"from frame {self.part.start} on: "
        return [where + line for line in self.video.losses]

    def _open(self, part: Part | None) -> VideoReader:
        span = self._config.input
        start, end = span.start, span.end
        if part is not None:
            margin = 2 * (self._around + 2) / (self._info.rate or _RATE) if self._around else Fraction(0)
            base = self._info.time_base
            if part.start and not part.from_beginning:
                early = part.start_pts * base - margin
                start = early if start is None else max(start, early)
                start = None if start <= self._info.start_pts * base else start
            if part.end_pts is not None:
                late = part.end_pts * base + margin
                end = late if end is None else min(end, late)
        return open_video(self._source, rate=span.rate, start=start, end=end)

    def __iter__(self) -> Iterator[Frame]:
        if self.part is None:
            yield from self._restored(self.video)
            return
        part, index = self.part, self.part.start
        before = 0
        for frame in self._restored(self.video):
            if frame.pts < part.start_pts:
                before += 1
                continue
            if part.end_pts is not None and frame.pts >= part.end_pts:
                return
            if index == part.start and not self._led_there(frame, before, part):
                self.video.close()
                self.part = replace(part, from_beginning=True)
                self.video = self._open(self.part)
                yield from self
                return
            yield replace(frame, index=index)
            index += 1

    def _led_there(self, frame: Frame, before: int, part: Part) -> bool:
        """Return whether the first frame is the right one, with the frames that restoration needs before it."""
        if part.from_beginning or not part.start:
            if frame.pts != part.start_pts:
                raise InputError(
                    f"{self._source}: no frame stands at {float(part.start_pts * frame.time_base):.4f} s, where frame "
                    f"{part.start} was; has the film changed?"
                )
            return True
        enough = before >= self._around or self.video.start is None or self.video.start == self._config.input.start
        return frame.pts == part.start_pts and enough

    def _restored(self, frames: Iterable[Frame]) -> Iterable[Frame]:
        settings = self._config.restoration
        return restore(frames, settings) if active(settings) else frames
