"""Scores of films: the stream against plain loops over lists, what is left out, what is not measured."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from videocolor.color import lab_of
from videocolor.evaluation.metrics import METRICS, temporal
from videocolor.evaluation.metrics.lab import ciede2000
from videocolor.evaluation.metrics.pixels import colorfulness
from videocolor.evaluation.scoring import FilmScorer, ScoreOptions, Scores

Array = np.ndarray


def film(count: int = 9, shape: tuple[int, int] = (48, 64), seed: int = 0) -> tuple[list[Array], list[Array]]:
    """A pan over smooth colors, and the same with wrong colors that change from frame to frame."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    wide = cv2.resize(coarse, (shape[1] + 2 * count, shape[0]), interpolation=cv2.INTER_CUBIC)
    truth = [np.ascontiguousarray(wide[:, 2 * i : 2 * i + shape[1]]) for i in range(count)]
    tints = rng.normal(0, 12, (count, 1, 1, 3))
    test = [np.clip(np.rint(t + tint), 0, 255).astype(np.uint8) for t, tint in zip(truth, tints, strict=True)]
    return truth, test


def score(truth: Sequence[Array], test: Sequence[Array], references: tuple[int, ...] = (), **options: object) -> Scores:
    scorer = FilmScorer(ScoreOptions(**options))  # type: ignore[arg-type]
    for index, (a, b) in enumerate(zip(truth, test, strict=True)):
        scorer.add(a, b, reference=index in references)
    return scorer.result()


def consistency(frames: Sequence[Array], references: tuple[int, ...] = ()) -> float:
    """CDC by its definition."""
    shares = [temporal.histograms(frame) for frame in frames]
    steps = [
        [temporal.jensen_shannon(shares[i - t], shares[i]).mean() for i in range(t, len(frames)) if i not in references]
        for t in (1, 2, 4)
    ]
    return float(np.mean([np.mean(step) for step in steps]))


def test_means_over_frames_are_those_of_scikit_image() -> None:
    truth, test = film()
    scores = score(truth, test)
    pairs = list(zip(truth, test, strict=True))
    deltas = [deltaE_ciede2000(rgb2lab(a), rgb2lab(b)) for a, b in pairs]
    assert scores["frames"] == 9
    assert scores["psnr_rgb"] == pytest.approx(np.mean([peak_signal_noise_ratio(a, b) for a, b in pairs]), abs=1e-9)
    assert scores["ssim"] == pytest.approx(
        np.mean([structural_similarity(a, b, channel_axis=2) for a, b in pairs]), abs=1e-6
    )
    assert scores["ciede2000_mean"] == pytest.approx(np.mean(deltas), abs=0.01)
    assert scores["ciede2000_p90"] == pytest.approx(np.percentile(deltas, 90), abs=0.02)
    maps = [ciede2000(lab_of(a), lab_of(b)) for a, b in pairs]
    assert scores["ciede2000_p90"] == pytest.approx(np.percentile(maps, 90), abs=0.002)  # a fifth of a bin
    assert scores["ciede2000_frames_p90"] == pytest.approx(np.percentile([d.mean() for d in deltas], 90), abs=0.01)
    pooled = np.mean([(a.astype(float) - b) ** 2 for a, b in pairs])
    assert scores["psnr_rgb_pooled"] == pytest.approx(10 * np.log10(255**2 / pooled), abs=1e-9)
    assert scores["psnr_rgb_pooled"] != pytest.approx(scores["psnr_rgb"], abs=0.01)
    assert scores["cdc"] == pytest.approx(consistency(test), abs=1e-15)
    assert scores["cdc_delta"] == pytest.approx(abs(consistency(test) - consistency(truth)), abs=1e-15)
    delta = [abs(colorfulness(a)[0] - colorfulness(b)[0]) for a, b in pairs]
    assert scores["colorfulness_delta"] == pytest.approx(np.mean(delta), abs=1e-9)


def test_reference_frames_are_left_out() -> None:
    truth, test = film()
    scores = score(truth, test, references=(0, 4))
    kept = [i for i in range(9) if i not in (0, 4)]
    assert (scores["frames"], scores["reference_frames"]) == (7, 2)
    assert scores["psnr_rgb"] == pytest.approx(
        np.mean([peak_signal_noise_ratio(truth[i], test[i]) for i in kept]), abs=1e-9
    )
    at = [score([truth[i]], [test[i]], (0,))["reference_ciede2000"] for i in (0, 4)]
    assert scores["reference_ciede2000"] == pytest.approx(np.mean(at), abs=1e-9)
    assert scores["cdc"] == pytest.approx(consistency(test, (0, 4)), abs=1e-15)
    assert scores["cdc"] != score(truth, test)["cdc"]
    # The frames that a method copies do not help it: whatever it makes of them, the means stay.
    copied = [truth[i] if i in (0, 4) else test[i] for i in range(9)]
    again = score(truth, copied, references=(0, 4))
    assert again["reference_ciede2000"] == 0
    for name in ("psnr_rgb", "ssim", "ciede2000_mean", "ciede2000_p90", "colorfulness", "edge_ciede2000"):
        assert again[name] == scores[name]


