"""The loop: resuming equals never having stopped, bad steps are skipped, packaging works."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.training_helpers import make_pack
from videocolor.errors import ConfigError, ModelError
from videocolor.models.hintnet import HintNet, Output
from videocolor.models.registry import load_colorizer
from videocolor.training import loop
from videocolor.training.checkpoint import Ema, load_checkpoint, save_checkpoint
from videocolor.training.config import DataConfig, LossConfig, OptimizerConfig, Phase, TrainConfig, load_config
from videocolor.training.losses import chroma_losses
from videocolor.training.network import learning_rate, make_optimizer
from videocolor.training.package import package


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Six steps on a made pack, without ImageNet weights."""
    make_pack(tmp_path / "pack")

    def untrained(seed: int) -> HintNet:
        torch.manual_seed(seed)
        return HintNet()

    monkeypatch.setattr(loop, "new_network", untrained)
    return TrainConfig(
        out=tmp_path / "run",
        threads=1,
        bf16=False,
        phases=(Phase(steps=4, size=32, batch=4), Phase(steps=2, size=64, batch=2)),
        data=DataConfig(pack=tmp_path / "pack", held_pack=tmp_path / "none"),
        optimizer=OptimizerConfig(warmup=2, encoder_lr=1e-4, encoder_from=15),
    )


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_equal(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return all(_equal(a, b) for a, b in zip(first, second, strict=True))
    return bool(first == second)


def test_resuming_equals_never_having_stopped(tiny: TrainConfig, tmp_path: Path) -> None:
    whole = load_checkpoint(loop.train(tiny))
    parts = tiny.model_copy(update={"out": tmp_path / "parts"})
    loop.train(parts, stop_after=3)
    resumed = load_checkpoint(loop.train(parts, resume=True))
    for part in ("step", "net", "ema", "optimizer"):
        assert _equal(whole[part], resumed[part]), part
    start = HintNet().state_dict()["decoder.out.bias"]
    assert not torch.equal(whole["net"]["decoder.out.bias"], start)


def test_a_held_back_pack_is_refused(tiny: TrainConfig) -> None:
    index = tiny.data.pack / "index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "held": True}))
    with pytest.raises(ModelError, match="held-back"):
        loop.train(tiny)


def test_steps_that_are_not_finite_are_skipped_then_fatal(tiny: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = loop.losses_of, []

    def broken(*arguments: Any) -> Any:
        calls.append(1)
        net = arguments[0]
        if len(calls) == 2:
            net.decoder.at2[1].running_var.fill_(float("nan"))
        losses = real(*arguments)
        return losses._replace(total=losses.total * float("nan")) if len(calls) == 2 else losses

    monkeypatch.setattr(loop, "losses_of", broken)
    state = load_checkpoint(loop.train(tiny))["net"]
    assert all(torch.isfinite(value).all() for value in state.values())
    monkeypatch.setattr(loop, "losses_of", lambda *a: real(*a)._replace(total=real(*a).total * float("nan")))
    monkeypatch.setattr(loop, "_BAD_STEPS", 3)
    with pytest.raises(ModelError, match="not finite"):
        loop.train(tiny)


def test_a_checkpoint_becomes_a_network(tiny: TrainConfig, tmp_path: Path) -> None:
    target = tmp_path / "made.safetensors"
    card = package(loop.train(tiny, stop_after=1), target, pack=tiny.data.pack, name="made")
    assert card.parameters > 3e6 and card.macs is not None
    net = load_colorizer(str(target), device="cpu")
    assert net.card.name == "made" and len(net.card.sha256) == 64
    assert net.step(net.begin([]), np.zeros((1, 64, 64), np.float32)).ab.shape == (1, 2, 32, 32)


def test_a_broken_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, {"step": 3})
    assert load_checkpoint(path) == {"step": 3}
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ModelError, match="not a checkpoint"):
        load_checkpoint(path)


def test_learning_rate() -> None:
    config = OptimizerConfig(lr=1.0, warmup=10)
    rates = [learning_rate(step, 100, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0, abs=0.02)
    assert rates[-1] < 0.02 and all(a >= b for a, b in pairwise(rates[10:]))


def test_frozen_blocks_are_not_optimized() -> None:
    net = HintNet()
    make_optimizer(net, OptimizerConfig())
    assert not any(p.requires_grad for p in net.encoder.parameters())
    make_optimizer(net, OptimizerConfig(encoder_lr=1e-4, encoder_from=15))
    assert {n.split(".")[1] for n, p in net.encoder.named_parameters() if p.requires_grad} == {"15"}


def test_ema_follows() -> None:
    module = torch.nn.Linear(2, 2)
    ema = Ema(module, 0.9)
    with torch.no_grad():
        module.weight.add_(1.0)
    before = ema.state["weight"].clone()
    ema.update(module, 1000)
    torch.testing.assert_close(ema.state["weight"], before + 0.1)


def test_matching_gives_up_where_the_hint_is_wrong() -> None:
    config, truth = LossConfig(), torch.full((1, 2, 32, 32), 0.2)

    def loss(confidence: float, warped: float) -> float:
        output = Output(
            torch.zeros(1, 2, 16, 16), torch.full((1, 1, 4, 4), confidence), torch.full((1, 2, 4, 4), warped)
        )
        return float(chroma_losses(output, truth, torch.tensor([True]), config).matching)

    assert loss(1.0, 0.2) < loss(0.0, 0.2)
    assert loss(1.0, -0.2) > loss(0.0, -0.2)


def test_the_presets_are_valid_and_others_are_refused(root: Path, tmp_path: Path) -> None:
    presets = sorted((root / "configs/train").glob("*.yaml"))
    assert presets
    for path in presets:
        config = load_config(path)
        assert config.phase_at(0) == config.phases[0] and config.phase_at(config.steps - 1) == config.phases[-1]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("out: x\nphases: []\nsampels: {}\n")
    with pytest.raises(ConfigError, match="sampels"):
        load_config(wrong)
