"""What is measured on a film, and what comes out: the options and the result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

from pydantic import Field

from videocolor.config import Int, Section
from videocolor.errors import InputError, UsageError
from videocolor.evaluation import metrics, temporal
from videocolor.evaluation.pairing import Alignment
from videocolor.presets import suggest

__all__ = ["METRICS", "PSNR_CAP", "Metric", "ScoreOptions", "Scores", "parse_metrics", "parse_reference_frames"]

Metric = Literal[
    "psnr_rgb",
    "psnr_ab",
    "ssim",
    "ciede2000",
    "colorfulness",
    "cdc",
    "warp_error",
    "flicker",
    "edge_ciede2000",
    "reference_ciede2000",
    "lpips_alex",
    "luma_max_diff",
]
METRICS: Final[tuple[Metric, ...]] = get_args(Metric)
"""Everything that can be measured, in the order of the results."""
PSNR_CAP: Final = 100.0
"""dB: a frame's PSNR counts as at most this, for equal frames have an infinite one. Results say how many frames did."""


class ScoreOptions(Section):
    """What is measured, and how often."""

    metrics: tuple[Metric, ...] = METRICS
    """What to measure."""
    lpips_weights: Path | None = None
    """File of LPIPS-Alex weights; null: LPIPS is not measured."""
    lpips_every: Int = Field(10, ge=1)
    """LPIPS is measured on every so many scored frames, from the first on."""
    flow_every: Int = Field(5, ge=1)
    """Warp error and flicker are measured between every so many pairs of neighbouring frames, from the first on."""
    threads: Int = Field(1, ge=1)
    """Frames measured at once. The scores do not depend on it."""
    chroma_shift: tuple[Int, Int] = (1, 1)
    """Chroma grid (log2 of its subsampling) for `reference_ciede2000`; `score_film` takes the result's own."""


@dataclass(frozen=True)
class Scores:
    """Scores of one film; None is not measured, see `not_measured`. Every key of the JSON object is a field here."""

    frames: int = 0
    """Frames scored: reference frames are not among them."""
    reference_frames: int = 0
    psnr_rgb: float | None = None
    """dB, mean over frames of the frame's PSNR, each at most `psnr_cap`."""
    psnr_rgb_pooled: float | None = None
    """dB, of the mean squared error over all frames, at most `psnr_cap`."""
    psnr_rgb_capped_frames: int | None = None
    """Frames whose PSNR is above `psnr_cap` (equal frames: infinite) and counted as the cap."""
    psnr_ab: float | None = None
    """dB, as `psnr_rgb` over CIE a*b* with a peak of 255."""
    psnr_ab_pooled: float | None = None
    psnr_ab_capped_frames: int | None = None
    psnr_cap: float = PSNR_CAP
    ssim: float | None = None
    ciede2000_mean: float | None = None
    ciede2000_p90: float | None = None
    """90th percentile over all pixels of all scored frames (counted in bins of 0.01)."""
    ciede2000_frames_p90: float | None = None
    """90th percentile over frames of the frame's mean."""
    colorfulness: float | None = None
    """Hasler and Suesstrunk's M3 of the result."""
    colorfulness_truth: float | None = None
    colorfulness_abs: float | None = None
    """With absolute opponent values, as in released code; not the published metric."""
    colorfulness_abs_truth: float | None = None
    colorfulness_delta: float | None = None
    """Mean over frames of |colorfulness - colorfulness_truth|."""
    cdc: float | None = None
    cdc_truth: float | None = None
    cdc_delta: float | None = None
    """|cdc - cdc_truth|."""
    warp_error: float | None = None
    warp_error_truth: float | None = None
    warp_error_ratio: float | None = None
    """warp_error / warp_error_truth."""
    flicker: float | None = None
    flicker_truth: float | None = None
    warp_error_flow: str = temporal.FLOW
    """The flow of warp error and flicker, always on the truth's frames."""
    flow_every: int = 1
    """Every so many pairs of frames were measured."""
    flow_pairs: int = 0
    """Pairs of frames that warp error and flicker are means of."""
    edge_ciede2000: float | None = None
    edge_frames: int = 0
    """Frames that have a colour edge."""
    edge_thresholds: tuple[int, int] = metrics.EDGE_THRESHOLDS
    edge_pixels_at_480: float = metrics.EDGE_PIXELS
    reference_ciede2000: float | None = None
    reference_chroma_shift: tuple[int, int] = (1, 1)
    lpips_alex: float | None = None
    lpips_every: Int = 1
    lpips_frames: int = 0
    luma_max_diff: int | None = None
    luma_compared: str | None = None
    """How luma samples were compared: depth, and what was scaled."""
    seconds_per_frame: float | None = None
    """Of the run that made the result."""
    peak_memory_bytes: int | None = None
    """Of the run that made the result."""
    scoring_seconds_per_frame: float | None = None
    """Wall-clock time of the scoring itself, decoding included; None from `FilmScorer`."""
    scoring_peak_memory_bytes: int | None = None
    """Greatest resident memory of the process that scored, everything in it included; None from `FilmScorer`."""
    alignment: Alignment | None = None
    """How the frames of two files were paired."""
    not_measured: dict[str, str] = field(default_factory=dict)
    """Reason by key, for every metric that is None."""

    def as_dict(self) -> dict[str, Any]:
        """What the JSON object holds; no value is NaN or infinite."""
        return {
            name: value.as_dict()
            if isinstance(value, Alignment)
            else list(value)
            if isinstance(value, tuple)
            else value
            for name, value in vars(self).items()
        }

    def lines(self) -> list[str]:
        """The scores for a person, one a line."""
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

    def with_cost(self, seconds_per_frame: float | None, peak_memory_bytes: int | None) -> Scores:
        """The same scores with what the run that made the result cost."""
        given = {"seconds_per_frame": seconds_per_frame, "peak_memory_bytes": peak_memory_bytes}
        known = {name for name, value in given.items() if value is not None}
        reasons = {name: reason for name, reason in self.not_measured.items() if name not in known}
        return replace(
            self, seconds_per_frame=seconds_per_frame, peak_memory_bytes=peak_memory_bytes, not_measured=reasons
        )


def parse_metrics(text: str) -> tuple[Metric, ...]:
    """Names of metrics from `psnr_rgb,ssim`, in the order of `METRICS`.

    Raises:
        UsageError: an unknown name.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in METRICS:
            raise UsageError(f"--metrics {name}: unknown{suggest(name, METRICS)}; known: {', '.join(METRICS)}")
    if not names:
        raise UsageError(f"--metrics {text!r}: names none; known: {', '.join(METRICS)}")
    return tuple(metric for metric in METRICS if metric in names)


def parse_reference_frames(text: str) -> frozenset[int]:
    """Frame numbers from `0,50`, or from a file that holds one a line (`#` begins a comment).

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
