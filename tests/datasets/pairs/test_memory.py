"""Memory does not grow with the film: the peak of a build, for a film and for one six times as long."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media import planes_of
from pairs_helpers import moving_planes

ROOT = Path(__file__).parents[3]
SIZE, RATE, PIECE = (320, 180), 30, 10
PEAK = """
import resource, sys
from pathlib import Path
from pairs_helpers import config
from videocolor.datasets.pairs.build import build_pairs
result = build_pairs([Path(sys.argv[1])], Path(sys.argv[2]), config("input.min_fps=20"))
assert result.ok, result
print(sum(result.decisions.values()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def looped_film(path: Path, seconds: int) -> Path:
    """Make a film of any length, ten seconds of which were encoded and are repeated packet by packet."""
    piece = path.with_name("piece.mkv")
    if not piece.exists():
        with av.open(str(piece), "w") as out:
            options = {"crf": "26", "preset": "ultrafast", "g": "60", "bf": "0"}
            stream: Any = out.add_stream("libx264", rate=RATE, options=options)
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
            for index in range(PIECE * RATE):
                frame = av.VideoFrame(*SIZE, "yuv420p")
                for view, plane in zip(planes_of(frame), moving_planes(index, index // 150, SIZE), strict=True):
                    view[...] = plane
                frame.pts, frame.time_base = index, Fraction(1, RATE)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    with av.open(str(path), "w") as out:
        target: Any = None
        for turn in range(seconds // PIECE):
            with av.open(str(piece)) as source:
                video = source.streams.video[0]
                target = target or out.add_stream_from_template(video)
                shift = int(turn * PIECE / video.time_base)
                for packet in source.demux(video):
                    if packet.size:
                        packet.pts, packet.dts = packet.pts + shift, packet.pts + shift
                        packet.stream = target
                        out.mux(packet)
    return path


def peak(folder: Path, seconds: int) -> tuple[int, int]:
    """(pairs, peak resident kilobytes) of a build in a process of its own."""
    film = looped_film(folder / f"{seconds}.mkv", seconds)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    arguments = [sys.executable, "-c", PEAK, str(film), str(folder / f"pairs{seconds}")]
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    pairs, kilobytes = map(int, done.stdout.split())
    return pairs, kilobytes


def compare(folder: Path, short: int, long: int) -> None:
    (few, low), (many, high) = peak(folder, short), peak(folder, long)
    assert many > 4 * few > 0
    assert np.isclose(low, high, rtol=0.10), f"{low} kB for {short} s, {high} kB for {long} s"
    sys.stdout.write(f"peak {low / 1024:.0f} MB for {short} s, {high / 1024:.0f} MB for {long} s\n")  # -s shows it


@pytest.mark.slow
def test_memory_does_not_grow(tmp_path: Path) -> None:
    compare(tmp_path, 10, 60)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_memory_of_an_hour(tmp_path: Path) -> None:
    compare(tmp_path, 600, 3600)
