"""The packaged network in every runtime, float32 and int8, on what the data path really asks of it.

    python benchmarks/runtimes.py measure FILM... --calibrate FILM... [-o benchmarks/results/runtimes.json]
    python benchmarks/runtimes.py score CLIPS --int8 onnxruntime --calibrate FILM... [-o benchmarks/results/int8.json]

`measure` colors a second of each FILM without and with its own first frame as a painted one, keeps what the network
was asked (luma, tokens, propagated chroma; batches as they came) and gives every runtime the same. The runtimes take
turns within a round; medians. Differences are against eager torch: of a*b*, and CIEDE2000 on the network's own grid.
Load seconds are from weights to the first answer, modules imported. Runtimes that are not installed are named.

int8 is post-training quantization, calibrated on the films of --calibrate: ONNX Runtime's static QDQ (per channel,
unsigned activations, signed weights), and NNCF's for OpenVINO. `score` asks the scorer: `videocolor evaluate` of
`network` and `videocolor` on held-back clips, float32 against int8. Needs onnx; openvino and nncf where they are meant.
"""

from __future__ import annotations

import importlib.util
import json
import re
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import cv2
import numpy as np
import torch
from skimage.color import deltaE_ciede2000

import videocolor.models.artifact as artifacts
from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.evaluation.evaluate import evaluate
from videocolor.evaluation.settings import EvaluateConfig
from videocolor.evaluation.table import summarize
from videocolor.models.hint.export import complete_onnx
from videocolor.models.hint.runtimes import OnnxRuntime, TorchRuntime, network_of
from videocolor.presets import load_model

Array = np.ndarray[Any, Any]
Call = tuple[Array, ...]
"""Luma, keys, values, valid, propagated: one call of the network."""
Ask = Callable[..., tuple[Array, ...]]
NAMES = ("luma", "keys", "values", "valid", "propagated")
ATTENTION = re.compile(r"MatMul|Softmax|/null|/belief|ReduceMax|ReduceSum")
LAST = re.compile(r"/decoder/(out|judge|doubt|at2|down4)")
"""Layers at half the working size and the heads: few sums, and all that is seen passes through them."""
INT8 = {
    "int8, convolutions": lambda name, kind: kind == "Conv" and not ATTENTION.search(name),
    "int8, convolutions but the last": lambda name, kind: (
        kind == "Conv" and not ATTENTION.search(name) and not LAST.search(name)
    ),
    "int8, all but attention and the last": lambda name, kind: (
        kind in ("Conv", "Add", "Concat", "Clip", "Relu", "Resize", "AveragePool", "GlobalAveragePool", "Mul")
        and not ATTENTION.search(name)
        and not LAST.search(name)
        and re.search(r"encoder|matcher|decoder", name) is not None
    ),
}
"""What is quantized: by a node's name and operator."""
CHOSEN = "int8, all but attention and the last"
"""The one that is scored: of the least difference without a hint, and the fastest."""


def packaged() -> artifacts.Artifact:
    """The weights that are asked."""
    return artifacts.read_artifact(Path(artifacts.__file__).parent / "weights" / "hint.safetensors")


def calls_of(film: Path, seconds: float, painted: bool) -> list[Call]:
    """What the data path asks the network for a film."""
    found: list[Call] = []
    original = OnnxRuntime.colorize

    def noted(self: OnnxRuntime, *inputs: Array) -> Any:
        found.append(tuple(np.array(value, np.float32) for value in inputs))
        return original(self, *inputs)

    settings = [f"input.end={seconds}", "output.codec=ffv1", "output.sidecar=false", "model.runtime=onnxruntime"]
    settings += ["model.keyframe_interval=4", "model.keyframe_interval_painted=4"]  # as ever, but oftener: more to ask
    if painted:
        settings.append(f"hints.items=['0={film}@0']")
    with tempfile.TemporaryDirectory() as folder, patch.object(OnnxRuntime, "colorize", noted):
        colorize_video(film, Path(folder) / "made.mkv", ColorizeConfig.load(None, settings))
    return found


def torch_eager(threads: int) -> Ask:
    runtime = TorchRuntime(packaged(), "cpu", threads)

    def ask(*inputs: Array) -> tuple[Array, ...]:
        torch.set_num_threads(threads)
        return runtime.colorize(*inputs)

    return ask


