"""Networks by name, weights files, and what is said about wrong ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from videocolor.errors import ModelError, UsageError
from videocolor.models.artifact import read_artifact, write_artifact
from videocolor.models.base import HintInput, ModelCard
from videocolor.models.hint.colorizer import HintColorizer
from videocolor.models.hint.network import no_scribbles
from videocolor.models.registry import export_model, list_models, load_colorizer
from videocolor.models.runtimes import graph_path

WEIGHTS = graph_path("hintnet-4", "frame").with_name("hint.safetensors")


def test_importing_the_registry_and_listing_load_no_torch() -> None:
    code = "import sys; from videocolor import list_models; list_models(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_default_network_is_packaged_small_and_described() -> None:
    cards = {card.name: card for card in list_models()}
    card = cards["hint"]
    assert card.hints == "many"
    assert card.parameters < 5e6
    assert card.macs is not None and card.macs < 1e9
    assert card.licence and len(card.sha256) == 64
    weights = Path(sys.modules["videocolor.models.registry"].__file__ or "").parent / "weights" / "hint.safetensors"
    assert weights.stat().st_size <= 14e6
    training = read_artifact(weights).training
    counts = training["licences"]
    assert counts["clip"] and counts["image"]
    assert not any("non-commercial" in text.lower() or "BY-NC" in text for kind in counts.values() for text in kind)


def test_simple_colorizers() -> None:
    luma = np.zeros((3, 64, 96), np.float32)
    constant, gray = load_colorizer("constant"), load_colorizer("gray")
    assert constant.step(constant.begin([]), luma).ab.shape == (3, 2, 32, 48)
    assert constant.step(constant.begin([]), luma).ab.any()
    assert not gray.step(gray.begin([]), luma).ab.any()


@pytest.mark.parametrize("name", ["nosuch", "hint2"])
def test_an_unknown_name_lists_the_names(name: str) -> None:
    with pytest.raises(UsageError, match=r"constant.*hint"):
        load_colorizer(name)


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such weights file"):
        load_colorizer(str(tmp_path / "missing.safetensors"))
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"not a model" * 100)
    with pytest.raises(ModelError, match="garbage"):
        load_colorizer(str(garbage))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    card = ModelCard("other", "Other", "many", 1, None)
    write_artifact(path, {"scale": np.float32(3.5)}, card, "hintnet-4", {})
    for runtime in ("torch", "onnxruntime"):
        with pytest.raises(ModelError, match="other"):
            load_colorizer(str(path), runtime=runtime, device="cpu")
    write_artifact(path, {"scale": np.float32(np.nan)}, card, "hintnet-4", {})
    with pytest.raises(ModelError, match="not finite"):
        load_colorizer(str(path))


def test_wrong_runtime_and_device() -> None:
    with pytest.raises(UsageError, match="onnxruntime"):
        load_colorizer("hint", runtime="tensorrt")
    with pytest.raises(UsageError, match="cuda"):
        load_colorizer("hint", device="gpu")


def test_export_writes_whole_files(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    frame, encode, *_ = export_model("hint", tmp_path / "net.onnx")
    luma = np.random.default_rng(0).random((2, 64, 96), dtype=np.float32)
    ab = np.full((2, 64, 96), 20, np.float32)
    net = load_colorizer("hint", device="cpu")
    assert isinstance(net, HintColorizer)
    expected = net.step(net.begin([HintInput(luma[0], ab)])._replace(calibration=None), luma)
    tokens = ort.InferenceSession(encode).run(
        None, {"luma": luma[:1, None], "ab": ab[None] / np.float32(110), "mask": np.ones((1, 1, 64, 96), np.float32)}
    )
    names = dict(zip(("keys", "values", "valid"), tokens, strict=True))
    names |= {
        "luma": luma[:, None],
        "scribbles": no_scribbles().numpy(),
        "propagated": np.zeros((2, 4, 32, 48), np.float32),
    }
    got = ort.InferenceSession(frame).run(None, names)
    np.testing.assert_allclose(got[0], expected.ab, atol=1e-3 * np.abs(expected.ab).max())
