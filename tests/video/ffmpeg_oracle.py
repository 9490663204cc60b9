"""FFmpeg's command as the independent judge of what a film holds."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

__all__ = ["NOISE", "TONE", "ffmpeg", "frames_of", "packets_of", "shown"]

NOISE = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=1.2")
TONE = ("-f", "lavfi", "-i", "sine=440:r=48000:d=1.2")


def ffmpeg(*arguments: str | Path) -> str:
    """Run FFmpeg's command; return what it prints. Skips the test where there is no FFmpeg."""
    exe = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    done = subprocess.run(
        [exe, "-v", "error", "-y", "-nostdin", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def frames_of(film: Path, *filters: str) -> list[tuple[Fraction, str]]:
    """Return (seconds, hash of luma) of each frame of a film's picture, as FFmpeg decodes it."""
    chain = ",".join((*filters, "extractplanes=y"))
    text = ffmpeg(
        *("-copyts", "-i", film, "-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "demux"),
        *("-vf", chain, "-f", "framehash", "-hash", "md5", "-"),
    )
    base = next(Fraction(line.split()[2]) for line in text.splitlines() if line.startswith("#tb 0"))
    rows = [line.split(",") for line in text.splitlines() if line and not line.startswith("#")]
    return [(int(row[2]) * base, row[5].strip()) for row in rows]


def packets_of(film: Path, stream: str = "a", *, coded: bool = True) -> list[str]:
    """Return the hash of each of a kind's streams, as stored or decoded."""
    codec = ("-c", "copy") if coded else ("-c:a", "pcm_s32le")
    text = ffmpeg("-i", film, "-map", f"0:{stream}", *codec, "-f", "streamhash", "-hash", "md5", "-")
    return [line.split("=")[-1] for line in text.splitlines() if line]


def shown(film: Path, seconds: float = 10) -> str:
    """Return FFmpeg's account of a film, and of each frame's flags and side data."""
    exe = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    command = [exe, "-nostdin", "-t", str(seconds), "-i", str(film), "-map", "0:v:0", "-vf", "showinfo"]
    return subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True, timeout=120).stderr