def torch_compiled(threads: int) -> Ask:
    """Frozen weights, a graph for each shape."""
    from torch._inductor import config

    torch.set_num_threads(threads)
    config.freezing = True
    net = network_of(packaged()).to(memory_format=torch.channels_last)
    compiled = torch.compile(net.colorize, dynamic=False)

    def ask(*inputs: Array) -> tuple[Array, ...]:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            return tuple(out.numpy() for out in compiled(*(torch.from_numpy(value) for value in inputs)))

    return ask


def onnx_session(content: bytes, threads: int) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def onnx_int8(calls: Sequence[Call], wanted: Callable[[str, str], bool]) -> bytes:
    """Static QDQ of the frame's network."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(calls)

        def get_next(self) -> dict[str, Array] | None:
            call = next(self.left, None)
            return None if call is None else dict(zip(NAMES, call, strict=True))

    with tempfile.TemporaryDirectory() as folder:
        whole, ready, made = (Path(folder) / f"{name}.onnx" for name in ("whole", "ready", "made"))
        whole.write_bytes(complete_onnx(packaged(), "frame"))
        quant_pre_process(whole, ready, skip_symbolic_shape=True)
        nodes = onnx.load(ready).graph.node
        chosen = [node.name for node in nodes if wanted(node.name, node.op_type)]
        if not chosen:
            raise click.ClickException("no node of the network is to be quantized; have its names changed?")
        quantize_static(
            ready, made, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, nodes_to_quantize=chosen,
            op_types_to_quantize=sorted({node.op_type for node in nodes if node.name in chosen}),
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        return made.read_bytes()


def onnx_ask(content: bytes, threads: int) -> Ask:
    session = onnx_session(content, threads)
    return lambda *inputs: tuple(session.run(None, dict(zip(NAMES, inputs, strict=True))))


def openvino_request(model: Any, threads: int, precision: str = "f32") -> Any:
    import openvino as ov

    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    return ov.Core().compile_model(model, "CPU", settings).create_infer_request()


def openvino_model() -> Any:
    import openvino as ov

    return ov.Core().read_model(complete_onnx(packaged(), "frame"))


def openvino_int8(calls: Sequence[Call]) -> Any:
    """NNCF's post-training quantization, attention and the last layers left alone."""
    import nncf

    model = openvino_model()
    apart = [op.get_friendly_name() for op in model.get_ordered_ops()]
    apart = [name for name in apart if ATTENTION.search(name) or LAST.search(name)]
    ignored = nncf.IgnoredScope(names=apart, validate=False)
    return nncf.quantize(model, nncf.Dataset(list(calls), list), subset_size=len(calls), ignored_scope=ignored)


def openvino_ask(model: Any, threads: int, precision: str = "f32") -> Ask:
    request = openvino_request(model, threads, precision)
    return lambda *inputs: tuple(np.array(value, np.float32) for value in request.infer(list(inputs)).values())


def runtimes(calibration: Sequence[Call], only: str) -> Iterator[tuple[str, Callable[[], Ask]]]:
    """(name, what loads it) of those whose name fits; quantized networks are made before they are loaded."""
    rows: dict[str, Callable[[], Ask]] = {
        "ONNX Runtime fp32, 1 thread": lambda: OnnxRuntime(packaged(), 1).colorize,
        "ONNX Runtime fp32, 2 threads": lambda: OnnxRuntime(packaged(), 2).colorize,
        "torch eager, 1 thread": lambda: torch_eager(1),
        "torch eager, 2 threads": lambda: torch_eager(2),
        "torch.compile, 1 thread": lambda: torch_compiled(1),
        "OpenVINO fp32, 1 thread": lambda: openvino_ask(openvino_model(), 1),
        "OpenVINO fp32, 2 threads": lambda: openvino_ask(openvino_model(), 2),
        "OpenVINO bf16, 1 thread": lambda: openvino_ask(openvino_model(), 1, "bf16"),
    }
    for name, load in rows.items():
        if re.search(only, name) and (not name.startswith("OpenVINO") or installed("openvino")):
            yield name, load
    for name, wanted in INT8.items():
        if re.search(only, title := f"ONNX Runtime {name}, 1 thread"):
            content = onnx_int8(calibration, wanted)
            yield title, lambda content=content: onnx_ask(content, 1)
    if re.search(only, title := "OpenVINO int8, 1 thread") and installed("openvino") and installed("nncf"):
        model = openvino_int8(calibration)
        yield title, lambda: openvino_ask(model, 1)


