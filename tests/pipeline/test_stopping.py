"""Stopped in the middle: Ctrl-C and SIGTERM leave no film, no temporary file, and the right exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from media import make_film


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough that a signal meets it at work: noise is slow to encode."""
    path = tmp_path_factory.mktemp("long") / "long.mkv"
    make_film(path, frames=150, codec="mpeg4", size=(640, 480), options={"qscale": "5"})
    return path


@pytest.mark.parametrize(
    ("sent", "code"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)]
)
def test_a_signal_stops_cleanly(sent: signal.Signals, code: int, long_film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    command = [sys.executable, "-m", "videocolor", "colorize", str(long_film), str(target), "--model", "constant"]
    process = subprocess.Popen(
        [*command, "--preset", "slow", "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    while json.loads(process.stdout.readline())["event"] != "progress":
        assert process.poll() is None, "ended before it could be stopped"
    process.send_signal(sent)
    out, err = process.communicate(timeout=200)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
    assert '"done"' not in out


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    """Peak memory of 60 minutes within 10 % of 5 minutes, at 320x180."""
    peaks = {minutes: peak_memory(tmp_path, minutes) for minutes in (5, 60)}
    assert peaks[60] <= 1.1 * peaks[5], peaks


def peak_memory(folder: Path, minutes: int) -> int:
    """Peak resident kilobytes of a run with the packaged network over a synthetic film."""
    film, target = folder / f"{minutes}.mkv", folder / f"{minutes}-color.mkv"
    write_synthetic(film, minutes * 60 * 25)
    program = (
        "import resource, sys; from pathlib import Path; import videocolor;"
        "config = videocolor.ColorizeConfig.load(None, ['output.preset=ultrafast']);"
        f"videocolor.colorize_video(Path({str(film)!r}), Path({str(target)!r}), config);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=3000
    )
    film.unlink()
    target.unlink()
    return int(result.stdout.split()[-1])


def write_synthetic(path: Path, frames: int) -> None:
    """A gray film of moving texture with a cut every eight seconds, 25 frames a second."""
    from fractions import Fraction

    import av
    import cv2
    import numpy as np

    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "30"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for index in range(frames):
            if index % 200 == 0:
                noise = np.random.default_rng(index).integers(0, 255, (20, 60), dtype=np.uint8)
                wide = cv2.resize(noise, (720, 180), interpolation=cv2.INTER_CUBIC)
            left = 2 * (index % 200)
            gray = np.full((270, 320), 128, np.uint8)
            gray[:180] = wide[:, left : left + 320]
            frame = av.VideoFrame.from_ndarray(gray, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
