"""Prefetch batches in threads or processes; imports no torch, so that a process starts fast.

Every worker opens the pack and draws complete batches. A batch is a function of (seed, step), so it does not matter
which worker makes it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from itertools import islice

import cv2

from videocolor.concurrency.processes import Crew
from videocolor.datasets.pack import PackReader
from videocolor.errors import InputError, ModelError
from videocolor.training.config import PhasedConfig
from videocolor.training.propagated import TRACKS, PropagatedReader
from videocolor.training.samples import Batch, Sampler, read_weights

__all__ = ["drawn_ahead", "open_sampler"]

_here = threading.local()
"""The worker's own sampler and settings."""


def open_sampler(config: PhasedConfig) -> Sampler:
    """Open the sampler of the training pack.

    Raises:
        InputError: the pack, the tracks or the weights cannot be read, or the pack holds nothing.
        ModelError: the pack is of held-back footage.
    """
    pack = PackReader(config.data.pack)
    if pack.notes.get("held"):
        raise ModelError(f"{config.data.pack}: a pack of held-back footage, never to be trained on")
    if not pack.clips and not pack.images:
        raise InputError(f"{config.data.pack}: neither clips nor images in this pack")
    tracks = PropagatedReader(config.data.pack / TRACKS) if config.data.tracks else None
    weights = None if config.data.balance is None else read_weights(config.data.balance)
    return Sampler(pack, config.samples, config.seed, tracks, weights)


def drawn_ahead(
    config: PhasedConfig, first: int, last: int, rank: int = 0, processes: int = 1
) -> Generator[Batch, None, None]:
    """Batches of steps `first` .. `last - 1`, in order, `config.ahead` and one a worker being made meanwhile.

    Args:
        config: the settings.
        first: step to begin with.
        last: step to end before.
        rank: which of the processes that train together asks; it gets its share of every batch.
        processes: how many train together.

    Raises:
        ModelError: a worker died (out of memory, as a rule).
    """
    pool = _pool(config)
    waiting: deque[Future[Batch]] = deque()
    steps = iter(range(first, last))
    try:
        waiting.extend(pool.submit(_draw, s, rank, processes) for s in islice(steps, config.ahead + config.workers))
        while waiting:
            batch = waiting.popleft().result()
            waiting.extend(pool.submit(_draw, step, rank, processes) for step in islice(steps, 1))
            yield batch
    except BrokenExecutor as error:
        raise ModelError(f"a worker that makes samples died ({error}); try fewer `workers`") from error
    finally:  # a batch is soon made; who ended its maker in the middle would leave the pool waiting for the rest of it
        pool.shutdown(wait=True, cancel_futures=True)


def _pool(config: PhasedConfig) -> Executor:
    if config.worker_kind == "thread":
        return ThreadPoolExecutor(config.workers, "samples", initializer=_open, initargs=(config,))
    return Crew(config.workers, _open, (config,))


def _open(config: PhasedConfig) -> None:
    cv2.setNumThreads(1)
    _here.config, _here.sampler = config, open_sampler(config)


def _draw(step: int, rank: int, processes: int) -> Batch:
    config: PhasedConfig = _here.config
    sampler: Sampler = _here.sampler
    phase = config.phase_at(step)
    share = phase.batch // processes
    return sampler.batch(step, share, phase.size, rank * share)
