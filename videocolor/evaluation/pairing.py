"""Two films frame by frame: which frame of the result belongs to which frame of the truth.

Frames are paired by time or by number. A misfit (another length, size, time, damage) is an error, or if it was allowed,
a fact of the `Alignment`; nothing is cut silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, get_args

import cv2
import numpy as np

from videocolor.errors import InputError
from videocolor.hints.plan import frame_to_rgb
from videocolor.types import Array, Frame, VideoInfo
from videocolor.video import VideoReader, open_video
from videocolor.video.stored import stored_rgb

__all__ = ["ALIGNMENTS", "ALLOWANCES", "Align", "Alignment", "Allow", "FilmPairs", "FramePair", "LumaRule", "luma_rule"]

Align = Literal["strict", "index", "pts"]
"""`strict`: by number, and times must agree; `index`: by number, times are ignored; `pts`: by time."""
ALIGNMENTS: Final[tuple[Align, ...]] = get_args(Align)
Allow = Literal["length", "size", "damage"]
"""`length`: unpaired frames are left out; `size`: the result is resized; `damage`: what can be decoded is scored."""
ALLOWANCES: Final[tuple[Allow, ...]] = get_args(Allow)


_ANY_RATE: Final = Fraction(24)
"""Frames a second of two folders of images, which carry no times."""


@dataclass(frozen=True)
class Alignment:
    """How the frames of two films were paired, and what did not fit."""

    align: Align
    allowed: tuple[Allow, ...] = ()
    pairs: int = 0
    unpaired_truth: int = 0
    """Frames of the truth without a pair: not scored."""
    unpaired_result: int = 0
    time_max_diff: float | None = 0.0
    """Largest difference of a pair's times, seconds; None where one film is images, which carry no times."""
    resized: str | None = None
    """Size of the result -> size of the truth, where it was resized."""
    bits: int = 8
    """Bits of the R'G'B' samples that were compared: 8, or 16 where a film has more than 8."""
    damage: tuple[str, ...] = ()
    """What could not be decoded of either film."""
    truth_color: str = ""
    """Matrix and range that the truth was decoded by, and which of them were assumed."""
    result_color: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


@dataclass(frozen=True, eq=False)
class FramePair:
    """A frame of the truth and the result's frame for it."""

    index: int
    """Number of the frame in the truth, from 0."""
    truth: Array
    """(h, w, 3) R'G'B', uint8 or uint16."""
    test: Array
    """The same of the result."""
    luma_diff: int | None
    """Largest difference of a stored luma sample, see `LumaRule`; None where it cannot be compared."""


@dataclass(frozen=True)
class LumaRule:
    """How stored luma samples of two films are compared."""

    text: str
    """What is compared, or why nothing is."""
    scale: tuple[int, int] | None
    """Factors on the truth's and the result's codes; None: not comparable."""

    def difference(self, truth: Array, test: Array) -> int | None:
        """Return the largest difference of (h, w) codes; None where they cannot be compared."""
        if self.scale is None:
            return None
        if self.scale == (1, 1) and truth.dtype == test.dtype:
            return int(cv2.absdiff(np.ascontiguousarray(truth), np.ascontiguousarray(test)).max())
        a, b = (codes.astype(np.int64) * factor for codes, factor in zip((truth, test), self.scale, strict=True))
        return int(np.abs(a - b).max())


def luma_rule(truth: VideoInfo, result: VideoInfo) -> LumaRule:
    """Decide how stored luma can be compared: code by code, at the greater of both depths.

    Limited range codes of b bits are those of 8 bits times 2^(b - 8) (ITU-R BT.709 and BT.2100), so films of two depths
    compare exactly. Full range has no such factor, and RGB films store no luma.
    """
    if "rgb" in (truth.layout.kind, result.layout.kind):
        return LumaRule("an RGB film stores no luma", None)
    if (truth.width, truth.height) != (result.width, result.height):
        return LumaRule("the films differ in size", None)
    if truth.color.range != result.color.range:
        return LumaRule(f"range: the truth's is {truth.color.range}, the result's {result.color.range}", None)
    colored = truth.layout.kind == result.layout.kind == "yuv"
    if colored and truth.color.matrix != result.color.matrix:
        return LumaRule(f"matrix: the truth's is {truth.color.matrix}, the result's {result.color.matrix}", None)
    a, b = truth.layout.depth, result.layout.depth
    if a == b:
        return LumaRule(f"{a}-bit codes", (1, 1))
    if truth.color.range == "full":
        return LumaRule(f"full-range codes of {a} and {b} bits have no common scale", None)
    low, high = min(a, b), max(a, b)
    text = f"{high}-bit codes; the {'truth' if a < b else 'result'}'s {low}-bit codes times {2 ** (high - low)}"
    return LumaRule(text, (2 ** (high - a), 2 ** (high - b)))


