"""Automatic color is kept to while hinted color is taught."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.training_helpers import tiny_config
from videocolor.datasets.pack import PackReader
from videocolor.errors import ConfigError
from videocolor.models.hint.network import Output, no_propagated, no_tokens
from videocolor.training import loop
from videocolor.training.config import LossConfig, SampleConfig
from videocolor.training.hint import network, start
from videocolor.training.hint.network import Losses, Trainee, chroma_losses, tensors
from videocolor.training.samples import Sampler


def test_without_a_hint_the_colors_before_are_asked_for() -> None:
    torch.manual_seed(1)
    ab, target = torch.rand(3, 2, 8, 8) - 0.5, torch.rand(3, 2, 16, 16) - 0.5
    output = Output(ab, ab, torch.full((3, 1, 8, 8), 0.2), torch.ones(3, 1, 2, 2), torch.zeros(3, 2, 2, 2))
    hinted, none = torch.tensor([False, True, False]), torch.zeros(3, dtype=torch.bool)
    truth = torch.nn.functional.avg_pool2d(target, 2)
    full_hint = chroma_losses(output, target, hinted, none, none, LossConfig())
    same = chroma_losses(output, target, hinted, none, none, LossConfig(), kept=truth[~hinted])
    torch.testing.assert_close(tuple(full_hint), tuple(same))
    kept = chroma_losses(output, target, hinted, none, none, LossConfig(), kept=ab[~hinted])
    alone = chroma_losses(
        Output(*(part[1:2] for part in output)), target[1:2], hinted[1:2], none[1:2], none[1:2], LossConfig()
    )
    torch.testing.assert_close(3 * kept.color, alone.color, msg="what is as before costs nothing")
    torch.testing.assert_close(kept.error, full_hint.error, msg="what error to expect is learned from the truth")


@pytest.mark.slow
def test_a_step_is_told_what_the_network_made_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = tiny_config(tmp_path, monkeypatch)
    settings = tiny.model_copy(update={"start": Path("hint"), "loss": LossConfig(keep_automatic=True)})
    before = start.kept_network(settings, torch.device("cpu"))
    assert before is not None and not before.training and not any(p.requires_grad for p in before.parameters())
    full_hint: list[torch.Tensor | None] = []

    def losses(*values: Any) -> Losses:
        full_hint.append(values[-1])
        return chroma_losses(*values)

    monkeypatch.setattr(network, "chroma_losses", losses)
    batch = Sampler(PackReader(tiny.data.pack), SampleConfig(none=0.5), 3).batch(0, 8, 64)
    with torch.no_grad():
        for known in (before, None):
            Trainee(before, settings, known)(tensors(batch))
    assert full_hint[1] is None and full_hint[0] is not None
    bare = [index for index in range(8) if index not in batch.owner]
    assert full_hint[0].shape == (len(bare), 2, 32, 32) and 0 < len(bare) < 8
    luma = torch.from_numpy(batch.luma[bare])[:, None]
    with torch.no_grad():
        alone = before.from_taps(luma, before.encoder(luma), *no_tokens(), no_propagated(luma)).ab
    torch.testing.assert_close(full_hint[0], alone, rtol=1e-3, atol=1e-4)


def test_there_must_be_something_to_keep_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = tiny_config(tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match="without start"):
        loop.train(tiny.model_copy(update={"loss": LossConfig(keep_automatic=True)}))
    assert start.kept_network(tiny, torch.device("cpu")) is None
