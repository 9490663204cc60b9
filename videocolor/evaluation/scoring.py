"""Scores of one film: frames go in one by one, a `Scores` comes out; memory does not grow with the film.

    scorer = FilmScorer()
    for truth, test in frames:                      # (h, w, 3) R'G'B', in film order
        scorer.add(truth, test, reference=...)      # a frame whose true colour was handed to the method
    print(scorer.result().as_dict())

Reference frames are left out of every mean. Scores of a film are means over its frames in float64; where another mean
is meant, the key says so. What cannot be measured is None, with its reason in `Scores.not_measured`.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from videocolor.errors import UsageError
from videocolor.evaluation.framescores import FrameScores, FrameTask, View, measure
from videocolor.evaluation.pairing import Align, Allow, FilmPairs, LumaRule
from videocolor.evaluation.scores import (
    METRICS,
    PSNR_CAP,
    Metric,
    ScoreOptions,
    Scores,
    parse_metrics,
    parse_reference_frames,
)
from videocolor.evaluation.totals import FilmTotals
from videocolor.events import Event, Observer, ignore
from videocolor.types import Array

__all__ = [
    "METRICS",
    "PSNR_CAP",
    "FilmScorer",
    "Metric",
    "ScoreOptions",
    "Scores",
    "parse_metrics",
    "parse_reference_frames",
    "score_film",
]


class FilmScorer:
    """Scores a film frame by frame. Holds a few frames and some counts, whatever the film's length.

    Temporal metrics take a reference frame as a predecessor, but no pair counts whose later frame is one.

    Args:
        options: what is measured.
    """

    def __init__(self, options: ScoreOptions = ScoreOptions()) -> None:  # noqa: B008  (frozen)
        self.options = options
        self._wanted: frozenset[str] = frozenset(options.metrics)
        self._lpips: Callable[[Array, Array], float] | None = None
        if "lpips_alex" in self._wanted and options.lpips_weights is not None:
            from videocolor.evaluation.lpips import LpipsAlex

            self._lpips = LpipsAlex.load(options.lpips_weights)
        self._pool = ThreadPoolExecutor(options.threads) if options.threads > 1 else None
        self._pending: deque[Future[FrameScores]] = deque()
        self._before: tuple[View, View] | None = None
        self._index = self._scored = 0
        self._totals = FilmTotals()

    def add(self, truth: Array, test: Array, *, reference: bool = False) -> None:
        """Take the film's next frame. The arrays are copied.

        Args:
            truth: (h, w, 3) R'G'B': uint8, uint16 (0..65535) or float 0..1.
            test: what a method made of it, of the same size and type.
            reference: the method was shown this frame's true colour.

        Raises:
            ValueError: size, shape or type of the two differ, or from one frame to the next.
        """
        if truth.shape != test.shape or truth.dtype != test.dtype or truth.ndim != 3 or truth.shape[2] != 3:
            raise ValueError(
                f"frame {self._index}: {truth.shape=} {truth.dtype=}, {test.shape=} {test.dtype=}: "
                "expected two (h, w, 3) pictures of one type"
            )
        if self._before is not None and self._before[0].rgb.shape != truth.shape:
            raise ValueError(f"frame {self._index}: {truth.shape=}, the frame before {self._before[0].rgb.shape}")
        now = View(truth.copy()), View(test.copy())
        task = FrameTask(
            *now,
            before=self._before if self._moves() else None,
            reference=reference,
            lpips=not reference and self._scored % self.options.lpips_every == 0,
        )
        self._before = now
        self._index += 1
        self._scored += not reference
        if self._pool is None:
            self._totals.add(self._measure(task))
            return
        self._pending.append(self._pool.submit(self._measure, task))
        while len(self._pending) > self.options.threads + 1:
            self._totals.add(self._pending.popleft().result())

    def _moves(self) -> bool:
        """Is motion measured between the last frame and the one that comes now?"""
        wanted = "warp_error" in self._wanted or "flicker" in self._wanted
        return wanted and (self._index - 1) % self.options.flow_every == 0

    def _measure(self, task: FrameTask) -> FrameScores:
        return measure(task, self._wanted, self.options.chroma_shift, self._lpips)

    def result(self) -> Scores:
        """The scores of the frames so far; the film ends here.

        Raises:
            ValueError: no frame was added.
        """
        if self._index == 0:
            raise ValueError("no frame was added")
        while self._pending:
            self._totals.add(self._pending.popleft().result())
        self.close()
        return self._totals.scores(self.options, self._wanted)

    def close(self) -> None:
        """End the threads; needed only where `result` is never reached."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def score_film(
    result: Path,
    truth: Path,
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
        truth: the same in true colours.
        options: what is measured; `chroma_shift` is taken from the result.
        reference_frames: places in the truth, from 0, whose true colour the method was shown.
        align: how frames are paired, see `videocolor.evaluation.pairing`.
        allow: misfits that are reported rather than refused.
        observer: hears of the progress.

    Raises:
        InputError: a film cannot be read, or they do not fit and that is not allowed.
        UsageError: a reference frame is not one of the truth.
    """
    references, began = frozenset(reference_frames), time.perf_counter()
    luma: int | None = None
    with FilmPairs(truth, result, align=align, allow=allow, threads=options.threads) as pairs:
        for message in pairs.warnings:
            observer(Event("warning", {"message": message}))
        scorer = FilmScorer(options.model_copy(update={"chroma_shift": pairs.chroma_shift}))
        try:
            for pair in pairs:
                scorer.add(pair.truth, pair.test, reference=pair.index in references)
                if pair.luma_diff is not None:
                    luma = max(luma or 0, pair.luma_diff)
                observer(Event("progress", {"stage": "score", "frames": pair.index + 1, "total": pairs.total}))
            count = pairs.alignment.pairs + pairs.alignment.unpaired_truth
            beyond = sorted(frame for frame in references if not 0 <= frame < count)
            if beyond:
                raise UsageError(f"reference frame {beyond[0]}: {truth} has frames 0..{count - 1}")
            scores = scorer.result()
        finally:
            scorer.close()
    scores = replace(
        scores,
        scoring_seconds_per_frame=(time.perf_counter() - began) / (scores.frames + scores.reference_frames),
        scoring_peak_memory_bytes=_peak_memory(),
        alignment=pairs.alignment,
    )
    return _with_luma(scores, luma, pairs.luma_rule, options)


def _peak_memory() -> int | None:
    """Greatest resident memory of this process so far, in bytes; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _with_luma(scores: Scores, luma: int | None, rule: LumaRule, options: ScoreOptions) -> Scores:
    """Put in what was found about stored luma."""
    if "luma_max_diff" not in options.metrics:
        return scores
    if luma is None:
        return replace(scores, not_measured={**scores.not_measured, "luma_max_diff": rule.text})
    reasons = {name: reason for name, reason in scores.not_measured.items() if name != "luma_max_diff"}
    return replace(scores, luma_max_diff=luma, luma_compared=rule.text, not_measured=reasons)