def crossing(count: int) -> tuple[list[Array], list[Array]]:
    """A square that crosses a still background: what it hides in a frame it shows in the next."""
    rng = np.random.default_rng(3)
    ground, square = (
        cv2.GaussianBlur(rng.integers(0, 256, (*shape, 3), dtype=np.uint8), (0, 0), 1.5)
        for shape in ((64, 96), (30, 30))
    )
    truth = []
    for i in range(count):
        frame = ground.copy()
        frame[16:46, 8 + 5 * i : 38 + 5 * i] = square
        truth.append(frame)
    tints = rng.normal(0, 12, (count, 1, 1, 3))
    return truth, [np.clip(np.rint(t + tint), 0, 255).astype(np.uint8) for t, tint in zip(truth, tints, strict=True)]


@pytest.mark.parametrize("references", [(), (0, 3)])
def test_temporal_scores_of_every_pair(references: tuple[int, ...]) -> None:
    truth, test = crossing(6)
    scores = score(truth, test, references, flow_every=1)
    warp: list[tuple[float, float]] = []
    flick: list[tuple[float, float]] = []
    for i in range(1, 6):
        if i in references:
            continue
        forward, backward = temporal.truth_flow(truth[i - 1], truth[i])
        hidden = temporal.occluded(forward, backward)
        warp.append(tuple(temporal.warp_error(f[i - 1], f[i], forward, hidden) for f in (test, truth)))  # type: ignore[arg-type]
        hidden = temporal.occluded(backward, forward)
        flick.append(tuple(temporal.flicker(lab_of(f[i - 1]), lab_of(f[i]), backward, hidden) for f in (test, truth)))  # type: ignore[arg-type]
    assert scores["flow_pairs"] == len(warp)
    assert (scores["warp_error"], scores["warp_error_truth"]) == pytest.approx(tuple(np.mean(warp, axis=0)), abs=1e-12)
    assert scores["warp_error_ratio"] == pytest.approx(np.mean(warp, axis=0)[0] / np.mean(warp, axis=0)[1])
    assert (scores["flicker"], scores["flicker_truth"]) == pytest.approx(tuple(np.mean(flick, axis=0)), abs=1e-12)
    assert scores["warp_error_flow"] == "dis-medium"


def test_sampling_is_said() -> None:
    truth, test = film(12)
    scores = score(truth, test)
    assert (scores["flow_every"], scores["flow_pairs"]) == (5, 3)  # frames 1, 6 and 11 against those before
    assert score(truth, test, flow_every=2)["flow_pairs"] == 6


def test_equal_films() -> None:
    """Nothing is infinite, nothing is capped in silence."""
    truth, _ = film()
    scores = score(truth, truth, references=(0,), flow_every=1)
    assert (scores["psnr_rgb"], scores["psnr_rgb_pooled"], scores["psnr_ab"]) == (100, 100, 100)
    assert (scores["psnr_cap"], scores["psnr_rgb_capped_frames"], scores["psnr_ab_capped_frames"]) == (100, 8, 8)
    assert (scores["ssim"], scores["ciede2000_mean"], scores["ciede2000_p90"], scores["edge_ciede2000"]) == (1, 0, 0, 0)
    assert (scores["colorfulness_delta"], scores["cdc_delta"], scores["warp_error_ratio"]) == (0, 0, 1)
    assert scores["flicker"] == scores["flicker_truth"]
    json.dumps(scores.as_dict(), allow_nan=False)


def test_one_equal_frame_does_not_hide_the_others() -> None:
    truth, test = film(4)
    test[2] = truth[2]
    scores = score(truth, test)
    rest = [peak_signal_noise_ratio(truth[i], test[i]) for i in (0, 1, 3)]
    assert scores["psnr_rgb"] == pytest.approx((sum(rest) + 100) / 4)
    assert scores["psnr_rgb_capped_frames"] == 1


def test_gray_does_not_win() -> None:
    truth, _ = film()
    gray = [np.repeat(np.rint(t.mean(axis=2, keepdims=True)).astype(np.uint8), 3, axis=2) for t in truth]
    scores = score(truth, gray)
    assert scores["colorfulness"] == 0
    assert scores["colorfulness_delta"] == pytest.approx(scores["colorfulness_truth"])
    assert scores["flicker"] == pytest.approx(0, abs=1e-4)
    assert scores["flicker_truth"] is not None and scores["flicker_truth"] > 0.1


