"""Networks by name: which there are, and loading one. Imports neither torch nor ONNX Runtime until one is loaded."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import numpy as np

from videocolor.errors import ModelError, UsageError
from videocolor.models.artifact import Artifact, read_artifact, read_card, read_checkpoint
from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.plugins import find, installed, is_plugin
from videocolor.presets import config_root, list_presets, read_yaml, suggest
from videocolor.types import Array

__all__ = [
    "automatic_partner",
    "export_model",
    "find_artifact",
    "is_packaged",
    "list_models",
    "load_colorizer",
    "published_file",
    "weights_file",
]

_WEIGHTS: Final = Path(__file__).parent / "weights"
_PUBLISHED: Final = _WEIGHTS / "published"
_ALIASES: Final = {"default": "hint"}
_CONSTANT = ModelCard(
    name="constant",
    title="One a*b* everywhere (a tint); for tests and benchmarks",
    hints="none",
    parameters=0,
    macs=0,
    licence="Apache-2.0",
)
_GRAY = ModelCard(
    name="gray",
    title="No color at all; the floor that others are measured by",
    hints="none",
    parameters=0,
    macs=0,
    licence="Apache-2.0",
)
_SIMPLE: Final = {"constant": (_CONSTANT, (12.0, 18.0)), "gray": (_GRAY, (0.0, 0.0))}
_RUNTIMES: Final = ("auto", "torch", "onnxruntime", "openvino")
_CPU_ONLY: Final = ("onnxruntime", "openvino")
_HINTNET: Final = "hintnet-"
_KEYFRAME: Final = "keyframe-"
_LOADERS: Final[dict[str, str]] = {
    "published-h": "videocolor.published.hetero:HeteroColorizer.load",
    "published-r": "videocolor.published.residual:ResidualColorizer.load",
    "published-f": "videocolor.published.fusion:FusionColorizer.load",
    "published-p": "videocolor.published.patches:load_patches",
}
"""Architecture in a weights file -> `module:function`: (artifact, device, threads) -> Colorizer."""


class ConstantColorizer(Colorizer):
    """The same a*b* for every pixel of every frame.

    Args:
        card: of the network.
        ab: CIE Lab a*, b*.
    """

    def __init__(self, card: ModelCard, ab: tuple[float, float]) -> None:
        self.card = card
        self._ab = np.asarray(ab, np.float32)[None, :, None, None]

    def begin(self, hints: Sequence[HintInput]) -> None:
        """Ignore hints."""

    def step(self, _state: None, luma: Array, _propagated: Array | None = None, /) -> Prediction:
        """Return (n, 2, h/2, w/2) of the constant."""
        n, h, w = luma.shape
        return Prediction(np.broadcast_to(self._ab, (n, 2, h // 2, w // 2)).copy())


def list_models() -> list[ModelCard]:
    """List the cards of the packaged networks, the default first."""
    packaged = [read_card(path)[0] for path in sorted(_WEIGHTS.glob("*.safetensors"))]
    return [*packaged, *(card for card, _ in _SIMPLE.values())]


def load_colorizer(
    name_or_path: str | Path,
    *,
    device: str = "auto",
    runtime: str = "auto",
    threads: int | None = None,
    automatic: str | None = None,
    vividness: float = 0.5,
) -> Colorizer:
    """Load a network.

    Args:
        name_or_path: a packaged name (`default` is `hint`); a weights file of `videocolor train`, its run's folder or
            its checkpoint.pt; `published/PRESET`, which is what that preset trained, or else what is packaged of it; an
            ONNX file with a card beside it (docs/guides/own-models.md); or a plug-in (docs/developing/adding.md): a
            `Colorizer`, named `module:Class` or by its entry point, constructed as Class(device, threads).
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        runtime: `auto` (ONNX Runtime on a CPU, torch on CUDA), `torch`, `onnxruntime`, or `openvino` (an extra).
        threads: CPU threads of the network; None: as many as there are cores.
        automatic: another network for shots without a hint, named likewise; None: the same.
        vividness: of the keyframe network, 0..1; see `videocolor.models.keyframe.regions.choose_chroma`.

    Raises:
        UsageError: no such name, device or runtime, or two networks that do not go together.
        ModelError: the file is missing, damaged, or not a network of ours.
        DeviceError: the device is not there.
    """
    name_or_path = str(name_or_path)
    settings: dict[str, Any] = {"device": device, "runtime": runtime, "threads": threads, "vividness": vividness}
    loaded = _load(name_or_path, **settings)
    if automatic is None or automatic == name_or_path:
        return loaded
    if loaded.card.hints == "none":
        raise UsageError(f"model.automatic: {name_or_path} takes no hints and colors every shot; leave it out")
    from videocolor.models.automatic import AutomaticColorizer

    # The packaged pair is one choice: what cannot execute the second network does not forbid the first.
    pair = settings | {"runtime": "auto"} if runtime == "openvino" and automatic == "keyframe" else settings
    return AutomaticColorizer(loaded, _load(automatic, **pair))


def automatic_partner(name: str, automatic: str | None) -> str | None:
    """Name the network that colors shots without a hint beside `name`; None: `name` itself."""
    return automatic or ("keyframe" if _ALIASES.get(name, name) == "hint" else None)


def _load(name_or_path: str, *, device: str, runtime: str, threads: int | None, vividness: float) -> Colorizer:
    """Load one network; arguments and errors are those of `load_colorizer`."""
    if runtime not in _RUNTIMES:
        raise UsageError(f"runtime {runtime!r}: expected one of {', '.join(_RUNTIMES)}")
    if device not in ("auto", "cpu", "cuda") and not (device.startswith("cuda:") and device[5:].isdecimal()):
        raise UsageError(f"device {device!r}: expected auto, cpu, cuda or cuda:N")
    name = _ALIASES.get(name_or_path, name_or_path)
    if name in _SIMPLE:
        return ConstantColorizer(*_SIMPLE[name])
    if not is_packaged(name) and is_plugin(name, "colorizers"):
        return _load_plugin(name, device, threads)
    if name.lower().endswith(".onnx"):
        if runtime not in ("auto", "onnxruntime"):
            raise UsageError(f"{name}: an ONNX file runs in ONNX Runtime only; leave out model.runtime")
        from videocolor.models.onnx.colorizer import load_user_onnx

        return load_user_onnx(Path(name), device, threads)
    artifact = find_artifact(name, deferred=is_packaged(name))
    if artifact.architecture in _LOADERS:
        if runtime in _CPU_ONLY:
            raise UsageError(
                f"{name}: architecture {artifact.architecture} runs in torch only; leave out model.runtime"
            )
        module, function = _LOADERS[artifact.architecture].split(":")
        load: Callable[[Artifact, str, int | None], Colorizer]
        load = attrgetter(function)(importlib.import_module(module))
        return load(artifact, _device(device, runtime), threads)
    if artifact.architecture.startswith(_KEYFRAME):
        return _load_keyframe(artifact, device, runtime, threads, vividness)
    if not artifact.architecture.startswith(_HINTNET):
        known = ", ".join([f"{_HINTNET}N", f"{_KEYFRAME}N", *_LOADERS])
        raise ModelError(f"{name}: architecture {artifact.architecture!r} is unknown here; expected {known}")
    # The packaged network fits its graph, and a film without a hint does not need it.
    return _load_network(artifact, device, runtime, threads, packaged=name in _names())


def export_model(name_or_path: str | Path, path: str | Path, *, overwrite: bool = False) -> list[Path]:
    """Write a network for other programs; docs/guides/export.md says how to use the files.

    Args:
        name_or_path: as for `load_colorizer`; the hint network or a published system.
        path: FILE.onnx, or of the hint network FILE.xml for OpenVINO IR; colors frames. Others are named after it.
        overwrite: replace files that are there.

    Returns:
        The files written; the last is the card, with what each tensor means and the sha256 of each file.

    Raises:
        UsageError, ModelError: as `load_colorizer`; or the network has no weights; or a package is not installed.
        OutputError: the folder cannot be written, or a file is there.
    """
    name = _ALIASES.get(str(name_or_path), str(name_or_path))
    if name in _SIMPLE:
        raise UsageError(f"{name} has no weights to export")
    artifact = find_artifact(name)
    if artifact.architecture in _LOADERS:
        write: Callable[..., list[Path]] = importlib.import_module("videocolor.published.export").write_system
        return write(artifact, load_colorizer(name, device="cpu"), Path(path), overwrite=overwrite)
    if not artifact.architecture.startswith(_HINTNET):
        raise UsageError(f"{name}: the keyframe network is not exported; the hint network and published systems are")
    from videocolor.models.hint.export import write_network

    return write_network(artifact, Path(path), overwrite=overwrite)


def _load_plugin(name: str, device: str, threads: int | None) -> Colorizer:
    """Construct a network from a class that is not ours; see docs/developing/adding.md."""
    found = find(name, "colorizers", "model.name")
    if not (isinstance(found, type) and issubclass(found, Colorizer)):
        raise UsageError(f"model.name {name}: is no videocolor.models.base.Colorizer")
    make: Callable[[str, int | None], Colorizer] = found
    return make(device, threads)


def _names() -> list[str]:
    return sorted({path.stem for path in _WEIGHTS.rglob("*.safetensors")} | set(_SIMPLE) | set(_ALIASES))


def is_packaged(name: str) -> bool:
    """Whether a name stands for a network that comes with the package."""
    return name in _names()


def weights_file(name: str) -> Path:
    """Find the file of weights that a name stands for, a checkpoint.pt among them; it is not read.

    Args:
        name: as for `load_colorizer`, but of a network with weights.

    Raises:
        UsageError: no such name.
        ModelError: no such file, or a published system that was not trained.
    """
    name = _ALIASES.get(name, name)
    packaged = [folder / f"{name}.safetensors" for folder in (_WEIGHTS, _PUBLISHED)]
    path = next((file for file in packaged if "/" not in name and file.is_file()), None) or _trained(name)
    if path.is_file():
        return path
    system = name.removeprefix("published/")
    presets = [preset.name.removeprefix("train/published/") for preset in list_presets("train/published")]
    if system in presets:
        raise ModelError(f"{name}: not trained yet, {path} is missing: videocolor train --config published/{system}")
    known = sorted({*_names(), *presets, *installed("colorizers")})
    if not name.startswith("published/") and (path.suffix or "/" in name):
        raise ModelError(f"{name}: no such weights file; packaged networks: {', '.join(_names())}")
    near = suggest(system, known)
    raise UsageError(f"no network is named {name!r}{near}; there are {', '.join(known)}, or give a .safetensors file")


def find_artifact(name: str, *, deferred: bool = False) -> Artifact:
    """Read a weights file.

    Args:
        name: as for `load_colorizer`, but no ONNX file.
        deferred: see `read_artifact`.

    Raises:
        UsageError: no such name.
        ModelError: the file is missing, damaged, or not a network of ours.
    """
    path = weights_file(name)
    artifact = read_artifact(path, deferred=deferred) if path.suffix != ".pt" else read_checkpoint(path)
    own = path.parent.name if path.suffix == ".pt" else path.stem
    return replace(artifact, card=replace(artifact.card, name=own))


def published_file(name: str) -> tuple[Path | None, bool]:
    """Find the weights of a published system by its preset's name: (file or None, whether it is the packaged one)."""
    packaged = _PUBLISHED / f"{name}.safetensors"
    path = packaged if packaged.is_file() else _trained(f"published/{name}")
    return (path if path.is_file() else None), path == packaged


