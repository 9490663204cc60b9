"""A tiny run of the keyframe network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.training_helpers import make_pack
from videocolor.errors import OutputError
from videocolor.models.artifact import load_checkpoint
from videocolor.models.keyframe.bins import make_bins
from videocolor.models.keyframe.colorizer import KeyframeColorizer
from videocolor.models.registry import find_artifact, load_colorizer
from videocolor.training.config import DataConfig, KeyframeConfig, Phase, ValidationConfig
from videocolor.training.keyframe.task import initial_network
from videocolor.training.loop import train


def tiny(folder: Path, name: str, steps: int = 6) -> KeyframeConfig:
    """Some steps on a made pack, which is validated on, too."""
    if not (folder / "pack").exists():
        make_pack(folder / "pack")
    return KeyframeConfig(
        system="keyframe",
        out=folder / name,
        threads=1,
        log_every=1,
        bf16=False,
        phases=(Phase(steps=steps, size=32, batch=4),),
        data=DataConfig(pack=folder / "pack", held_pack=folder / "pack"),
        validation=ValidationConfig(every=100, batches=1, batch=2, size=32, pictures=2),
    )


@pytest.mark.slow
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path: Path) -> None:
    train(tiny(tmp_path, "whole"))
    train(tiny(tmp_path, "parts"), stop_after=3)
    with pytest.raises(OutputError, match="--resume"):
        train(tiny(tmp_path, "parts"))
    train(tiny(tmp_path, "parts"), resume=True)
    left, right = (load_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("whole", "parts"))
    assert left["step"] == right["step"] == 6
    for name, value in left["ema"].items():
        assert torch.equal(value, right["ema"][name]), name
    lines = [json.loads(line) for line in (tmp_path / "whole/metrics.jsonl").read_text().splitlines()]
    assert {"gray_psnr", "mean_de", "distribution_chroma"} <= lines[-1].keys()
    assert (tmp_path / "whole/pictures/step_000006.jpg").is_file()


@pytest.mark.slow
def test_a_run_goes_on_from_the_packaged_network(tmp_path: Path) -> None:
    config = tiny(tmp_path, "run").model_copy(update={"start": Path("keyframe")})
    artifact = find_artifact("keyframe")
    net = initial_network(config, make_bins(np.ones((2, 3)), 0.5, 0.5))
    folded = net.folded().state_dict()
    assert folded.keys() == artifact.weights.keys()
    for name, value in folded.items():
        torch.testing.assert_close(value, torch.from_numpy(artifact.weights[name]), rtol=1e-3, atol=1e-4)
    train(config, stop_after=1)
    again = find_artifact(str(train(config, resume=True)))
    assert len(again.weights["centers"]) == len(artifact.weights["centers"]), "its bins, not those of this footage"
    assert again.training["config"]["start"] == "keyframe" and not again.training["balanced"]


@pytest.mark.slow
@pytest.mark.parametrize("runtime", [pytest.param("torch", marks=pytest.mark.slow), "onnxruntime"])
def test_a_run_colors(tmp_path: Path, runtime: str) -> None:
    weights = train(tiny(tmp_path, "run", steps=2))
    assert weights == tmp_path / "run/run.safetensors"
    luma = np.random.default_rng(0).random((2, 64, 96), np.float32)
    made = []
    for file in (weights, tmp_path / "run/checkpoint.pt"):
        colorizer = load_colorizer(str(file), runtime=runtime, threads=1)
        assert colorizer.card.name == "run" and colorizer.card.area == 352 * 192
        prediction = colorizer.step(colorizer.begin([]), luma)
        assert prediction.ab.shape == (2, 2, 16, 24) and prediction.error is not None
        assert (prediction.error >= 0).all()
        made.append(prediction.ab)
    assert made[0] == pytest.approx(made[1], abs=2), "float16 and float32"


@pytest.mark.slow
def test_runtimes_agree(tmp_path: Path) -> None:
    weights = train(tiny(tmp_path, "run", steps=2))
    luma = np.random.default_rng(0).random((64, 96), np.float32)
    eager, packaged = (load_colorizer(str(weights), runtime=name, threads=1) for name in ("torch", "onnxruntime"))
    assert isinstance(eager, KeyframeColorizer) and isinstance(packaged, KeyframeColorizer)
    left, right = eager.evidence(luma), packaged.evidence(luma)
    assert left.mean == pytest.approx(right.mean, abs=1e-2)
    assert left.scores == pytest.approx(right.scores, abs=1e-2)


def test_automatic_colors_shots_without_a_hint(tmp_path: Path) -> None:
    weights = train(tiny(tmp_path, "run", steps=2))
    both = load_colorizer("hint", automatic=str(weights), vividness=0.0, threads=1)
    alone = load_colorizer(str(weights), vividness=0.0, threads=1)
    luma = np.random.default_rng(0).random((1, 64, 96), np.float32)
    assert both.card.name == "hint" and both.card.area_automatic == alone.card.area
    assert (both.step(both.begin([]), luma).ab == alone.step(None, luma).ab).all()