def test_the_number_of_threads_changes_nothing() -> None:
    truth, test = film(20)
    one, three = (score(truth, test, (0,), threads=n, flow_every=2).as_dict() for n in (1, 3))
    assert one == three


def test_arrays_may_be_used_again() -> None:
    truth, test = film()
    scorer, buffer = FilmScorer(ScoreOptions(threads=2)), np.empty_like(truth[0])
    for a, b in zip(truth, test, strict=True):
        np.copyto(buffer, b)
        scorer.add(a, buffer)
    buffer[:] = 0
    assert scorer.result().as_dict() == score(truth, test).as_dict()


def test_deeper_pictures_score_alike() -> None:
    truth, test = film(5)
    deep = score(*([f.astype(np.uint16) * 257 for f in frames] for frames in (truth, test)))
    for name, value in score(truth, test).as_dict().items():
        if isinstance(value, float):
            assert deep[name] == pytest.approx(value, rel=1e-3, abs=1e-4), name


def test_what_cannot_be_measured_says_why() -> None:
    flat = [np.full((20, 21, 3), 90, np.uint8)] * 3
    scores = score(flat, flat, references=(0,)).as_dict()
    for name in ("cdc", "cdc_delta", "warp_error_ratio", "edge_ciede2000", "lpips_alex", "luma_max_diff"):
        assert scores[name] is None
        assert scores["not_measured"][name]
    assert "five frames" in scores["not_measured"]["cdc"]
    assert "color edges" in scores["not_measured"]["edge_ciede2000"]
    assert "--lpips-weights" in scores["not_measured"]["lpips_alex"]
    assert "warp error is 0" in scores["not_measured"]["warp_error_ratio"]
    none = score(flat, flat, references=(0, 1, 2))
    assert (none["frames"], none["psnr_rgb"], none.not_measured["psnr_rgb"]) == (
        0,
        None,
        "every frame is a reference frame",
    )
    assert none["reference_ciede2000"] == 0
    small = score([f[:5, :5] for f in flat], [f[:5, :5] for f in flat])
    assert "7 pixels" in small.not_measured["ssim"]
    assert "16 pixels" in small.not_measured["flicker"]
    assert {name for name, value in scores.items() if value is None} - {"alignment"} == set(scores["not_measured"])


def test_only_what_was_asked_for() -> None:
    truth, test = film(6)
    scores = score(truth, test, metrics=("ssim",))
    measured = {n for n, v in scores.as_dict().items() if isinstance(v, float)}
    assert measured == {"ssim"}
    assert scores.not_measured["psnr_rgb"] == scores.not_measured["flicker_truth"] == "not asked for"
    every = score(truth, test)
    for metric in METRICS:
        alone = score(truth, test, metrics=(metric,)).as_dict()
        for name, value in alone.items():
            if isinstance(value, float):
                assert value == every[name], (metric, name)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_film() -> None:
    truth, test = film(8, (32, 40))

    def peak(count: int) -> int:
        scorer = FilmScorer(ScoreOptions(flow_every=20))
        tracemalloc.start()
        for i in range(count):
            scorer.add(truth[i % 8], test[i % 8])
        scorer.result()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(20)
    few, many = peak(20), peak(320)
    assert many - few < 300 * 32 * 40 * 3 / 4  # a quarter of what keeping one picture a frame would take


def test_pictures_that_do_not_fit_are_refused() -> None:
    truth, test = film(2)
    scorer = FilmScorer()
    for bad in (test[0][:-1], test[0].astype(np.uint16), test[0][..., 0]):
        with pytest.raises(ValueError, match="expected two"):
            scorer.add(truth[0], bad)
    unit = truth[0] / 255
    for wrong, message in (
        (np.nan, "not finite"),
        (1.5, "clip it"),
        (255, "0..255; expected float in 0..1: divide by 255"),
    ):
        broken = np.where(np.arange(unit.shape[1])[:, None] == 3, wrong, unit)
        with pytest.raises(ValueError, match=re.escape(message)):
            scorer.add(unit, broken)
    with pytest.raises(ValueError, match="is int64"):
        scorer.add(truth[0].astype(np.int64), test[0].astype(np.int64))
    with pytest.raises(ValueError, match="no frame"):
        scorer.result()
    scorer.add(truth[0], test[0])
    with pytest.raises(ValueError, match="the frame before"):
        scorer.add(truth[1][:-1], test[1][:-1])


def test_cost_of_the_run() -> None:
    truth, test = film(2)
    scores = score(truth, test).with_values(seconds_per_frame=0.5)
    assert scores["seconds_per_frame"] == 0.5
    assert "seconds_per_frame" not in scores.not_measured
    assert scores.not_measured["peak_memory_bytes"]
