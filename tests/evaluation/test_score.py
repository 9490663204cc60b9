"""`videocolor score` from outside: one JSON object, exit codes, and FFmpeg's own filters as the judge."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from click.testing import CliRunner, Result
from media import make_film

from videocolor.cli import cli

KEYS = {
    "psnr_rgb", "psnr_ab", "ssim", "ciede2000_mean", "ciede2000_p90", "colorfulness", "colorfulness_abs",
    "colorfulness_delta", "cdc", "cdc_delta", "warp_error", "warp_error_truth", "warp_error_ratio",
    "warp_error_flow", "flicker", "flicker_truth", "edge_ciede2000", "reference_ciede2000", "lpips_alex",
    "luma_max_diff", "frames", "reference_frames", "seconds_per_frame", "peak_memory_bytes", "not_measured",
}  # fmt: skip


def score(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["score", *map(str, arguments)])


def colors(count: int = 8) -> list[list[np.ndarray]]:
    """Planes G, B, R of a pan over colors."""
    coarse = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    wide = cv2.resize(coarse, (96, 48), interpolation=cv2.INTER_CUBIC)
    return [[np.ascontiguousarray(wide[:, i : i + 64, c]) for c in range(3)] for i in range(count)]


@pytest.fixture
def films(tmp_path: Path) -> tuple[Path, Path]:
    """A film in RGB, and one whose colors are off by a noise that grows."""
    truth, result, rng = tmp_path / "truth.avi", tmp_path / "result.avi", np.random.default_rng(1)
    frames = make_film(truth, colors(), "utvideo", "gbrp")
    noisy = [
        [np.clip(plane + rng.normal(0, 4 + 3 * i, plane.shape), 0, 255).astype(np.uint8) for plane in frame]
        for i, frame in enumerate(frames)
    ]
    make_film(result, noisy, "utvideo", "gbrp")
    return truth, result


def test_one_json_object(films: tuple[Path, Path]) -> None:
    truth, result = films
    done = score(result, "--truth", truth, "--reference-frames", "0,4", "--json")
    assert done.exit_code == 0, done.output
    scores = json.loads(done.stdout, parse_constant=pytest.fail)  # NaN and Infinity are no JSON
    assert set(scores) >= KEYS
    assert (scores["frames"], scores["reference_frames"]) == (6, 2)
    assert scores["scoring_seconds_per_frame"] > 0
    assert scores["alignment"]["pairs"] == 8
    for name in scores["not_measured"]:
        assert scores[name] is None


def test_psnr_is_that_of_ffmpegs_filter(films: tuple[Path, Path], tmp_path: Path) -> None:
    truth, result = films
    log = tmp_path / "psnr.log"
    filters = f"[0:v][1:v]psnr=stats_file={log}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(result), "-i", str(truth)]
    subprocess.run([*command, "-lavfi", filters, "-f", "null", "-"], check=True, capture_output=True)
    frames = [float(value) for value in re.findall(r"mse_avg:([\d.]+)", log.read_text())]
    decibels = [float(value) for value in re.findall(r"psnr_avg:([\d.]+)", log.read_text())]
    scores = json.loads(score(result, "--truth", truth, "--metrics", "psnr_rgb", "--json").stdout)
    assert len(decibels) == 8
    assert scores["psnr_rgb"] == pytest.approx(np.mean(decibels), abs=0.006)  # the filter prints two digits
    assert scores["psnr_rgb_pooled"] == pytest.approx(10 * np.log10(255**2 / np.mean(frames)), abs=0.006)


def test_a_film_against_itself_in_yuv(tmp_path: Path) -> None:
    make_film(tmp_path / "a.mkv", 6)
    done = score(tmp_path / "a.mkv", "--truth", tmp_path / "a.mkv", "--json")
    scores = json.loads(done.stdout, parse_constant=pytest.fail)
    assert (scores["psnr_rgb"], scores["psnr_rgb_capped_frames"], scores["luma_max_diff"]) == (100, 6, 0)
    assert scores["reference_chroma_shift"] == [1, 1]


def test_a_table_for_people(films: tuple[Path, Path]) -> None:
    truth, result = films
    done = score(result, "--truth", truth, "--metrics", "psnr_rgb,ssim")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert float(lines["psnr_rgb"]) > 20
    assert lines["flicker"] == "not measured (not asked for)"
    assert lines["pairs"] == "8"


def test_reference_frames_of_a_file(films: tuple[Path, Path], tmp_path: Path) -> None:
    truth, result = films
    listed = tmp_path / "hints.txt"
    listed.write_text("0  # the still\n\n7\n")
    cheap = ("--metrics", "psnr_rgb,reference_ciede2000", "--json")
    from_file, given = (
        json.loads(score(result, "--truth", truth, "--reference-frames", frames, *cheap).stdout)
        for frames in (listed, "0,7")
    )
    assert from_file["reference_frames"] == 2
    assert from_file["psnr_rgb"] == given["psnr_rgb"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("{result}",), 2, "--truth"),
        (("{result}", "--truth", "none.mkv"), 1, "none.mkv: no such file"),
        (("none", "--truth", "{truth}"), 1, "none"),
        (("{result}", "--truth", "{truth}", "--metrics", "psnr"), 2, "did you mean psnr_ab"),
        (("{result}", "--truth", "{truth}", "--metrics", ","), 2, "names none"),
        (("{result}", "--truth", "{truth}", "--reference-frames", "1,b"), 2, "'b'"),
        (("{result}", "--truth", "{truth}", "--reference-frames", "8"), 2, "reference frame 8"),
        (("{result}", "--truth", "{truth}", "--align", "guess"), 2, "guess"),
        (("{result}", "--truth", "{truth}", "--flow-every", "0"), 2, "flow-every"),
        (("{result}", "--truth", "{truth}", "--lpips-weights", "{truth}"), 1, "not a safetensors file"),
        (("{short}", "--truth", "{truth}"), 1, "short.avi: 5 frames, the truth"),
    ],
)
def test_what_is_wrong_is_said(
    films: tuple[Path, Path], tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    truth, result = films
    make_film(tmp_path / "short.avi", colors(5), "utvideo", "gbrp")
    places = {"truth": truth, "result": result, "short": tmp_path / "short.avi"}
    done = score(*(argument.format(**places) for argument in arguments), "--json")
    assert done.exit_code == code, done.output
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    if code == 1:
        assert json.loads(done.stdout)["exit_code"] == 1