def _trained(name: str) -> Path:
    """Find where the weights of a name that is not packaged should be: a file, a run's folder, or a preset's run."""
    path = Path(name)
    preset = config_root() / "train" / "published" / f"{name.removeprefix('published/')}.yaml"
    if not path.exists() and preset.is_file():
        path = Path(read_yaml(preset)["out"])
        if not path.is_dir():
            packaged = _PUBLISHED / f"{path.name}.safetensors"
            return packaged if packaged.is_file() else path / f"{path.name}.safetensors"
    if not path.is_dir():
        return path
    found = [path / f"{path.name}.safetensors", *sorted(path.glob("*.safetensors")), path / "checkpoint.pt"]
    return next((file for file in found if file.is_file()), found[0])


def _load_network(artifact: Artifact, device: str, runtime: str, threads: int | None, *, packaged: bool) -> Colorizer:
    from videocolor.models.hint.colorizer import HintColorizer, Runtime
    from videocolor.models.hint.runtimes import OnnxRuntime, OpenVinoRuntime, TorchRuntime

    device, runtime = _placed(device, runtime)
    loaded: Runtime
    if runtime == "onnxruntime":
        loaded = OnnxRuntime(artifact, threads, deferred=packaged)
    elif runtime == "openvino":
        loaded = OpenVinoRuntime(artifact, threads)
    else:
        loaded = TorchRuntime(artifact, device, threads)
    return HintColorizer(artifact.card, loaded)


