"""Score one film, frame by frame, in memory that does not grow with the film.

    scorer = FilmScorer()
    for truth, test in frames:                      # (h, w, 3) R'G'B', in film order
        scorer.add(truth, test, reference=...)      # a frame whose true color was given to the method
    print(scorer.result().as_dict())

Reference frames are left out of every mean. Scores of a film are means over its frames in float64; where another mean
is meant, the key says so. What cannot be measured is None, with its reason in `Scores.not_measured`.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from pydantic import AfterValidator, Field

from videocolor.config import Int
from videocolor.errors import InputError, PluginError, UsageError
from videocolor.evaluation.metrics import METRICS, metric_kinds
from videocolor.evaluation.metrics.base import Metric, MetricOptions, Picture, Score, ScoredFrame
from videocolor.evaluation.pairing import Align, Alignment, Allow, FilmPairs, LumaRule
from videocolor.events import Event, Observer, ignore
from videocolor.types import Array

__all__ = ["FilmScorer", "ScoreOptions", "Scores", "parse_metrics", "parse_reference_frames", "score_film"]

_ROUNDED: Final = 1e-3
"""By which floats may leave 0..1."""
Measured = list[tuple[Metric, Mapping[str, Any]]]


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    try:
        kinds = metric_kinds(names)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return tuple(name for name in kinds if name in names)


class ScoreOptions(MetricOptions):
    """What is measured, and how often."""

    metrics: Annotated[tuple[str, ...], AfterValidator(_known)] = tuple(METRICS)
    """What to measure, in any order; see docs/reference/scores.md."""
    threads: Int = Field(1, ge=1)
    """Frames measured at once. The scores do not depend on it."""


@dataclass(frozen=True)
class Scores:
    """Scores of one film; docs/reference/scores.md has the keys."""

    values: Mapping[str, Score]
    """By key; None: not measured."""
    not_measured: Mapping[str, str]
    """Why, for every score that is None."""
    alignment: Alignment | None = None
    """How the frames of two files were paired."""

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def as_dict(self) -> dict[str, Any]:
        """Return what the JSON object holds; no value is NaN or infinite."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in self.values.items()}
        alignment = None if self.alignment is None else self.alignment.as_dict()
        return {**values, "alignment": alignment, "not_measured": dict(self.not_measured)}

    def lines(self) -> list[str]:
        """Return the scores for a person, one a line."""
        shown = []
        for name, value in self.as_dict().items():
            if name in ("not_measured", "alignment"):
                continue
            if value is None:
                text = f"not measured ({self.not_measured[name]})" if name in self.not_measured else "not measured"
            else:
                text = f"{value:.6g}" if isinstance(value, float) else str(value)
            shown.append(f"{name:26} {text}")
        for name, value in ({} if self.alignment is None else self.alignment.as_dict()).items():
            shown.append(f"{name:26} {'-' if value in (None, []) else value}")
        return shown

    def with_values(self, **values: Score) -> Scores:
        """Return the same scores with some set, such as the cost of the run that made the result."""
        known = {key for key, value in values.items() if value is not None}
        reasons = {key: reason for key, reason in self.not_measured.items() if key not in known}
        return replace(self, values={**self.values, **values}, not_measured=reasons)


