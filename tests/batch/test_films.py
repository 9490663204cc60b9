"""Real films through the whole of it: what a killed batch makes equals what an undisturbed one makes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from batch.test_driver_kills import lose_power
from conftest import ROOT
from media import make_film, noise_planes

from videocolor.batch.state import state_folder

SETTINGS = [
    *("model.name=constant", "output.codec=ffv1", "shots.shard=1", "disk.check=false", "work.backoff_seconds=0"),
    *("work.shards_per_task=1", "engine.stall_seconds=60"),
]


def reel(path: Path, seconds: int = 5, seed: int = 0) -> Path:
    """Scenes of a second and a half with sound, subtitles and a chapter: several shards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scenes = [noise_planes(96, 64, "gray", 1000 * seed + n)[0] // 2 + 60 for n in range(seconds)]
    frames = []
    for index in range(seconds * 24):
        shift = index % 36
        frames.append([np.roll(scenes[index // 36], shift, axis=1)])
    make_film(
        *(path, frames, "ffv1", "gray"),
        size=(96, 64),
        audio=[{"language": "eng"}],
        subtitles=[(500, 900, "one"), (2500, 900, "two")],
        chapters=[(0, 2000, "Reel")],
    )
    return path


def command(folder: Path, *settings: str) -> list[str]:
    sets = [word for value in (*SETTINGS, *settings) for word in ("--set", value)]
    return [sys.executable, "-m", "videocolor", "batch", "run", str(folder / "in"), "-o", str(folder / "out"), *sets]


def start(folder: Path, *settings: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(command(folder, *settings), cwd=ROOT, env=environment, **pipes)


def finish(folder: Path, *settings: str) -> None:
    process = start(folder, *settings)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error.decode()


def content(path: Path) -> dict[str, Any]:
    """Everything that is in a film: decoded planes with times, and packets of every other stream."""
    with av.open(str(path)) as film:
        planes = [
            (frame.pts, [bytes(plane) for plane in frame.planes], frame.format.name) for frame in film.decode(video=0)
        ]
    with av.open(str(path)) as film:
        others: dict[int, list[tuple[Any, ...]]] = {}
        for packet in film.demux():
            if packet.stream.type != "video" and packet.size:
                others.setdefault(packet.stream.index, []).append((packet.pts, packet.duration, bytes(packet)))
        chapters = [(chapter["start"], chapter["end"]) for chapter in film.chapters()]
        kinds = [stream.type for stream in film.streams]
    return {"planes": planes, "others": others, "chapters": chapters, "kinds": kinds}


def kill_at_random(folder: Path, chance: random.Random, *settings: str) -> None:
    """Kill the driver, or one of its workers, at a moment of its work."""
    process = start(folder, *settings)
    shards, deadline = state_folder(folder / "out") / "shards", time.monotonic() + 100
    while process.poll() is None and not any(shards.glob("*/*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(chance.uniform(0, 3))
    victims = children(process.pid)
    if victims and chance.random() < 0.4:
        os.kill(chance.choice(victims), signal.SIGKILL)
        process.communicate(timeout=120)
        return
    process.kill()
    process.communicate(timeout=30)


def children(pid: int) -> list[int]:
    """Worker processes of a driver."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    reel(folder / "in/a.mkv")
    reel(folder / "in/b.mkv", 3, seed=1)
    finish(folder)
    return folder


def compare(folder: Path, undisturbed: Path) -> None:
    for name in ("a", "b"):
        mine, whole = (content(path / f"out/{name}_colorized.mkv") for path in (folder, undisturbed))
        assert mine == whole
        assert len(whole["planes"]) in (120, 72) and "subtitle" in whole["kinds"] and whole["chapters"]
    names = sorted(path.name for path in (folder / "out").iterdir())
    films = ("a_colorized.mkv", "b_colorized.mkv")
    assert names == sorted([".videocolor", "manifest-sha256.txt", *films, *(f"{film}.json" for film in films)]), (
        "nothing is left over"
    )
    assert not any((state_folder(folder / "out") / "shards").iterdir())


def killed(seed: int, folder: Path, undisturbed: Path, *, power: bool = False) -> None:
    chance = random.Random(seed)
    (folder / "in").mkdir()
    for name in ("a.mkv", "b.mkv"):
        (folder / "in" / name).write_bytes((undisturbed / "in" / name).read_bytes())
    for _ in range(chance.randint(1, 2)):
        kill_at_random(folder, chance, f"engine.workers={chance.choice([1, 2])}")
        if power:
            lose_power(folder / "out", chance)
    finish(folder, f"engine.workers={chance.choice([1, 2])}", f"work.plan={chance.choice(['auto', 'ahead'])}")
    compare(folder, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 22))
def test_killed_often(seed: int, undisturbed: Path, tmp_path: Path) -> None:
    killed(seed, tmp_path, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 220))
def test_power_is_lost_often(seed: int, undisturbed: Path, tmp_path: Path) -> None:
    killed(seed, tmp_path, undisturbed, power=True)


@pytest.mark.slow
def test_planned_first_and_by_two_workers(undisturbed: Path, tmp_path: Path) -> None:
    """However the work is cut up, the film is the same."""
    (tmp_path / "in").symlink_to(undisturbed / "in")
    finish(tmp_path, "work.plan=ahead", "engine.workers=2")
    compare(tmp_path, undisturbed)
