"""The training loop.

Everything that happens at a step follows from (config, step, weights): samples are drawn by (seed, step), the learning
rate is a function of the step, and no other randomness is used. So a resumed run equals one that never stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import torch
from tqdm import tqdm

from videocolor.errors import ModelError
from videocolor.models.encoder import imagenet_weights_path
from videocolor.models.hintnet import HintNet
from videocolor.pairs.store import PackReader
from videocolor.training.checkpoint import Ema, load_checkpoint, save_checkpoint
from videocolor.training.config import TrainConfig
from videocolor.training.losses import Losses
from videocolor.training.network import learning_rate, losses_of, make_optimizer
from videocolor.training.samples import Batch, Sampler
from videocolor.training.validate import validate

__all__ = ["new_network", "train"]

_BAD_STEPS = 20
"""Steps in a row with a loss or gradient that is not finite after which the run gives up."""


def new_network(seed: int) -> HintNet:
    """An untrained network on the ImageNet encoder."""
    torch.manual_seed(seed)
    net = HintNet()
    net.encoder.load_imagenet(imagenet_weights_path())
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def train(config: TrainConfig, *, resume: bool = False, stop_after: int | None = None) -> Path:
    """Train by the settings.

    Args:
        config: the settings; results go to `config.out` (checkpoint.pt, metrics.jsonl).
        resume: go on from `config.out/checkpoint.pt` where there is one.
        stop_after: leave, with a checkpoint, before this step (for slices and tests).

    Returns:
        Path of the last checkpoint.

    Raises:
        ModelError: the loss was not finite many times in a row, or a checkpoint cannot be read.
    """
    torch.set_num_threads(config.threads)
    config.out.mkdir(parents=True, exist_ok=True)
    path = config.out / "checkpoint.pt"
    net = new_network(config.seed)
    optimizer, ema, first = make_optimizer(net, config.optimizer), Ema(net, config.optimizer.ema), 0
    if resume and path.exists():
        first = _restore(load_checkpoint(path), net, optimizer, ema)
    pack, held = _packs(config)
    last = min(config.steps, stop_after if stop_after is not None else config.steps)
    bad = 0
    net.train()
    with _Log(config.out / "metrics.jsonl", first, config.steps) as log:
        for step, batch in _ahead(Sampler(pack, config.samples, config.seed), config, first, last):
            rate = learning_rate(step, config.steps, config.optimizer)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["share"]
            losses = losses_of(net, batch, config)
            losses.total.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(net.parameters(), config.optimizer.clip)
            if torch.isfinite(losses.total) and torch.isfinite(norm):
                optimizer.step()
                ema.update(net, step)
                bad = 0
            elif (bad := bad + 1) >= _BAD_STEPS:
                raise ModelError(f"step {step}: {bad} steps in a row were not finite; lower optimizer.lr")
            else:
                ema.mend(net)
            optimizer.zero_grad(set_to_none=True)
            log.step(step, len(batch.rgb), rate, float(norm), losses)
            if (step + 1) % config.save_every == 0 or step + 1 == last:
                save_checkpoint(path, _content(config, net, optimizer, ema, step + 1))
            if held is not None and (step + 1) % config.validate_every == 0:
                log.write({"step": step + 1, **validate(_averaged(ema), held)})
    return path


def _packs(config: TrainConfig) -> tuple[PackReader, PackReader | None]:
    """What to train on, and what to validate on if it is there."""
    pack = PackReader(config.data.pack)
    if pack.notes.get("held"):
        raise ModelError(f"{config.data.pack}: a pack of held-back footage, never to be trained on")
    return pack, PackReader(config.data.held_pack) if config.data.held_pack.exists() else None


def _averaged(ema: Ema) -> HintNet:
    net = HintNet()
    net.load_state_dict(ema.state)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _content(
    config: TrainConfig, net: HintNet, optimizer: torch.optim.Optimizer, ema: Ema, step: int
) -> dict[str, Any]:
    return {
        "step": step,
        "config": config.model_dump(mode="json"),
        "net": net.state_dict(),
        "ema": ema.state,
        "optimizer": optimizer.state_dict(),
        "torch_rng": torch.get_rng_state(),
    }


def _restore(content: dict[str, Any], net: HintNet, optimizer: torch.optim.Optimizer, ema: Ema) -> int:
    net.load_state_dict(content["net"])
    optimizer.load_state_dict(content["optimizer"])
    ema.state = content["ema"]
    torch.set_rng_state(content["torch_rng"])
    return int(content["step"])


def _ahead(sampler: Sampler, config: TrainConfig, first: int, last: int) -> Iterator[tuple[int, Batch]]:
    """Batches of steps `first`..`last`, a few made ahead in a thread while the network works."""
    cv2.setNumThreads(1)

    def make(step: int) -> Batch:
        phase = config.phase_at(step)
        return sampler.batch(step, phase.batch, phase.size)

    with ThreadPoolExecutor(1) as pool:
        waiting: list[Future[Batch]] = [pool.submit(make, step) for step in range(first, min(first + 4, last))]
        for step in range(first, last):
            batch = waiting.pop(0).result()
            if step + 4 < last:
                waiting.append(pool.submit(make, step + 4))
            yield step, batch


class _Log:
    """metrics.jsonl (means over 100 steps) and a progress bar on stderr."""

    def __init__(self, path: Path, first: int, steps: int) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._bar = tqdm(total=steps, initial=first, unit="step", mininterval=10.0)
        self._sums: dict[str, float] = {}
        self._count, self._samples, self._since = 0, 0, time.perf_counter()

    def step(self, step: int, samples: int, rate: float, norm: float, losses: Losses) -> None:
        """Take in one step."""
        self._count, self._samples = self._count + 1, self._samples + samples
        values = {name: float(value.detach()) for name, value in zip(Losses._fields, losses, strict=True)}
        for name, value in {**values, "norm": norm}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._bar.update()
        if self._count == 100:
            seconds = time.perf_counter() - self._since
            means = {name: total / self._count for name, total in self._sums.items()}
            self.write({"step": step + 1, "lr": rate, "samples_per_s": self._samples / seconds, **means})
            self._sums, self._count, self._samples, self._since = {}, 0, 0, time.perf_counter()

    def write(self, row: dict[str, float]) -> None:
        """Append one line."""
        rounded = {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in row.items()}
        self._file.write(json.dumps(rounded) + "\n")
        self._file.flush()

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._bar.close()