class FilmScorer:
    """Scores a film frame by frame. Holds a few frames and some counts, whatever the film's length.

    Temporal metrics take a reference frame as a predecessor, but no pair counts whose later frame is one.

    Args:
        options: what is measured.

    Raises:
        InputError, ModelError: a metric's weights cannot be read.
    """

    def __init__(self, options: ScoreOptions = ScoreOptions()) -> None:  # noqa: B008  (frozen)
        self.options = options
        self._kinds = metric_kinds(options.metrics)
        self._metrics = {name: kind(options) for name, kind in self._kinds.items() if name in options.metrics}
        self._pool = ThreadPoolExecutor(options.threads) if options.threads > 1 else None
        self._pending: deque[Future[Measured]] = deque()
        self._before: tuple[Picture, Picture] | None = None
        self._index = self._scored = 0

    def add(self, truth: Array, test: Array, *, reference: bool = False, luma_diff: int | None = None) -> None:
        """Take the film's next frame. The arrays are copied.

        Args:
            truth: (h, w, 3) R'G'B': uint8, uint16 (0..65535) or float 0..1.
            test: what a method made of it, of the same size and type.
            reference: the method was given this frame's true color.
            luma_diff: largest difference of stored luma, in code values; None: unknown.

        Raises:
            ValueError: size, shape or type of the two differ, or from one frame to the next; floats that are not
                finite, or not in 0..1.
        """
        if truth.shape != test.shape or truth.dtype != test.dtype or truth.ndim != 3 or truth.shape[2] != 3:
            raise ValueError(
                f"frame {self._index}: {truth.shape=} {truth.dtype=}, {test.shape=} {test.dtype=}: "
                "expected two (h, w, 3) pictures of one type"
            )
        if self._before is not None and self._before[0].rgb.shape != truth.shape:
            raise ValueError(f"frame {self._index}: {truth.shape=}, the frame before {self._before[0].rgb.shape}")
        for name, rgb in (("truth", truth), ("test", test)):
            _check_range(rgb, f"frame {self._index}: {name}")
        now = Picture(truth.copy()), Picture(test.copy())
        frame = ScoredFrame(self._index, self._scored, reference, *now, self._before, luma_diff)
        self._before = now
        self._index += 1
        self._scored += not reference
        if self._pool is None:
            self._take(self._measure(frame))
            return
        self._pending.append(self._pool.submit(self._measure, frame))
        while len(self._pending) > self.options.threads + 1:
            self._take(self._pending.popleft().result())

    def _measure(self, frame: ScoredFrame) -> Measured:
        kinds = ("all", "reference" if frame.reference else "scored")
        return [(metric, metric.measure(frame)) for metric in self._metrics.values() if metric.frames in kinds]

    @staticmethod
    def _take(measured: Measured) -> None:
        for metric, values in measured:
            metric.update(values)

    def result(self) -> Scores:
        """Return the scores of the frames so far; the film ends here.

        Raises:
            ValueError: no frame was added.
        """
        if self._index == 0:
            raise ValueError("no frame was added")
        while self._pending:
            self._take(self._pending.popleft().result())
        self.close()
        values: dict[str, Any] = {"frames": self._scored, "reference_frames": self._index - self._scored}
        reasons: dict[str, str] = {}
        for name, kind in self._kinds.items():
            metric = self._metrics.get(name)
            for key, value in (dict.fromkeys(kind.keys) if metric is None else _checked(metric, name)).items():
                # Of a count that two metrics share, such as the pairs of flow, the larger one.
                values[key] = max(values[key], value) if key in values else value
                if value is None:
                    reasons[key] = "not asked for" if metric is None else self._reason(metric, key)
        costs = dict.fromkeys(("seconds_per_frame", "peak_memory_bytes"))
        reasons |= dict.fromkeys(costs, "the run that made the result is not known")
        return Scores({**values, **costs}, reasons)

    def _reason(self, metric: Metric, key: str) -> str:
        if not self._scored and metric.frames == "scored":
            return "every frame is a reference frame"
        return metric.reasons().get(key, metric.missing)

    def close(self) -> None:
        """End the threads; needed only where `result` is never reached."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _check_range(rgb: Array, what: str) -> None:
    if rgb.dtype in (np.uint8, np.uint16):
        return
    if rgb.dtype.kind != "f":
        raise ValueError(f"{what} is {rgb.dtype}; expected uint8, uint16, or float in 0..1")
    low, high = float(rgb.min()), float(rgb.max())
    if not isfinite(low) or not isfinite(high):
        raise ValueError(f"{what} has values that are not finite")
    if low < -_ROUNDED or high > 1 + _ROUNDED:
        remedy = "divide by 255" if high > 2 else "clip it"
        raise ValueError(f"{what} has values of {low:.3g}..{high:.3g}; expected float in 0..1: {remedy}")


def _checked(metric: Metric, name: str) -> Mapping[str, Any]:
    """Return a metric's scores, if they are what they must be.

    Raises:
        PluginError: a score is missing, or is neither finite nor None.
    """
    found = metric.result()
    if missing := [key for key in metric.keys if key not in found]:
        raise PluginError(f"metric {name}: result gives no {missing[0]!r}, which is among its keys; None: not measured")
    for key, value in found.items():
        finite = not isinstance(value, float) or isfinite(value)
        if not (finite and isinstance(value, int | float | str | tuple | None)):
            raise PluginError(f"metric {name}: {key} is {value!r}; expected a finite number, or None: not measured")
    return found


def score_film(
    result: str | Path,
    truth: str | Path,
    options: ScoreOptions = ScoreOptions(),  # noqa: B008  (frozen)
    *,
    reference_frames: Iterable[int] = (),
    align: Align = "strict",
    allow: Iterable[Allow] = (),
    observer: Observer = ignore,
) -> Scores:
    """Score a film against the truth; both are decoded in step, each by its own matrix and range.

    Args:
        result: what a method made: a film, a folder of images, or a still.
        truth: the same in true colors.
        options: what is measured; `chroma_shift` is taken from the result.
        reference_frames: numbers of frames of the truth, from 0, whose true color the method was given.
        align: how frames are paired, see `videocolor.evaluation.pairing`.
        allow: misfits that are reported rather than refused.
        observer: receives progress and warnings.

    Raises:
        InputError: a film cannot be read, or they do not fit and that is not allowed.
        UsageError: a reference frame is not one of the truth.
    """
    result, truth = Path(result), Path(truth)
    references, began = frozenset(reference_frames), time.perf_counter()
    with FilmPairs(truth, result, align=align, allow=allow, threads=options.threads) as pairs:
        for message in pairs.warnings:
            observer(Event("warning", {"message": message}))
        scorer = FilmScorer(options.model_copy(update={"chroma_shift": pairs.chroma_shift}))
        try:
            for pair in pairs:
                scorer.add(pair.truth, pair.test, reference=pair.index in references, luma_diff=pair.luma_diff)
                observer(Event("progress", {"stage": "score", "frames": pair.index + 1, "total": pairs.total}))
            count = pairs.alignment.pairs + pairs.alignment.unpaired_truth
            beyond = sorted(frame for frame in references if not 0 <= frame < count)
            if beyond:
                raise UsageError(f"reference frame {beyond[0]}: {truth} has frames 0..{count - 1}")
            scores = scorer.result()
        finally:
            scorer.close()
    seconds = (time.perf_counter() - began) / (scores["frames"] + scores["reference_frames"])
    scores = _with_luma_rule(scores, pairs.luma_rule, options)
    scores = scores.with_values(scoring_seconds_per_frame=seconds, scoring_peak_memory_bytes=_peak_memory())
    return replace(scores, alignment=pairs.alignment)


def _peak_memory() -> int | None:
    """Greatest resident memory of this process so far, in bytes; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _with_luma_rule(scores: Scores, rule: LumaRule, options: ScoreOptions) -> Scores:
    """Say how stored luma was compared, or why it was not."""
    if "luma_max_diff" not in options.metrics:
        return scores
    if scores["luma_max_diff"] is None:
        return replace(scores, not_measured={**scores.not_measured, "luma_max_diff": rule.text})
    return scores.with_values(luma_compared=rule.text)


def parse_metrics(text: str) -> tuple[str, ...]:
    """Read names of metrics from `psnr_rgb,ssim`, and return them in the order of `METRICS`, plug-ins last.

    Raises:
        UsageError: an unknown name.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise UsageError(f"--metrics {text!r}: names none; known: {', '.join(METRICS)}")
    return tuple(name for name in metric_kinds(names) if name in names)


def parse_reference_frames(text: str) -> frozenset[int]:
    """Read frame numbers from `0,50`, or from a file that holds one a line (`#` begins a comment).

    Raises:
        UsageError: not numbers from 0 on.
        InputError: the file cannot be read.
    """
    path, words = Path(text), text.split(",")
    if path.is_file():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'no text'}") from error
        words = [line.partition("#")[0] for line in lines]
    frames = [word.strip() for word in words if word.strip()]
    for frame in frames:
        if not (frame.isascii() and frame.isdigit()):
            raise UsageError(
                f"--reference-frames: {frame!r} is neither a frame number nor a file; expected 0,50 or FILE"
            )
    return frozenset(map(int, frames))