def _load_keyframe(artifact: Artifact, device: str, runtime: str, threads: int | None, vividness: float) -> Colorizer:
    from videocolor.models.keyframe.colorizer import KeyframeColorizer
    from videocolor.models.keyframe.runtimes import OnnxRuntime, TorchRuntime

    if runtime == "openvino":
        raise UsageError(
            f"{artifact.card.name}: the keyframe network runs in onnxruntime and torch, not in openvino; "
            "leave out model.runtime"
        )
    device, runtime = _placed(device, runtime)
    loaded = OnnxRuntime(artifact, threads) if runtime == "onnxruntime" else TorchRuntime(artifact, device, threads)
    return KeyframeColorizer(artifact.card, loaded, vividness)


def _placed(device: str, runtime: str) -> tuple[str, str]:
    """Resolve `auto` of both."""
    device = _device(device, runtime)
    if runtime == "auto":
        runtime = "onnxruntime" if device == "cpu" and importlib.util.find_spec("onnxruntime") else "torch"
    if runtime in _CPU_ONLY and device != "cpu":
        raise UsageError(f"runtime {runtime} works on the CPU here; for {device!r} use runtime torch")
    return device, runtime


def _device(device: str, runtime: str) -> str:
    """Resolve `auto`."""
    if device != "auto":
        return device
    return "cuda" if runtime not in _CPU_ONLY and _cuda_usable() else "cpu"


def _cuda_usable() -> bool:
    """Whether torch sees CUDA; torch is imported only where an NVIDIA driver shows."""
    if not (shutil.which("nvidia-smi") or Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()):
        return False
    import torch

    return bool(torch.cuda.is_available())
