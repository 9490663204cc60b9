"""A weights file becomes a network that can go on learning."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.training.training_helpers import make_pack, tiny_config
from videocolor.errors import ModelError, UsageError
from videocolor.models.hint.runtimes import network_of
from videocolor.models.registry import find_artifact
from videocolor.training import loop
from videocolor.training.config import SampleConfig
from videocolor.training.hint.network import forward
from videocolor.training.hint.start import initial_network, unfuse_batchnorm
from videocolor.training.samples import Sampler


@pytest.mark.slow
def test_it_computes_what_the_file_does(tmp_path: Path) -> None:
    sampler = Sampler(make_pack(tmp_path), SampleConfig(), 3)
    artifact = find_artifact("hint")
    net, folded = unfuse_batchnorm(artifact, [sampler.batch(step, 8, 64) for step in range(6)]), network_of(artifact)
    batch = sampler.batch(9, 8, 64)
    with torch.no_grad():
        truth, made, again = forward(folded, batch).output, forward(net, batch).output, net.folded().state_dict()
        learning = forward(net.train(), batch).output.ab
    for name in ("ab", "error", "confidence"):
        torch.testing.assert_close(getattr(made, name), getattr(truth, name), rtol=1e-3, atol=1e-5)
    moved = (learning - truth.ab).abs().mean() / truth.ab.abs().mean()
    assert 0 < moved < 0.5, "in training each batch is normalized by itself, and hardly anything moves"
    assert again.keys() == artifact.weights.keys()
    for name, value in again.items():
        torch.testing.assert_close(value, torch.from_numpy(artifact.weights[name]), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_run_begins_with_the_packaged_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = tiny_config(tmp_path, monkeypatch)
    optimizer = tiny.optimizer.model_copy(update={"lr": 1e-12, "weight_decay": 0.0, "encoder_lr": 0.0})
    tiny = tiny.model_copy(update={"start": Path("hint"), "optimizer": optimizer})
    net = initial_network(tiny)
    assert torch.equal(net.encoder.stem.weight, torch.from_numpy(find_artifact("hint").weights["encoder.stem.weight"]))
    target = loop.train(tiny)
    assert find_artifact(str(target)).training["config"]["start"] == "hint"
    file = tiny.model_copy(update={"start": target, "out": tmp_path / "next"})
    assert initial_network(file).encoder is not None
    with pytest.raises(UsageError, match="no network is named"):
        initial_network(tiny.model_copy(update={"start": Path("hnt"), "out": tmp_path}))


def test_weights_of_another_network() -> None:
    artifact = find_artifact("hint")
    artifact.weights["decoder.other.weight"] = artifact.weights.pop("decoder.out.weight")
    with pytest.raises(ModelError, match=r"decoder\.other\.weight"):
        unfuse_batchnorm(artifact, [])