class FilmPairs:
    """Iterates over the frame pairs of two films, once; a context manager.

    A film may be a video, a folder of images, a number pattern, or a still. Memory holds a few frames.

    Args:
        truth: the film in its true colors.
        result: what a method made of it.
        align: how partners are found.
        allow: misfits that are reported rather than refused.
        threads: decoder threads of each film; 0 lets FFmpeg choose.

    Raises:
        InputError: a film cannot be read, or their sizes differ and that is not allowed; while iterating: lengths or
            times differ, or a film is damaged.
    """

    def __init__(
        self, truth: Path, result: Path, *, align: Align = "strict", allow: Iterable[Allow] = (), threads: int = 0
    ) -> None:
        self._stack = ExitStack()
        with self._stack:
            self.truth, self.result = self._open(truth, result, threads)
            self._stack = self._stack.pop_all()
        a, b = self.truth.info, self.result.info
        self._images = a.format == "image2", b.format == "image2"
        self.luma_rule = luma_rule(a, b)
        self._bits = 8 if max(a.layout.depth, b.layout.depth) <= 8 else 16
        self._size = (a.width, a.height)
        sizes = f"{b.width}x{b.height} -> {a.width}x{a.height}"
        resized = None if self._size == (b.width, b.height) else sizes
        self.alignment = Alignment(
            align,
            tuple(sorted(allow)),
            time_max_diff=None if any(self._images) else 0.0,
            resized=resized,
            bits=self._bits,
            truth_color=_color(a),
            result_color=_color(b),
        )
        if resized and "size" not in self.alignment.allowed:
            self.close()
            raise InputError(
                f"{result}: is {b.width}x{b.height}, the truth {truth} is {a.width}x{a.height}; "
                "give films of one size, or --allow size to have the result resized"
            )

    def _open(self, truth: Path, result: Path, threads: int) -> tuple[VideoReader, VideoReader]:
        """Open both; images, which carry no times, take the other film's rate."""
        films = [self._stack.enter_context(open_video(path, threads=threads)) for path in (truth, result)]
        rates = [film.info.rate for film in films if film.info.format != "image2"]
        for place, film in enumerate(films):
            if film.info.format == "image2":
                rate = next((rate for rate in rates if rate), _ANY_RATE)
                film = open_video((truth, result)[place], rate=rate, threads=threads)
                films[place] = self._stack.enter_context(film)
        return films[0], films[1]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about either film."""
        return self.truth.info.warnings + self.result.info.warnings

    @property
    def total(self) -> int | None:
        """Frames of the truth by its container; an estimate."""
        return self.truth.info.frames

    @property
    def chroma_shift(self) -> tuple[int, int]:
        """log2 of the result's chroma subsampling; (0, 0) where it has full chroma."""
        return self.result.info.layout.chroma_shift

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close both films."""
        self._stack.close()

    def __iter__(self) -> Iterator[FramePair]:
        paired = self._by_time() if self.alignment.align == "pts" else self._by_place()
        for truth, result in paired:
            if truth is None or result is None:
                self._unpaired(truth, result)
                continue
            self._check(truth, result)
            yield FramePair(
                truth.index,
                self._rgb(truth),
                self._rgb(result),
                self.luma_rule.difference(truth.luma, result.luma),
            )
        self._check_damage()
        self._check_length()

    def _by_place(self) -> Iterator[tuple[Frame | None, Frame | None]]:
        return zip_longest(self.truth, self.result)

    def _by_time(self) -> Iterator[tuple[Frame | None, Frame | None]]:
        """Merge two films by time."""
        slack = self._slack()
        ours, theirs = iter(self.truth), iter(self.result)
        a, b = next(ours, None), next(theirs, None)
        while a is not None or b is not None:
            if a is not None and (b is None or _time(a) < _time(b) - slack):
                yield a, None
                a = next(ours, None)
            elif b is not None and (a is None or _time(b) < _time(a) - slack):
                yield None, b
                b = next(theirs, None)
            else:
                yield a, b
                a, b = next(ours, None), next(theirs, None)

    def _slack(self) -> Fraction:
        """Largest difference of times in a pair, seconds: a quarter of a frame, for containers round times."""
        rates = [video.info.rate for video in (self.truth, self.result) if video.info.rate]
        return min((1 / (4 * rate) for rate in rates), default=Fraction(1, 200))

    def _unpaired(self, truth: Frame | None, result: Frame | None) -> None:
        now = self.alignment
        self.alignment = replace(
            now,
            unpaired_truth=now.unpaired_truth + (truth is not None),
            unpaired_result=now.unpaired_result + (result is not None),
        )

    def _check(self, truth: Frame, result: Frame) -> None:
        """Count a pair; refuse times that differ, and damage, at once."""
        if truth.damaged or result.damaged:
            self._check_damage()
        now, distance = self.alignment, abs(_time(truth) - _time(result))
        if now.align == "strict" and self._apart(truth, result):
            self._check_damage()
            raise InputError(
                f"{self.result.info.path}: frame {result.index} is shown at {result.seconds:.3f} s, the truth's at "
                f"{truth.seconds:.3f} s; --align pts pairs frames by time, --align index by number"
            )
        widest = None if now.time_max_diff is None else max(now.time_max_diff, float(distance))
        self.alignment = replace(now, pairs=now.pairs + 1, time_max_diff=widest)

    def _apart(self, truth: Frame, result: Frame) -> bool:
        """Say whether the times of a pair differ; of an image, only its number counts."""
        if self._images[0] != self._images[1]:
            image, film = (truth, result) if self._images[0] else (result, truth)
            return image.pts != film.index
        return abs(_time(truth) - _time(result)) > self._slack()

    def _check_damage(self) -> None:
        said = tuple(f"{video.info.path}: {line}" for video in (self.truth, self.result) for line in video.losses)
        self.alignment = replace(self.alignment, damage=said)
        if said and "damage" not in self.alignment.allowed:
            raise InputError(f"{'; '.join(said)}; --allow damage scores what can be decoded")

    def _check_length(self) -> None:
        now = self.alignment
        a, b = now.pairs + now.unpaired_truth, now.pairs + now.unpaired_result
        paths = f"{self.result.info.path}: {b} frames, the truth {self.truth.info.path} has {a}"
        if now.pairs == 0:
            raise InputError(f"{paths}, and no two of them are shown at one time")
        if now.unpaired_truth + now.unpaired_result and "length" not in now.allowed:
            raise InputError(
                f"{paths}; {now.unpaired_truth + now.unpaired_result} are unpaired; "
                "--allow length scores the pairs and says how many frames were left out"
            )

    def _rgb(self, frame: Frame) -> Array:
        """R'G'B' of a frame by its own film's matrix and range, rounded to the depth of the comparison."""
        stored = stored_rgb(frame)
        fits = (frame.luma.shape[1], frame.luma.shape[0]) == self._size
        if stored is not None and fits and stored.dtype == np.uint8 and self._bits == 8:
            return stored
        rgb = frame_to_rgb(frame) if stored is None else stored / np.float32(2**frame.layout.depth - 1)
        if not fits:
            shrinks = rgb.shape[0] > self._size[1]
            rgb = cv2.resize(rgb, self._size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        peak, depth = (255.0, cv2.CV_8U) if self._bits == 8 else (65535.0, cv2.CV_16U)
        return cv2.addWeighted(rgb, peak, rgb, 0.0, 0.0, dtype=depth)  # rounds and saturates


def _color(info: VideoInfo) -> str:
    """`bt709 limited`, and what of it was assumed."""
    if info.layout.kind == "rgb":
        return "rgb"
    assumed = [name for name in ("matrix", "range") if name in info.color.assumed]
    return f"{info.color.matrix} {info.color.range}" + (f" ({' and '.join(assumed)} assumed)" if assumed else "")


def _time(frame: Frame) -> Fraction:
    return frame.pts * frame.time_base
