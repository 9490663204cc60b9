"""What a GPU does for videocolor, in under eight minutes: `benchmarks/gpu.sh`, or

    python -m benchmarks.gpu [--device cuda|cpu] [--small] [--only STEP] [-o benchmarks/results/gpu.json]

    machine     the device, versions, and what PyAV's wheel has of NVDEC and NVENC, tried out
    parity      colors of both networks on the device against float32 on the CPU, in float32 and bfloat16
    forward     ms of a forward pass: eager, torch.compile, CUDA graphs (compile's reduce-overhead), bfloat16
    films       frames/s at 480p, 1080p and 4K, automatic and painted, with the CPU time of each part
    memory      a film whose batch does not fit: the batch is halved, and that is said
    training    samples/s of the hint network (hint_gpu) and the keyframe network; losses of a slice in bfloat16

A step that fails leaves its error in the results, and the others run. `--small` does each step in seconds on a CPU.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import click
import numpy as np
import torch
from av.codec.hwaccel import HWAccel, hwdevices_available

from benchmarks.stages import measured
from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.datasets.pack import PackWriter
from videocolor.models.base import HintInput
from videocolor.models.hint.network import no_propagated
from videocolor.models.registry import load_colorizer
from videocolor.models.runtimes import TorchRunner
from videocolor.presets import load_model
from videocolor.training.config import KeyframeConfig, TrainConfig
from videocolor.training.loop import train
from videocolor.types import Array

SIZES = {"480p": (854, 480), "1080p": (1920, 1080), "4K": (3840, 2160)}


@dataclass(frozen=True)
class Bench:
    """Where and how much is measured."""

    device: str
    small: bool
    folder: Path

    @property
    def cuda(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.startswith("cuda")

    def wait(self) -> None:
        """Wait until the device has done what it was given."""
        if self.cuda:
            torch.cuda.synchronize()


def picture(index: int, width: int, height: int) -> Array:
    """(height, width, 3) uint8: smooth color that moves; another one every 100 frames."""
    base = np.random.default_rng(index // 100).integers(30, 220, (6, 10, 3), np.uint8)
    large = av.VideoFrame.from_ndarray(base, format="rgb24").reformat(width, height, interpolation="BICUBIC")
    return np.roll(large.to_ndarray(), 3 * (index % 100), axis=1)


def write_film(path: Path, size: tuple[int, int], frames: int, codec: str = "libx264") -> float:
    """A film of `picture`; the seconds that encoding took."""
    spent = 0.0
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            began = time.perf_counter()
            out.mux(stream.encode(frame))
            spent += time.perf_counter() - began
        out.mux(stream.encode(None))
    return spent


def machine(bench: Bench) -> dict[str, Any]:
    """The device, and hardware codecs by trying them."""
    found: dict[str, Any] = {
        "cpu": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "av": av.__version__,
        "device": torch.cuda.get_device_name() if bench.cuda else "cpu",
        "hardware_devices_of_av": list(hwdevices_available()),
    }
    size, frames = ((320, 192), 10) if bench.small else (SIZES["1080p"], 100)
    film = bench.folder / "machine.mp4"
    write_film(film, size, frames)
    for name, attempt in (
        ("nvdec", lambda: decoded(film, HWAccel("cuda", allow_software_fallback=False))),
        ("software_decode", lambda: decoded(film, None)),
        ("nvenc", lambda: frames / write_film(bench.folder / "nvenc.mp4", size, frames, "h264_nvenc")),
        ("x264", lambda: frames / write_film(bench.folder / "x264.mp4", size, frames)),
    ):
        try:
            found[f"{name}_fps"] = round(attempt(), 1)
        except Exception as error:  # whatever the driver or the wheel says is the result
            found[f"{name}_error"] = f"{type(error).__name__}: {error}"
    return found


def decoded(film: Path, hardware: HWAccel | None) -> float:
    """Frames a second."""
    began = time.perf_counter()
    with av.open(str(film), hwaccel=hardware) as container:
        count = sum(1 for _ in container.decode(video=0))
    return count / (time.perf_counter() - began)


def lumas(count: int, size: tuple[int, int]) -> Array:
    """(count, h, w) float32."""
    made = [picture(100 * i, size[1], size[0]).astype(np.float32).mean(axis=2) / 255 for i in range(count)]
    return np.stack(made).astype(np.float32)


def hints(size: tuple[int, int]) -> list[HintInput]:
    """One, of the first picture."""
    rng = np.random.default_rng(5)
    ab = np.repeat(np.repeat(rng.uniform(-50, 50, (2, size[0] // 32, size[1] // 32)), 32, 1), 32, 2)
    return [HintInput(lumas(1, size)[0], ab.astype(np.float32))]


@contextmanager
def halves(bench: Bench, on: bool) -> Iterator[None]:
    """Autocast to bfloat16 where `on`."""
    with torch.autocast(bench.device.partition(":")[0], torch.bfloat16, enabled=on):
        yield


def parity(bench: Bench) -> dict[str, Any]:
    """Largest and mean distance in a*b* from float32 on the CPU."""
    found: dict[str, Any] = {}
    size = (96, 160) if bench.small else (240, 416)
    for name, given in (("hint", hints(size)), ("hint", []), ("keyframe", [])):
        seen = lumas(2, size)

        def color(device: str, runtime: str, half: bool) -> Array:
            colorizer = load_colorizer(name, device=device, runtime=runtime)  # noqa: B023
            with halves(bench, half):
                return colorizer.step(colorizer.begin(given), seen).ab  # noqa: B023

        truth = color("cpu", "auto", half=False)
        for half in (False, True):
            away = np.hypot(*np.moveaxis(color(bench.device, "torch", half) - truth, 1, 0))
            row = {"largest_ab": round(float(away.max()), 4), "mean_ab": round(float(away.mean()), 4)}
            found[f"{name}, {len(given)} hints, {'bf16' if half else 'fp32'}"] = row
    return found


def forward(bench: Bench) -> dict[str, Any]:
    """ms a frame of the hint network, two frames at once."""
    found: dict[str, Any] = {}
    size, rounds = ((96, 160), 2) if bench.small else ((240, 416), 30)
    colorizer: Any = load_colorizer("hint", device=bench.device, runtime="torch")
    tokens = [torch.from_numpy(part).to(bench.device) for part in colorizer.begin(hints(size)).tokens]
    seen = torch.from_numpy(lumas(2, size)[:, None]).to(bench.device)
    inputs = (seen, *tokens, no_propagated(seen))
    net = colorizer.runtime._net
    kinds: dict[str, Callable[[], Any]] = {"eager": lambda: net.colorize}
    if not bench.small:
        kinds |= {"compile": lambda: torch.compile(net.colorize, dynamic=False)}
    if bench.cuda:
        kinds |= {"cuda_graphs": lambda: torch.compile(net.colorize, mode="reduce-overhead", dynamic=False)}
    for half in (False, True):
        for kind, make in kinds.items():
            try:
                began = time.perf_counter()
                with torch.inference_mode(), halves(bench, half):
                    run = make()
                    run(*inputs)
                    bench.wait()
                    ready, times = time.perf_counter() - began, []
                    for _ in range(rounds):
                        began = time.perf_counter()
                        run(*inputs)
                        bench.wait()
                        times.append(time.perf_counter() - began)
                row: dict[str, Any] = {"ms": round(500 * statistics.median(times), 3), "first_s": round(ready, 1)}
            except Exception as error:  # no compiler, an operation that compile does not know
                row = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
            found[f"{kind}, {'bf16' if half else 'fp32'}"] = row
    return found


def films(bench: Bench) -> dict[str, Any]:
    """Frames a second of the command's own path, start-up included, and ms of CPU time a frame of each part."""
    found: dict[str, Any] = {}
    sizes = {"192 lines": (320, 192)} if bench.small else SIZES
    for name, size in sizes.items():
        frames = 12 if bench.small else {"480p": 400, "1080p": 200, "4K": 60}[name]
        film = bench.folder / f"{size[1]}.mkv"
        write_film(film, size, frames)
        for kind in ("automatic", "painted"):
            given = [f"hints.items=['0={film}@0']"] if kind == "painted" else []
            fixed = ["output.preset=veryfast", "output.sidecar=false", f"model.device={bench.device}"]
            began = time.perf_counter()
            with measured() as parts:
                colorize_video(film, bench.folder / f"{kind}.mp4", config([*fixed, *given]))
            found[f"{name}, {kind}"] = {
                "fps": round(frames / (time.perf_counter() - began), 2),
                "cpu_ms": {part: round(1000 * spent / frames, 2) for part, spent in sorted(parts.items())},
            }
    return found


