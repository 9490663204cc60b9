"""Damaged films: never a traceback, a hang, a partial file, or a silently shorter film.

A seeded corpus of mutated files goes through the command as a user would run it. CI takes a few of each
kind; `-m slow` all of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from media import make_film

FRAMES = 24
CONTAINERS = ("mp4", "mkv", "mov", "avi", "ts")


def truncated(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data[: int(len(data) * rng.uniform(0.02, 0.98))]


def flipped(data: bytearray, rng: np.random.Generator) -> bytearray:
    for place in rng.integers(0, len(data), size=int(rng.integers(1, 40))):
        data[place] ^= 1 << int(rng.integers(0, 8))
    return data


def zeroed(data: bytearray, rng: np.random.Generator) -> bytearray:
    start = int(rng.integers(0, len(data)))
    size = int(rng.integers(1, len(data) // 4))
    data[start : start + size] = bytes(len(data[start : start + size]))
    return data


def shuffled(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Two pieces change places."""
    a, b = sorted(int(x) for x in rng.integers(0, len(data) - 512, size=2))
    data[a : a + 256], data[b : b + 256] = data[b : b + 256], data[a : a + 256]
    return data


MUTATIONS: tuple[Callable[[bytearray, np.random.Generator], bytearray], ...] = (truncated, flipped, zeroed, shuffled)
CORPUS = [(kind, container, seed) for seed in range(4) for kind in range(len(MUTATIONS)) for container in CONTAINERS]
SAMPLE = CORPUS[:: len(CONTAINERS) * 4 + 2]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    made = {}
    for container in CONTAINERS:
        path = folder / f"film.{container}"
        codec = "mpeg4" if container == "avi" else "libx264"
        make_film(path, frames=FRAMES, codec=codec, pix_fmt="yuv420p")
        made[container] = path.read_bytes()
    return made


def run(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "videocolor", "colorize", str(source), str(target)]
    return subprocess.run(
        [*command, "--model", "constant", "--preset", "ultrafast", "--json"],
        capture_output=True,
        text=True,
        timeout=200,  # longer counts as a hang
        check=False,
    )


def frames_in(path: Path) -> int:
    with av.open(str(path)) as film:
        return sum(1 for _ in film.decode(video=0))


def check(kind: int, container: str, seed: int, films: dict[str, bytes], folder: Path) -> None:
    rng = np.random.default_rng([kind, CONTAINERS.index(container), seed])
    source, target = folder / f"film.{container}", folder / "color.mkv"
    source.write_bytes(MUTATIONS[kind](bytearray(films[container]), rng))
    before = source.read_bytes()
    result = run(source, target)
    said = result.stdout + result.stderr
    assert result.returncode in (0, 1), said
    assert "Traceback" not in said
    assert "this is a bug" not in said.lower()
    assert source.read_bytes() == before, "the source was written"
    left = {path.name for path in folder.iterdir()} - {source.name, target.name, target.name + ".json"}
    assert not left, f"left behind: {left}"
    for line in result.stdout.splitlines():
        json.loads(line)
    if result.returncode == 1:
        assert not target.exists()
        assert str(source.name) in said
        return
    made = frames_in(target)
    if made < FRAMES:
        sidecar = json.loads((folder / "color.mkv.json").read_text())
        # What is said of the noise film's chroma and of its tags is no word about frames.
        losses = [w for w in sidecar["warnings"] if not w.startswith(("the source ", "assumed", "left out"))]
        assert losses, f"{made} of {FRAMES} frames and not a word: {sidecar['warnings']}"


@pytest.mark.parametrize(
    ("kind", "container", "seed"),
    [pytest.param(*case, marks=pytest.mark.slow if case[1] in ("ts", "mkv") else ()) for case in SAMPLE],
)
def test_damaged_film(kind: int, container: str, seed: int, films: dict[str, bytes], tmp_path: Path) -> None:
    check(kind, container, seed, films, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "container", "seed"), sorted(set(CORPUS) - set(SAMPLE)))
def test_damaged_film_all(kind: int, container: str, seed: int, films: dict[str, bytes], tmp_path: Path) -> None:
    check(kind, container, seed, films, tmp_path)


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 60