def installed(package: str) -> bool:
    """Says so where it is not."""
    found = importlib.util.find_spec(package) is not None
    if not found:
        click.echo(f"{package} is not installed: what needs it is left out", err=True)
    return found


def differences(calls: Sequence[Call], truth: Sequence[Array], ask: Ask) -> dict[str, float]:
    """Against eager torch: a*b*, and CIEDE2000 with the frames' own luma."""
    largest, means, colors = [], [], []
    for call, expected in zip(calls, truth, strict=True):
        got = ask(*call)[0]
        largest.append(float(np.abs(got - expected).max()))
        means.append(float(np.abs(got - expected).mean()))
        for luma, a, b in zip(call[0][:, 0], got, expected, strict=True):
            light = 100 * cv2.resize(luma, a.shape[:0:-1], interpolation=cv2.INTER_AREA)[None]
            labs = (np.concatenate([light, ab]).astype(np.float64) for ab in (a, b))
            colors.append(float(deltaE_ciede2000(*labs, channel_axis=0).mean()))
    return {
        "ab_largest": round(max(largest), 4),
        "ab_mean": round(float(np.mean(means)), 5),
        "de00_mean": round(float(np.mean(colors)), 4),
        "de00_worst_frame": round(max(colors), 3),
    }


def timed(calls: Sequence[Call], asks: dict[str, Ask], seconds: float) -> dict[str, dict[str, float]]:
    """Milliseconds a frame by the clock and of CPU: runtimes take turns, call by call, until the time is up."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in asks}
    names, until, turn = list(asks), time.perf_counter() + seconds, 0
    while time.perf_counter() < until or turn < 5:
        call = calls[turn % len(calls)]
        for name in names if turn % 2 else names[::-1]:
            clock, cpu = time.perf_counter(), time.process_time()
            asks[name](*call)
            spent[name].append((time.perf_counter() - clock, time.process_time() - cpu))
            spent[name][-1] = tuple(1000 * value / len(call[0]) for value in spent[name][-1])
        turn += 1
    return {
        name: {
            "ms": round(statistics.median(clock for clock, _ in rows), 2),
            "cpu_ms": round(statistics.median(cpu for _, cpu in rows), 2),
            "ms_tenth": round(float(np.quantile([clock for clock, _ in rows], 0.1)), 2),
            "cpu_ms_tenth": round(float(np.quantile([cpu for _, cpu in rows], 0.1)), 2),
            "rounds": len(rows),
        }
        for name, rows in spent.items()
    }


def cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended: compilers, for one."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def gathered(films: Sequence[Path], seconds: float) -> dict[str, list[Call]]:
    """Calls without and with a painted frame."""
    return {
        name: [call for film in films for call in calls_of(film, seconds, painted)]
        for name, painted in (("automatic", False), ("painted", True))
    }


@contextmanager
def quantized(which: str, calls: Sequence[Call]) -> Iterator[None]:
    """While it lasts, the network that colors frames is the int8 one."""
    if which == "onnxruntime":
        session = onnx_session(onnx_int8(calls, INT8[CHOSEN]), 1)
        original = OnnxRuntime._session
        with patch.object(OnnxRuntime, "_session", lambda s, p: session if p == "frame" else original(s, p)):
            yield
        return
    from videocolor.models.hint.runtimes import OpenVinoRuntime

    model = openvino_int8(calls)
    before = OpenVinoRuntime._request
    made = lambda s, p: openvino_request(model, 1) if p == "frame" else before(s, p)  # noqa: E731
    with patch.object(OpenVinoRuntime, "_request", made):
        yield


def scored(clips: Path, most: int, runtime: str, protocol: str, folder: Path) -> dict[str, dict[str, float]]:
    """What the scorer says of the network alone and of the whole path."""
    overrides = [f"clips.most={most}", "clips.listed=evaluate/held_back", f"network.runtime={runtime}"]
    overrides += ["scores.metrics=[psnr_rgb,ciede2000]", "clips.seconds=2"]
    methods = {"methods": ["network", "videocolor"]}
    config = load_model(EvaluateConfig, "evaluate", f"evaluate/{protocol}", overrides, methods)
    lines = summarize(evaluate(clips, folder, config))
    return {
        label: {key: round(found[key].value, 4) for key in ("psnr_rgb", "ciede2000_mean")}
        for label, _, found in lines
        if label != "truth"
    }


def written(found: dict[str, Any], output: Path | None) -> None:
    click.echo(json.dumps(found, indent=1))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(found, indent=1) + "\n")


_FILM = click.Path(exists=True, dir_okay=False, path_type=Path)
_CALIBRATE = click.option("--calibrate", multiple=True, required=True, type=_FILM, help="Film to calibrate int8 on.")
_OUTPUT = click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path))


@click.group(help=__doc__)
def main() -> None:
    cv2.setNumThreads(1)


@main.command()
@click.argument("films", nargs=-1, required=True, type=_FILM)
@_CALIBRATE
@click.option("--seconds", default=20.0, show_default=True, help="Of timing, for each size.")
@click.option("--size", "sizes", multiple=True, type=click.Choice(["automatic", "painted"]), help="Only this one.")
@click.option("--only", default="", help="Regular expression of the rows' names.")
@_OUTPUT
def measure(
    films: tuple[Path, ...],
    calibrate: tuple[Path, ...],
    seconds: float,
    sizes: tuple[str, ...],
    only: str,
    output: Path | None,
) -> None:
    """Milliseconds and differences."""
    asked, known = gathered(films, 1.0), gathered(calibrate, 0.6)
    full = {name: [call for call in calls if len(call[0]) == 2] for name, calls in asked.items()}
    found: dict[str, Any] = {"weights": packaged().card.sha256, "films": [film.name for film in films]}
    found["calibrated_on"] = [film.name for film in calibrate]
    asks: dict[str, Ask] = {}
    loads: dict[str, tuple[float, float]] = {}
    first = full["automatic"][0]
    for name, load in runtimes([call for calls in known.values() for call in calls], only):
        began, cpu = time.perf_counter(), cpu_seconds()
        asks[name] = load()
        asks[name](*first)
        loads[name] = round(time.perf_counter() - began, 2), round(cpu_seconds() - cpu, 2)
        click.echo(f"{name}: first answer after {loads[name]} s by the clock, of CPU", err=True)
    for kind in sizes or tuple(full):
        calls = full[kind]
        calls = [call for call in calls if all(a.shape == b.shape for a, b in zip(call, calls[0], strict=True))][:12]
        truth = [TorchRuntime(packaged(), "cpu", 1).colorize(*call)[0] for call in calls]
        table = {name: differences(calls, truth, ask) for name, ask in asks.items()}
        times = timed(calls, asks, seconds)
        keys = ("load_seconds", "load_cpu_seconds")
        rows = {name: times[name] | table[name] | dict(zip(keys, loads[name], strict=True)) for name in asks}
        about = {"height_width": list(calls[0][0].shape[2:]), "batch": 2, "tokens": calls[0][1].shape[1]}
        found[kind] = about | {"rows": rows}
    written(found, output)


@main.command()
@click.argument("clips", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_CALIBRATE
@click.option("--int8", "which", type=click.Choice(["onnxruntime", "openvino"]), default="onnxruntime")
@click.option("--clips", "most", default=6, show_default=True)
@click.option("--protocol", "protocols", multiple=True, type=click.Choice(["auto", "e1"]), help="Only this one.")
@_OUTPUT
def score(
    clips: Path, calibrate: tuple[Path, ...], which: str, most: int, protocols: tuple[str, ...], output: Path | None
) -> None:
    """What the scorer says of int8."""
    calls = [call for calls in gathered(calibrate, 0.6).values() for call in calls]
    found: dict[str, Any] = {"weights": packaged().card.sha256, "int8": f"{which}, {CHOSEN}", "clips": most}
    found |= {"seconds": 2, "calibrated_on": [film.name for film in calibrate]}
    with tempfile.TemporaryDirectory() as folder:
        for protocol in protocols or ("auto", "e1"):
            plain = scored(clips, most, which, protocol, Path(folder) / f"{protocol}-fp32")
            with quantized(which, calls):
                found[protocol] = {"fp32": plain, "int8": scored(clips, most, which, protocol, Path(folder) / protocol)}
    written(found, output)


if __name__ == "__main__":
    main()
