"""How fast samples are made, how fast the network learns from them, and whether a step waits for its samples.

    python benchmarks/training.py [--config NAME|PATH] [--set KEY=VALUE] [--batches 20] [--minutes 25]

For the first phase of a training configuration: samples a second of the sampler with 1 and 2 threads, 1 and 2 processes
(and `workers` of the configuration); of the step alone, its batch already there; of both together, with the share of
time that the step waited. For every phase the step alone, and from it the `length` that makes the run last --minutes.
Rates are medians over batches behind a warm-up. On a machine that is busy with other things look at the CPU times:
they say which share of a step's work the making of its samples is. Needs the packs; writes nothing.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import cv2
import torch

from videocolor.concurrency.stages import prefetch
from videocolor.models.hint.network import HintNet
from videocolor.presets import load_model
from videocolor.training.config import Phase, TrainConfig
from videocolor.training.distributed import join_process_group
from videocolor.training.hint.network import Tensors, Trainee, make_optimizer, tensors
from videocolor.training.prefetch import drawn_ahead, open_sampler

WARM_UP = 3


def rate(times: list[float], samples: int) -> float:
    """Samples a second, from the moments at which batches were done."""
    return samples / statistics.median(b - a for a, b in itertools.pairwise(times[WARM_UP:]))


def sampler_rate(config: TrainConfig, batches: int) -> float:
    """Mean over the whole time behind the warm-up: workers finish in bursts."""
    times = []
    with closing(drawn_ahead(config, 0, WARM_UP + batches)) as made:
        for _ in made:
            times.append(time.perf_counter())
    first = WARM_UP - 1
    return config.phases[0].batch * batches / (times[-1] - times[first])


class Learner:
    """The step of the loop without log and checkpoints."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        net = HintNet().to(device=device, memory_format=torch.channels_last)
        self.device, self.trainee, self.optimizer = device, Trainee(net, config), make_optimizer(net, config.optimizer)
        self.trainee.train()

    def step(self, batch: Tensors) -> None:
        """One step, up to the moment at which its loss is known."""
        self.optimizer.zero_grad(set_to_none=True)
        losses = self.trainee(batch.to(self.device))
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(self.trainee.parameters(), 1.0)
        self.optimizer.step()
        float(losses.total.detach())


def step_rate(config: TrainConfig, learner: Learner, phase: Phase, batches: int) -> tuple[float, float]:
    """Samples a second, and CPU milliseconds a sample."""
    pinned = learner.device.type == "cuda"
    sampler = open_sampler(config)
    ready = [tensors(sampler.batch(step, phase.batch, phase.size), pinned=pinned) for step in range(4)]
    times, spent = [], []
    for number in range(WARM_UP + batches + 1):
        learner.step(ready[number % len(ready)])
        times.append(time.perf_counter())
        spent.append(time.process_time())
    return rate(times, phase.batch), 1000 / rate(spent, phase.batch)


def drawing_cost(config: TrainConfig, batches: int) -> float:
    """CPU milliseconds that one sample takes to be made."""
    sampler, phase = open_sampler(config), config.phases[0]
    sampler.batch(0, phase.batch, phase.size)
    began = time.thread_time()
    for step in range(1, 1 + batches):
        sampler.batch(step, phase.batch, phase.size)
    return 1000 * (time.thread_time() - began) / (batches * phase.batch)


def together(config: TrainConfig, learner: Learner, batches: int) -> tuple[float, float]:
    """Samples a second and the share of time that was waited."""
    pinned = learner.device.type == "cuda"

    def made() -> Iterator[Tensors]:
        with closing(drawn_ahead(config, 0, WARM_UP + batches + 1)) as drawn:
            for batch in drawn:
                yield tensors(batch, pinned=pinned)

    times, waited = [], []
    with closing(prefetch(made(), 1, "batches")) as ahead:
        began = time.perf_counter()
        for batch in ahead:
            waited.append(time.perf_counter() - began)
            learner.step(batch)
            began = time.perf_counter()
            times.append(began)
    share = sum(waited[WARM_UP + 1 :]) / (times[-1] - times[WARM_UP])
    return rate(times, config.phases[0].batch), share


@click.command()
@click.option("--config", "source", default="train/hint_cpu")
@click.option("--set", "overrides", multiple=True)
@click.option("--batches", default=20)
@click.option("--minutes", default=25.0)
def main(source: str, overrides: tuple[str, ...], batches: int, minutes: float) -> None:
    """Print the rates."""
    config = load_model(TrainConfig, "train", source, overrides)
    torch.set_num_threads(config.threads)
    first = config.phases[0]
    click.echo(f"{source}: {first.batch} x {first.size} px, pack {Path(config.data.pack).name}")
    cv2.setNumThreads(1)
    click.echo(f"  sampler, CPU time   {drawing_cost(config, batches):8.2f} ms a sample")
    kinds = [("thread", 1), ("thread", 2), ("process", 1), ("process", 2)]
    for kind, workers in dict.fromkeys([*kinds, (config.worker_kind, config.workers)]):
        settings = config.model_copy(update={"worker_kind": kind, "workers": workers})
        click.echo(f"  sampler, {kind} x {workers:<2d}   {sampler_rate(settings, 2 * batches):8.0f} samples/s")
    with join_process_group(config.device) as team:
        learner, seconds = Learner(config, team.device), 0.0
        for phase in config.phases:
            speed, spent = step_rate(config, learner, phase, batches)
            seconds += phase.steps * phase.batch / speed
            what = f"{phase.batch} x {phase.size} px on {team.device}"
            click.echo(f"  step alone, {what}   {speed:8.1f} samples/s, {spent:.2f} ms of CPU time a sample")
        speed, share = together(config, learner, batches)
        click.echo(
            f"  step and {config.worker_kind} x {config.workers}   {speed:8.1f} samples/s, waited {100 * share:.1f} %"
        )
    click.echo(
        f"  the run: {seconds / 60:.0f} min of steps; for {minutes:g} min --set length={60 * minutes / seconds:.3f}"
    )


if __name__ == "__main__":
    main()
