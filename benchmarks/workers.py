"""How one film's speed and memory grow with `--workers`: `python -m benchmarks.workers simulate|measure`.

simulate    every frame costs `--cost` ms in which a worker (a thread) sleeps instead of computing, as if each had cores
            of its own; the film, its plan, shards and joining are real (160x96, 5 frames/s, a cut every two seconds).
measure     FILM by real processes on this machine: wall time, CPU time of all, and their peak memory.
"""

from __future__ import annotations

import json
import resource
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from unittest.mock import patch

import av
import click
import numpy as np

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.engines.base import Engine
from videocolor.engines.settings import EngineSettings
from videocolor.engines.worker import load_work, perform
from videocolor.models.base import Prediction
from videocolor.pipeline.predict import Predictor
from videocolor.shards.types import Task, WorkEvent

QUICK = ("model.name=constant", "smoothing.enabled=false", "output.codec=ffv1", "output.sidecar=false")


class ThreadEngine(Engine):
    """Workers as threads: enough where all that they do is sleep."""

    def __init__(self, settings: EngineSettings, work: str) -> None:
        assert settings.workers != "auto"
        super().__init__(settings.workers, settings.ahead)
        self._work, self._events, self._busy = load_work(work), SimpleQueue[WorkEvent](), 0

    def _accept(self) -> None:
        while self._waiting and self._busy < self.workers:
            self._busy += 1
            threading.Thread(target=self._do, args=(self._waiting.popleft(),), daemon=True).start()

    def _do(self, task: Task) -> None:
        perform(self._work, task, lambda m: self._events.put(WorkEvent(m["kind"], task.id, "thread", m)))

    def _collect(self, timeout: float) -> Iterable[WorkEvent]:
        try:
            event = self._events.get(timeout=timeout)
        except Empty:
            return []
        self._busy -= event.kind in ("done", "failed")
        self._accept()
        return [event]

    def _close(self) -> None:
        """Threads end with their tasks."""


def write_film(path: Path, frames: int) -> None:
    """A film of gray noise, five frames a second, another picture every ten."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=5, options={"preset": "ultrafast", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for index in range(frames):
            if index % 10 == 0:
                picture = np.random.default_rng(index).integers(40, 210, (6, 10), np.uint8).repeat(16, 0).repeat(16, 1)
            frame = av.VideoFrame.from_ndarray(np.roll(picture, index % 10, 1), format="gray")
            frame.pts = index
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode(None))


def simulated(film: Path, folder: Path, workers: int, cost: float) -> dict[str, float]:
    """Color the film with frames that cost `cost` seconds of sleep."""
    real = Predictor.predict

    def predict(self: Predictor, memory: Any, lumas: Any, *rest: Any) -> Prediction:
        time.sleep(cost * len(lumas))
        return real(self, memory, lumas, *rest)

    began = time.perf_counter()
    with patch.object(Predictor, "predict", predict), patch("videocolor.engines.film.open_engine", ThreadEngine):
        colorize_video(film, folder / f"{workers}.mkv", ColorizeConfig.load(None, QUICK), workers=workers)
    return {"workers": workers, "seconds": round(time.perf_counter() - began, 2)}


class Memory(threading.Thread):
    """Watches the peak memory of this process's workers, in MiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peaks, self.going = dict[str, int](), True

    def run(self) -> None:
        while self.going:
            for pid in Path(f"/proc/self/task/{threading.main_thread().native_id}/children").read_text().split():
                status = Path(f"/proc/{pid}/status")
                try:
                    if b"videocolor.engines.child" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                        continue
                    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
                    self.peaks[pid] = int(lines["VmHWM"].split()[0]) // 1024
                except (OSError, KeyError):
                    continue
            time.sleep(0.05)


def measured(film: Path, folder: Path, workers: int, settings: tuple[str, ...]) -> dict[str, Any]:
    """Color a film by processes."""
    memory = Memory()
    memory.start()
    before = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    began = time.perf_counter()
    config = ColorizeConfig.load(None, ["output.sidecar=false", "output.overwrite=true", *settings])
    result = colorize_video(film, folder / f"{workers}.mkv", config, workers=workers)
    wall = time.perf_counter() - began
    memory.going = False
    after = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(before, after, strict=True))
    return {
        "workers": workers,
        "seconds": round(wall, 2),
        "cpu_ms_per_frame": round(1000 * cpu / result.frames, 1),
        "main_mib": after[0].ru_maxrss // 1024,
        "worker_mib": sorted(memory.peaks.values()),
    }


@click.group(help=__doc__)
def main() -> None:
    pass


def _write(result: dict[str, Any], output: Path | None) -> None:
    click.echo(json.dumps(result, indent=2))
    if output is not None:
        output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


@main.command()
@click.option("--frames", default=1600, show_default=True)
@click.option("--cost", default=100.0, show_default=True, help="ms a frame.")
@click.option("--most", default=16, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path))
def simulate(frames: int, cost: float, most: int, output: Path | None) -> None:
    """Sleeping frames, 1 to 16 workers."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_film(folder / "film.mkv", frames)
        for workers in (n for n in (1, 2, 4, 8, 16) if n <= most):
            rows.append(simulated(folder / "film.mkv", folder, workers, cost / 1000))
            rows[-1]["times"] = round(rows[0]["seconds"] / rows[-1]["seconds"], 2)
            click.echo(rows[-1], err=True)
    _write({"kind": "workers_simulated", "frames": frames, "cost_ms": cost, "rows": rows}, output)


@main.command()
@click.argument("film", type=click.Path(exists=True, path_type=Path))
@click.option("--workers", multiple=True, type=int, default=(1, 2), show_default=True)
@click.option("--rounds", default=1, show_default=True)
@click.option("--set", "settings", multiple=True)
@click.option("-o", "--output", type=click.Path(path_type=Path))
def measure(film: Path, workers: tuple[int, ...], rounds: int, settings: tuple[str, ...], output: Path | None) -> None:
    """Real processes."""
    with tempfile.TemporaryDirectory() as name:
        rows = [measured(film, Path(name), n, settings) for _ in range(rounds) for n in workers]
    _write({"kind": "workers", "film": film.name, "rows": rows}, output)


if __name__ == "__main__":
    main()
