"""Which frames become pairs: bounds, shots, sharpness, uniformity, and that the seed fixes it all."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videocolor.datasets.pairs.sampling import Choice, Timeline, choose_pairs
from videocolor.datasets.pairs.settings import SamplingConfig


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Films of any rhythm: constant, jittered, with gaps and with a clock that does not start at 0."""
    base = draw(st.sampled_from([Fraction(1, 60), Fraction(1, 1000), Fraction(1, 90000), Fraction(1001, 60000)]))
    steps = draw(st.lists(st.floats(0.004, 0.9), min_size=2, max_size=120))
    first = draw(st.integers(-5000, 10**9))
    ticks = np.cumsum([0, *(max(1, int(Fraction(str(round(step, 4))) / base)) for step in steps)])
    count = len(ticks)
    cuts = draw(st.sets(st.integers(1, count - 1), max_size=4))
    sharp = np.array(draw(st.lists(st.floats(0, 100), min_size=count, max_size=count)), np.float32)
    usable = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    return Timeline((first + ticks).astype(np.int64), sharp, usable, base, (0, *sorted(cuts)))


@pytest.mark.slow
@settings(max_examples=150)
@given(
    line=timelines(),
    low=st.sampled_from([0.5, 1, 2.5]),
    length=st.sampled_from([0, 0.3, 4]),
    direction=st.sampled_from(["either", "before", "after"]),
    window=st.sampled_from([0, 0.1, 1.5]),
    seed=st.integers(0, 5),
)
def test_bounds_and_shots_hold_in_presentation_time(
    line: Timeline, low: float, length: float, direction: str, window: float, seed: int
) -> None:
    chosen = SamplingConfig(
        rate=3,
        min_s=low,
        max_s=low + length,
        direction=direction,  # type: ignore[arg-type]
        window_s=window,
        seed=seed,
    )
    choices, _ = choose_pairs(line, chosen, "key")
    for choice in choices:
        apart = (int(line.pts[choice.hint]) - int(line.pts[choice.original])) * line.time_base
        assert Fraction(str(low)) <= abs(apart) <= Fraction(str(low + length))
        assert (apart > 0) or direction != "after"
        assert (apart < 0) or direction != "before"
        start, end = line.shots()[choice.shot]
        assert start <= choice.original < end and start <= choice.hint < end
        assert line.usable[choice.original] and line.usable[choice.hint]
    assert choices == choose_pairs(line, chosen, "key")[0]
    assert len(set(choices)) == len(choices)


def steady(count: int, rate: int = 60, starts: tuple[int, ...] = (0,), sharp: np.ndarray | None = None) -> Timeline:
    pts = np.arange(count, dtype=np.int64)
    sharp = np.ones(count, np.float32) if sharp is None else sharp
    return Timeline(pts, sharp, np.ones(count, bool), Fraction(1, rate), starts)


def test_the_stated_rate_is_drawn() -> None:
    choices, skipped = choose_pairs(steady(60 * 600), SamplingConfig(rate=0.5), "k")
    assert len(choices) + sum(skipped.values()) == pytest.approx(300, abs=1)
    assert len(choices) >= 298, "a shot of ten minutes has room nearly everywhere"
    times = sorted(choice.original / 60 for choice in choices)
    gaps = [b - a for a, b in pairwise(times)]
    assert max(gaps) < 4.1, "one in each equal part of the shot"


def test_offsets_are_uniform() -> None:
    """Kolmogorov-Smirnov by hand: the largest gap between the drawn offsets and the uniform ones."""
    line = steady(60 * 4000)
    choices, _ = choose_pairs(line, SamplingConfig(rate=1, window_s=0), "k")
    offsets = np.array([(c.hint - c.original) / 60 for c in choices])
    assert 0.46 < (offsets > 0).mean() < 0.54
    sizes = np.sort(np.abs(offsets))
    expected = (sizes - 1) / 4
    assert np.abs(expected - np.arange(len(sizes)) / len(sizes)).max() < 1.63 / np.sqrt(len(sizes)) + 1 / 240


def test_the_sharpest_of_the_window_is_taken() -> None:
    random = np.random.default_rng(3)
    sharp = random.random(60 * 60).astype(np.float32)
    line = steady(60 * 60, sharp=sharp)
    plain, _ = choose_pairs(line, SamplingConfig(rate=1, window_s=0), "k")
    best, _ = choose_pairs(line, SamplingConfig(rate=1, window_s=0.1), "k")
    assert len(plain) >= 55
    for choice in best:  # the window is seven frames wide; the chosen one is the sharpest of some seven around it
        runs = [sharp[max(0, choice.original - 6 + k) : choice.original + 1 + k] for k in range(7)]
        assert any(sharp[choice.original] == run.max() for run in runs)
    assert sharp[[c.original for c in best]].mean() > 0.8 > 0.6 > sharp[[c.original for c in plain]].mean()
    assert sharp[[c.hint for c in best]].mean() > 0.75


def test_sharpness_never_breaks_the_bounds() -> None:
    """Offsets of exactly one second, and the sharpest frames of the window lie just outside."""
    sharp = np.where(np.arange(600) % 60 == 1, 100, 1).astype(np.float32)
    line = steady(600, sharp=sharp)
    choices, _ = choose_pairs(line, SamplingConfig(rate=5, min_s=1, max_s=1, window_s=0.2), "k")
    assert choices
    assert {abs(choice.hint - choice.original) for choice in choices} == {60}


def test_shots_do_not_change_each_other() -> None:
    """What is drawn from a shot depends on its place in the list and its times alone."""
    one, _ = choose_pairs(steady(1200, starts=(0, 600)), SamplingConfig(rate=2), "k")
    other, _ = choose_pairs(steady(1800, starts=(0, 600, 1200)), SamplingConfig(rate=2), "k")
    assert [c for c in other if c.shot < 2] == one
    assert {c.shot for c in other} == {0, 1, 2}


def test_seed_and_source_decide() -> None:
    line = steady(1800)
    base, _ = choose_pairs(line, SamplingConfig(), "a")
    assert base != choose_pairs(line, SamplingConfig(), "b")[0]
    assert base != choose_pairs(line, SamplingConfig(seed=1), "a")[0]
    assert all(isinstance(choice, Choice) for choice in base)


def test_short_shots_are_counted() -> None:
    choices, skipped = choose_pairs(steady(150, starts=(0, 50, 100)), SamplingConfig(rate=5), "k")
    assert not choices
    assert skipped == {"shots shorter than min_s": 3}
