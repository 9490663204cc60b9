"""Exported files against torch, and the card beside them."""

from __future__ import annotations

import builtins
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from videocolor.cli import cli
from videocolor.errors import OutputError, UsageError
from videocolor.hints.plan import hint_input
from videocolor.models.base import HintInput
from videocolor.models.hint.colorizer import AB_SCALE, HintColorizer
from videocolor.models.hint.export import openvino_core
from videocolor.models.hint.network import no_scribbles
from videocolor.models.registry import export_model, list_models, load_colorizer
from videocolor.types import Hint

Array = np.ndarray[Any, Any]
Run = Callable[[Path, dict[str, Array]], list[Array]]


def run_onnx(path: Path, inputs: dict[str, Array]) -> list[Array]:
    import onnxruntime

    outputs: list[Array] = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, inputs)
    return outputs


def run_openvino(path: Path, inputs: dict[str, Array]) -> list[Array]:
    """By the names that the file gives, as another program would."""
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    model = openvino_core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = model.create_infer_request().infer(inputs)
    return [np.array(results[port]) for port in model.outputs]


@pytest.mark.parametrize(
    ("suffix", "run"), [(".onnx", run_onnx), pytest.param(".xml", run_openvino, marks=pytest.mark.slow)]
)
def test_exported_files_equal_torch(suffix: str, run: Run, tmp_path: Path) -> None:
    """Hints to tokens, tokens to color, with what motion propagated, at a size and batch of its own."""
    pytest.importorskip("onnx")
    if suffix == ".xml":
        pytest.importorskip("openvino", reason="the extra openvino is not installed")
    written = export_model("hint", tmp_path / f"net{suffix}")
    frame, encode = tmp_path / f"net{suffix}", tmp_path / f"net.encode{suffix}"
    assert {frame, encode} <= set(written)
    net = load_colorizer("hint", device="cpu", runtime="torch")
    assert isinstance(net, HintColorizer)
    rng = np.random.default_rng(3)
    luma = rng.random((3, 64, 96), np.float32)
    hints = [HintInput(luma[i], np.full((2, 64, 96), ab, np.float32)) for i, ab in enumerate((30, -25))]
    propagated = rng.random((3, 4, 32, 48), np.float32)
    propagated[:, :2] = propagated[:, :2] * 60 - 30
    propagated[:, 3] -= 0.5
    expected = net.step(net.begin(hints)._replace(calibration=None), luma, propagated)
    ab = np.stack([hint.ab for hint in hints]) / np.float32(AB_SCALE)
    tokens = run(encode, {"luma": luma[:2, None], "ab": ab, "mask": np.ones((2, 1, 64, 96), np.float32)})
    keys, values, valid = (part.reshape(1, -1, *part.shape[2:]) for part in tokens)
    propagated[:, :2] /= np.float32(AB_SCALE)
    tokens = {"keys": keys, "values": values, "valid": valid, "scribbles": no_scribbles().numpy()}
    inputs = {"luma": luma[:, None], **tokens, "propagated": propagated}
    got = run(frame, inputs)
    assert np.abs(expected.ab).max() > 5
    np.testing.assert_allclose(got[0], expected.ab, rtol=0, atol=1e-3 * np.abs(expected.ab).max())
    assert expected.confidence is not None and expected.error is not None
    np.testing.assert_allclose(got[1][:, 0], expected.confidence, rtol=0, atol=1e-3)
    np.testing.assert_allclose(got[2][:, 0], expected.error, rtol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_the_card_lies_beside(suffix: str, tmp_path: Path) -> None:
    """The packaged card, and the sha256 of every file that was written."""
    onnx = pytest.importorskip("onnx")
    if suffix == ".xml":
        pytest.importorskip("openvino", reason="the extra openvino is not installed")
    done = CliRunner().invoke(cli, ["models", "export", "hint", "-o", str(tmp_path / f"net{suffix}")])
    assert done.exit_code == 0, done.output
    again = CliRunner().invoke(cli, ["models", "export", "hint", "-o", str(tmp_path / f"net{suffix}")])
    assert again.exit_code == 1 and "exists; --overwrite" in again.output
    about = json.loads((tmp_path / f"net{suffix}.card.json").read_text())
    card = list_models()[0].as_dict()
    assert about["card"] == json.loads(json.dumps(card)) and len(card["sha256"]) == 64
    files = {path.name for path in tmp_path.iterdir()} - {f"net{suffix}.card.json"}
    assert set(about["files"]) == files and len(files) == (3 if suffix == ".onnx" else 6)
    for name, sha256 in about["files"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == sha256
    if suffix == ".onnx":
        import onnxruntime

        for name, ports in about["graphs"].items():
            session = onnxruntime.InferenceSession(tmp_path / name)
            for side, entries in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
                assert [entry.name for entry in entries] == list(ports[side]), name
                for entry in entries:
                    for axis, said in zip(entry.shape, ports[side][entry.name]["shape"], strict=True):
                        assert axis == said or isinstance(axis, str), (name, entry.name)
        inside = {p.key: p.value for p in onnx.load(tmp_path / "net.onnx").metadata_props}
        assert inside == {f"videocolor.{key}": str(value) for key, value in card.items()}


@pytest.mark.slow
@pytest.mark.parametrize("given", ["hint", "points", "nothing"])
def test_the_documented_script_gives_the_colors_of_the_package(
    given: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    (script,) = re.findall(r"```python\n(.*?)```", (root / "docs/guides/export.md").read_text(), re.DOTALL)
    lines = [line for line in script.splitlines() if line]
    assert len(lines) <= 25 and re.findall(r"import (\w+)", script) == ["numpy", "onnxruntime"]
    monkeypatch.chdir(tmp_path)
    export_model("hint", tmp_path / "hint.onnx")
    rng = np.random.default_rng(5)
    rgb = cv2.resize(rng.random((5, 7, 3), np.float32), (96, 64)).clip(0, 1)
    mask = np.ones((64, 96), np.float32)
    if given != "hint":
        mask *= 0
        mask[30:37, 40:47] = given == "points"
        script = script.replace("np.ones(hint.shape[:2])", "np.load('mask.npy')")
    np.save("mask.npy", mask)
    np.save("hint.npy", rgb)
    np.save("frame.npy", rgb.mean(axis=2))
    exec(script, {})
    net = load_colorizer("hint", device="cpu", threads=1)
    assert isinstance(net, HintColorizer)
    hint = replace(hint_input(Hint("hint", rgb), (64, 96), in_shot=True), mask=mask)
    state = net.begin([hint] if mask.any() else [])
    assert (state.calibration is None) == (given != "hint")
    expected = net.step(state, rgb.mean(axis=2)[None]).ab[0]
    np.testing.assert_allclose(np.load("ab.npy"), expected, atol=0.05)
    assert np.abs(expected).max() > 5


def test_wrong_names_and_places(tmp_path: Path) -> None:
    for name in ("net", "net.pt", "net.bin"):
        with pytest.raises(UsageError, match=r"\.onnx.*\.xml"):
            export_model("hint", tmp_path / name)
    pytest.importorskip("onnx")
    with pytest.raises(OutputError, match="nowhere"):
        export_model("hint", tmp_path / "nowhere" / "net.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("package", "suffix"), [("openvino", ".xml"), ("onnx", ".onnx")])
def test_a_missing_package_is_named_with_the_remedy(
    package: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if package == "openvino":
        pytest.importorskip("onnx")
    original = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == package:
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    done = CliRunner().invoke(cli, ["models", "export", "hint", "-o", str(tmp_path / f"net{suffix}")])
    assert done.exit_code != 0 and not list(tmp_path.iterdir())
    assert isinstance(done.exception, UsageError | SystemExit)
    with pytest.raises(UsageError, match=rf"videocolor\[{package}\]"):
        export_model("hint", tmp_path / f"net{suffix}")
    if package == "openvino":  # as in a process that has no core yet
        monkeypatch.setattr("videocolor.models.hint.runtimes.openvino_core", openvino_core.__wrapped__)
        with pytest.raises(UsageError, match=r"videocolor\[openvino\]"):
            load_colorizer("hint", device="cpu", runtime="openvino")


def test_openvino_is_for_the_cpu_and_for_the_hint_network(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="openvino works on the CPU"):
        load_colorizer("hint", device="cuda", runtime="openvino")
    with pytest.raises(UsageError, match="ONNX Runtime only"):
        load_colorizer(str(tmp_path / "net.onnx"), device="cpu", runtime="openvino")


_TWO_RELEASED = """
import gc, os, signal
from videocolor.models.registry import load_colorizer
heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
first, second = (load_colorizer("hint", device="cpu", runtime="openvino", threads=1) for _ in range(2))
del first
gc.collect()
del second
gc.collect()
os.kill(os.getpid(), signal.SIGUSR1)
assert heard
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_signals_are_handled_after_networks_of_openvino_are_released(root: Path) -> None:
    """A core of its own per network left an unmapped signal stack; the next signal ended the process by SIGSEGV."""
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", _TWO_RELEASED], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