def config(settings: Sequence[str]) -> ColorizeConfig:
    """Settings of a film that may replace an earlier one."""
    return ColorizeConfig.load(None, ["output.overwrite=true", *settings])


def memory(bench: Bench) -> dict[str, Any]:
    """The warnings of a film whose device holds one frame at once."""
    film = bench.folder / "memory.mkv"
    write_film(film, (320, 192), 24)
    real = TorchRunner.run

    def short(self: TorchRunner, function: Any, *inputs: Array) -> tuple[Array, ...]:
        def refuse(*given: Any) -> Any:
            if len(given[0]) > 1:
                raise torch.OutOfMemoryError("more than one frame")
            return function(*given)

        return real(self, refuse, *inputs)

    settings = ["model.batch=4", "model.runtime=torch", f"model.device={bench.device}", "smoothing.enabled=false"]
    with patch.object(TorchRunner, "run", short):
        result = colorize_video(
            film, bench.folder / "memory.mp4", config([*settings, "model.automatic=hint", "output.sidecar=false"])
        )
    said = [warning for warning in result.warnings if "out of memory" in warning]
    assert said and result.frames == 24, "the batch was not halved"
    return {"said": said, "frames": result.frames}


def training(bench: Bench) -> dict[str, Any]:
    """Samples a second, and the losses of a slice."""
    writer = PackWriter(bench.folder / "pack")
    short = 96 if bench.small else 360
    for clip in range(4):
        frames = [(i / 2, picture(100 * clip + i, short * 16 // 9, short)) for i in range(8)]
        pairs = [(i, j) for i in range(8) for j in range(8) if abs(i - j) >= 2]
        writer.add(f"{clip}.mp4", f"made {clip}", "CC0", "clip", frames, pairs)
    for still in range(8):
        writer.add(f"{still}.jpg", f"still {still}", "CC0", "image", [(0.0, picture(100 * still, short, short))])
    writer.close({})
    found = {}
    steps = 4 if bench.small else 200
    for name, kind in (("hint_gpu", TrainConfig), ("keyframe", KeyframeConfig)):
        phase = f"phases=[{{steps: {steps}, size: 64, batch: 2}}]" if bench.small else "length=1"
        common = [phase, f"out={bench.folder / name}", f"data.pack={bench.folder / 'pack'}", "start=hint", "bf16=true"]
        common += [f"device={bench.device}", f"log_every={max(1, steps // 8)}", "data.tracks=false", "workers=4"]
        common += [f"data.held_pack={bench.folder / 'none'}", "worker_kind=thread", "samples.propagated=0"]
        train(load_model(kind, "train", f"train/{name}", common), stop_after=steps, observer=lambda _: None)
        lines = (bench.folder / name / "metrics.jsonl").read_text().splitlines()
        found[name] = [json.loads(line) for line in lines]
    return found


STEPS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    step.__name__: step for step in (machine, parity, forward, films, memory, training)
}


@click.command(help=__doc__)
@click.option("--device", default="cuda" if torch.cuda.is_available() else "cpu", show_default=True)
@click.option("--small", is_flag=True)
@click.option("--only", multiple=True, type=click.Choice(list(STEPS)))
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(device: str, small: bool, only: tuple[str, ...], output: Path | None) -> None:
    found: dict[str, Any] = {"kind": "gpu", "device": device, "small": small}
    for name, step in STEPS.items():
        if only and name not in only:
            continue
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            try:
                found[name] = step(Bench(device, small, Path(folder)))
            except Exception as error:  # its own result; the exit code says that there is one
                found[name] = {"error": f"{type(error).__name__}: {error}"}
        found[name]["seconds"] = round(time.perf_counter() - began, 1)
        click.echo(f"{name}: {json.dumps(found[name])}", err=True)
        if output is not None:  # after each step: whatever ends the run, what was measured stays
            output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if output is None:
        click.echo(json.dumps(found, indent=2))
    sys.exit(any("error" in step for step in found.values() if isinstance(step, dict)))


if __name__ == "__main__":
    main()
