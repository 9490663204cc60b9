"""The true rate of a film, by its timestamps and by its content."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from pairs_helpers import color_film, moving_planes

from videocolor.datasets.pairs.first_pass import RateMeter, RateReport, look_at_film, refusal
from videocolor.datasets.pairs.settings import InputConfig, PairsConfig


def measure(picture: Callable[[int], int], count: int = 600, noise: float = 1.0, rate: int = 60) -> RateReport:
    """Frame i shows picture number `picture(i)`, with fresh noise on each as a codec leaves it."""
    random = np.random.default_rng(5)
    meter = RateMeter()
    for index in range(count):
        luma = moving_planes(picture(index))[0]
        meter.push(np.clip(luma + random.normal(0, noise, luma.shape), 0, 255).astype(np.uint8), 8)
    return meter.report(np.arange(count, dtype=np.int64), Fraction(1, rate))


@pytest.mark.parametrize(
    ("picture", "fps"),
    [
        pytest.param(lambda i: i, 60.0, marks=pytest.mark.slow),
        pytest.param(lambda i: i // 2, 30.0, marks=pytest.mark.slow),
        (lambda i: i * 2 // 5, 24.0),
        pytest.param(lambda i: i // 5, 12.0, marks=pytest.mark.slow),
        pytest.param(lambda i: i * 5 // 6, 50.0, marks=pytest.mark.slow),
    ],
    ids=["true 60", "30 doubled", "24 by 3:2", "12 by fives", "50 in 60"],
)
def test_repeats_are_seen_through_noise(picture: Callable[[int], int], fps: float) -> None:
    report = measure(picture)
    assert report.stamped == pytest.approx(60)
    assert report.fps == pytest.approx(fps, rel=0.03)


@pytest.mark.slow
def test_a_still_picture_says_nothing() -> None:
    report = measure(lambda _i: 0)
    assert report.judged == 0
    assert report.fps == pytest.approx(60)


@pytest.mark.slow
def test_standing_still_for_a_while_is_no_repeat() -> None:
    report = measure(lambda i: min(i, 200) if i < 400 else i - 200)
    assert report.repeats < 0.01


@pytest.mark.slow
def test_a_few_repeats_are_counted_and_not_refused() -> None:
    report = measure(lambda i: i - i // 100)
    assert 0.005 < report.repeats <= 0.02
    assert refusal(report, InputConfig()) is None


@pytest.mark.slow
def test_the_codec_does_not_hide_repeats(tmp_path: Path) -> None:
    """Twenty-five pictures a second shown at fifty, through x264."""
    color_film(tmp_path / "a.mp4", 4, Fraction(50), repeat=2)
    report = look_at_film(tmp_path / "a.mp4", PairsConfig()).rate
    assert report.stamped == pytest.approx(50, rel=1e-3)
    assert report.fps == pytest.approx(25, rel=0.05)


@pytest.mark.parametrize(
    ("report", "settings", "parts"),
    [
        (RateReport(60.0, 500, 0.0), InputConfig(), None),
        (RateReport(60000 / 1001, 500, 0.0), InputConfig(), None),
        (RateReport(60000 / 1001, 500, 0.02), InputConfig(), None),
        (RateReport(58.8, 500, 0.0), InputConfig(), None),
        (RateReport(58.79, 500, 0.0), InputConfig(), ["58.79", "min_fps is 60", "--set input.min_fps=58"]),
        (RateReport(30.0, 500, 0.0), InputConfig(min_fps=20), None),
        (RateReport(60.0, 500, 0.5), InputConfig(), ["60.00", "30.00 by content", "50%", "--set input.min_fps=30"]),
        (RateReport(60.0, 500, 0.03), InputConfig(), ["58.20", "3%"]),
        (RateReport(120.0, 500, 0.4), InputConfig(), None),
    ],
)
def test_refusal(report: RateReport, settings: InputConfig, parts: list[str] | None) -> None:
    message = refusal(report, settings)
    if parts is None:
        assert message is None
    else:
        assert message is not None
        for part in parts:
            assert part in message


def test_timestamps_rule_not_the_container(tmp_path: Path) -> None:
    """A stream that states 60 and whose frames come 30 a second."""
    color_film(tmp_path / "a.mkv", rate=Fraction(60), pts=[2 * i for i in range(90)], time_base=Fraction(1, 60))
    report = look_at_film(tmp_path / "a.mkv", PairsConfig()).rate
    assert report.stamped == pytest.approx(30, rel=0.01)


def test_ten_bits_are_measured_alike() -> None:
    eight, ten = RateMeter(), RateMeter()
    for index in range(120):
        luma = moving_planes(index // 2)[0]
        eight.push(luma, 8)
        ten.push(luma.astype(np.uint16) << 2, 10)
    pts = np.arange(120, dtype=np.int64)
    assert eight.report(pts, Fraction(1, 60)) == ten.report(pts, Fraction(1, 60))
