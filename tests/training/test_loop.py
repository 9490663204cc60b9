"""The loop: resuming equals never having stopped, bad steps are skipped, packaging works."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.training_helpers import tiny_config, trained
from videocolor.errors import ModelError, OutputError
from videocolor.models.artifact import load_checkpoint
from videocolor.models.hint.network import HintNet, Output
from videocolor.models.registry import load_colorizer
from videocolor.training import loop
from videocolor.training.averaged import Ema, learning_rate
from videocolor.training.config import LossConfig, OptimizerConfig, TrainConfig
from videocolor.training.hint import start
from videocolor.training.hint.network import Trainee, chroma_losses, make_optimizer
from videocolor.training.loop import save_checkpoint


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Six steps on a made pack, without ImageNet weights."""
    return tiny_config(tmp_path, monkeypatch)


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_equal(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return all(_equal(a, b) for a, b in zip(first, second, strict=True))
    return bool(first == second)


def _rows(config: TrainConfig) -> list[dict[str, Any]]:
    """Lines of metrics.jsonl without what the clock says."""
    rows = [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in ("samples_per_s", "waited")} for row in rows]


def test_resuming_equals_never_having_stopped(tiny: TrainConfig, tmp_path: Path) -> None:
    whole = trained(tiny)
    parts = tiny.model_copy(update={"out": tmp_path / "parts", "workers": 2})
    loop.train(parts, stop_after=3)
    with (parts.out / "metrics.jsonl").open("a") as lost:  # what a run that was killed wrote behind its checkpoint
        lost.write('{"step": 4, "total": 99}\n{"step": 5, "to')
    resumed = trained(parts, resume=True)
    for part in ("step", "net", "ema", "optimizer", "torch_rng"):
        assert _equal(whole[part], resumed[part]), part
    assert [row["step"] for row in _rows(tiny)] == [1, 2, 3, 4, 5, 6]
    assert _rows(tiny) == _rows(parts)
    initial = HintNet().state_dict()["decoder.out.bias"]
    assert not torch.equal(whole["net"]["decoder.out.bias"], initial)


def test_a_run_is_not_written_over(tiny: TrainConfig, caplog: pytest.LogCaptureFixture) -> None:
    path = loop.train(tiny, stop_after=1)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="--resume"):
        loop.train(tiny)
    assert path.read_bytes() == before
    changed = tiny.model_copy(update={"optimizer": tiny.optimizer.model_copy(update={"lr": 0.5})})
    loop.train(changed, resume=True, stop_after=1)
    assert "optimizer" in caplog.text and "seed" not in caplog.text


def test_a_held_back_pack_is_refused(tiny: TrainConfig) -> None:
    index = tiny.data.pack / "index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "held": True}))
    with pytest.raises(ModelError, match="held-back"):
        loop.train(tiny)


@pytest.mark.slow
def test_steps_that_are_not_finite_are_skipped_then_fatal(tiny: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = Trainee.forward, []

    def broken(trainee: Trainee, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            trainee.net.decoder.at2[1].running_var.fill_(float("nan"))
        losses = real(trainee, *arguments)
        return losses._replace(total=losses.total * float("nan")) if len(calls) == 2 else losses

    monkeypatch.setattr(Trainee, "forward", broken)
    weights = trained(tiny)["net"]
    assert all(torch.isfinite(value).all() for value in weights.values())
    monkeypatch.setattr(Trainee, "forward", lambda *a: real(*a)._replace(total=real(*a).total * float("nan")))
    monkeypatch.setattr(loop, "_BAD_STEPS", 3)
    with pytest.raises(ModelError, match="not finite"):
        loop.train(tiny.model_copy(update={"out": tiny.out / "again"}))


@pytest.mark.slow
def test_a_checkpoint_colors(tiny: TrainConfig) -> None:
    net = load_colorizer(str(loop.train(tiny, stop_after=1)), device="cpu")
    assert net.card.name == "run" and net.card.parameters > 3e6 and net.card.macs is not None
    assert net.step(net.begin([]), np.zeros((1, 64, 64), np.float32)).ab.shape == (1, 2, 32, 32)


@pytest.mark.slow
def test_a_run_begins_with_an_earlier_ones_weights(tiny: TrainConfig, tmp_path: Path) -> None:
    earlier = loop.train(tiny, stop_after=2)
    weights = load_checkpoint(earlier)["ema"]
    first = tiny.model_copy(update={"out": tmp_path / "next", "start": earlier})
    optimizer = tiny.optimizer.model_copy(update={"lr": 1e-12, "weight_decay": 0.0, "encoder_lr": 0.0})
    later = loop.train(first.model_copy(update={"optimizer": optimizer}), stop_after=1)
    notes = load_checkpoint(later)["artifact"]["training"]["config"]
    assert notes["start"] == "run" and str(tmp_path) not in str(notes), "a run's name, no folder"
    went = load_checkpoint(later)["net"]
    torch.testing.assert_close(went["decoder.out.weight"], weights["decoder.out.weight"], rtol=0, atol=1e-6)
    blend = first.model_copy(update={"out": tmp_path / "blend", "start": (earlier, later)})
    mixed = start.initial_network(blend).state_dict()["decoder.out.weight"]
    both = [load_checkpoint(path)["ema"]["decoder.out.weight"] for path in (earlier, later)]
    torch.testing.assert_close(mixed, (both[0] + both[1]) / 2, rtol=0, atol=1e-7)
    with pytest.raises(ModelError, match="do not fit"):
        start.begin_with(HintNet(), {**weights, "decoder.at2.0.weight": weights["decoder.at2.0.weight"][:, :-4]})


def test_a_broken_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, {"step": 3})
    assert load_checkpoint(path) == {"step": 3}
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ModelError, match="not a readable checkpoint"):
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
        ab = torch.zeros(1, 2, 16, 16)
        output = Output(
            ab, ab, torch.ones(1, 1, 16, 16), torch.full((1, 1, 4, 4), confidence), torch.full((1, 2, 4, 4), warped)
        )
        yes, no = torch.tensor([True]), torch.tensor([False])
        return float(chroma_losses(output, truth, yes, no, no, config).matching)

    assert loss(1.0, 0.2) < loss(0.0, 0.2)
    assert loss(1.0, -0.2) > loss(0.0, -0.2)


def test_small_errors_count_for_more_where_a_hint_tells() -> None:
    def loss(error: float, full_hint: bool, full_hint_beta: float | None) -> float:
        config = LossConfig(full_hint_beta=full_hint_beta, chroma_weight=0, own=0)
        truth, ab = torch.zeros(2, 2, 32, 32), torch.full((2, 2, 16, 16), error)
        output = Output(ab, ab, torch.ones(2, 1, 16, 16), torch.zeros(2, 1, 4, 4), torch.zeros(2, 2, 4, 4))
        no = torch.zeros(2, dtype=torch.bool)
        return float(chroma_losses(output, truth, no, no, torch.tensor([full_hint, full_hint]), config).color)

    assert loss(0.05, False, 0.02) == pytest.approx(0.05**2 / 0.2)
    assert loss(0.05, True, None) == pytest.approx(0.05**2 / 0.2)
    assert loss(0.05, True, 0.02) == pytest.approx(0.05 - 0.01)
    assert loss(0.01, True, 0.02) == pytest.approx(0.01**2 / 0.04)
