"""The speed of videocolor on this machine, in one run and one table: `python -m benchmarks [--quick]`.

    film_480, film_1080    coloring beside a plain transcode, rounds in turn (benchmarks/film.py)
    start                  `--help`, and a film of one second from the command line: wall time, memory
    memory                 4096x3112 in 16 bits, painted
    length                 memory of five minutes of film against that of sixty, 64x48 and 12 frames/s
    workers                simulated growth to 16, and two workers against one (benchmarks/workers.py)

Each step writes benchmarks/results/NAME.json; `--page FILE` writes the tables of what is there, without measuring. Run
it with the machine otherwise idle. What a GPU does: benchmarks/gpu.sh.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import click
import cv2
import numpy as np

from benchmarks.page import page

RESULTS = Path(__file__).parent / "results"
SAMPLES = Path(__file__).parent.parent / "samples"
SHOTS = ("hawk_25fps.mp4", "flower_opening_30fps.mp4", "cuts_audio_tears_of_steel.mp4", "london_station_60fps.mp4")


def script(name: str, *arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *map(str, arguments)], check=True)


def film(height: int, frames: int, output: Path, *only: str) -> None:
    rows = [word for name in only for word in ("--only", name)]
    films = [SAMPLES / name for name in SHOTS]
    script("film", *films, "--height", str(height), "--frames", str(frames), "--rounds", "3", *rows, "-o", output)


def command(*arguments: str | Path) -> dict[str, float]:
    """Wall seconds, CPU seconds and MiB of one run of the command."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    code = f"import sys; from videocolor.cli import main; sys.argv[1:] = {list(map(str, arguments))!r}\n"
    # Not ru_maxrss, which begins with the memory of the process that started this one.
    status = "open('/proc/self/status').read().partition('VmHWM:')[2].split()[0]"
    code += f"try: main()\nfinally: print({status}, file=sys.stderr)"
    # As installed: compiled once.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    )
    if run.returncode:
        raise click.ClickException(run.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    wall, memory = time.perf_counter() - began, int(run.stderr.split()[-1]) // 1024
    return {"seconds": round(wall, 3), "cpu_seconds": round(cpu, 3), "mib": memory}


def made(
    path: Path, size: tuple[int, int], frames: int, pix_fmt: str = "gray", codec: str = "ffv1", rate: int = 25
) -> Path:
    """Moving gray noise with a cut every 200 frames."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        for index in range(frames):
            if index % 200 == 0:
                rng = np.random.default_rng(index)
                small = av.VideoFrame.from_ndarray(rng.integers(30, 220, (9, 16), np.uint8), format="gray")
                large = small.reformat(*size, interpolation="BICUBIC").to_ndarray()
            frame = av.VideoFrame.from_ndarray(np.roll(large, 2 * (index % 200), 1), format="gray")
            frame = frame.reformat(format=pix_fmt)
            frame.pts = index
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def start(output: Path, quick: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = made(folder / "second.mkv", (854, 480), 25, "yuv420p", "libx264")
        rounds = 1 if quick else 5
        rows: dict[str, list[dict[str, float]]] = {"help": [], "second": []}
        for number in range(rounds + 1):
            rows["help"].append(command("--help"))
            rows["second"].append(command("colorize", source, folder / f"{number}.mkv", "--quiet"))
    rows = {kind: runs[1:] for kind, runs in rows.items()}  # the first compiles the modules
    result = {kind: {key: min(run[key] for run in runs) for key in runs[0]} for kind, runs in rows.items()}
    save(output, {"kind": "start", "rounds": rounds, **result})


def memory(output: Path, quick: bool) -> None:
    size, frames = ((1024, 778), 10) if quick else ((4096, 3112), 24)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = made(folder / "large.mkv", size, frames, "gray16le")
        with av.open(str(source)) as film:
            gray = next(film.decode(video=0)).to_ndarray(format="gray8").astype(np.float32)
        cv2.imwrite(
            str(folder / "hint.png"), np.stack([0.8 * gray, gray, 1.1 * gray], axis=-1).clip(0, 255).astype(np.uint8)
        )  # B, G, R
        hint = f"hints.items=['0={folder / 'hint.png'}']"
        row = command(
            "colorize", source, folder / "o.mkv", "--codec", "ffv1", "--set", hint, "--set", "shots.detector=none"
        )
    save(output, {"kind": "memory", "rows": {f"{size[0]}x{size[1]}, 16 bits, painted": row}})


def length(output: Path, quick: bool) -> None:
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for minutes in (1, 2) if quick else (5, 60):
            source = made(folder / f"{minutes}.mkv", (64, 48), 720 * minutes, "yuv420p", "libx264", 12)
            rows[f"{minutes} min"] = command("colorize", source, folder / f"out{minutes}.mkv", "--workers", "1")
    save(output, {"kind": "memory", "rows": rows})


def workers(output: Path, quick: bool) -> None:
    script("workers", "simulate", *(("--frames", "400", "--most", "4") if quick else ()), "-o", output)
    real = ["--rounds", "1" if quick else "3", "-o", output.with_name("workers_measured.json")]
    script("workers", "measure", SAMPLES / "cuts_audio_tears_of_steel.mp4", *real)


def save(output: Path, result: dict[str, Any]) -> None:
    output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


STEPS: dict[str, Callable[[Path, bool], None]] = {
    "film_480": lambda output, quick: film(480, 100 if quick else 1600, output),
    "film_1080": lambda output, quick: film(1080, 50 if quick else 400, output, "default", "painted"),
    "start": start,
    "memory": memory,
    "length": length,
    "workers": workers,
}


@click.command(help=__doc__)
@click.option("--only", multiple=True, type=click.Choice(list(STEPS)))
@click.option("--quick", is_flag=True, help="Little of each: whether it runs, no figures to keep.")
@click.option("--results", default=RESULTS, type=click.Path(path_type=Path), show_default=False)
@click.option("--page", "page_file", type=click.Path(path_type=Path), help="Write the table as Markdown, and stop.")
def main(only: Sequence[str], quick: bool, results: Path, page_file: Path | None) -> None:
    if page_file is not None:
        page_file.write_text(page(results), encoding="utf-8")
        return
    for name in only or STEPS:
        STEPS[name](results / f"{name}.json", quick)
    click.echo(page(results))


if __name__ == "__main__":
    main()
