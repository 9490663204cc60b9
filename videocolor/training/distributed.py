"""Train in one process, or in several that `torchrun` started, each with its own device."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from videocolor.errors import DeviceError

__all__ = ["ProcessGroup", "first_process", "join_process_group"]


def first_process() -> bool:
    """Whether this is the only process or the first one: the one that reports."""
    return os.environ.get("RANK", "0") == "0"


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train together; with one process, nothing is exchanged."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """Average a module's gradients over the group at every backward pass.

        Batch norms take the statistics of their own process's samples in training; the running ones are the first
        process's. A batch without hints leaves parameters unused, hence the search for them.
        """
        return module if self.size == 1 else DistributedDataParallel(module, find_unused_parameters=True)

    def mean(self, values: Tensor) -> Tensor:
        """Average over the group a tensor that every process has."""
        values = values.detach().to(self.device, torch.float32)
        if self.size > 1:
            dist.all_reduce(values)
            values = values / self.size
        return values


@contextmanager
def join_process_group(device: str) -> Iterator[ProcessGroup]:
    """Join the processes that `torchrun` started, and leave them at the end.

    Args:
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        DeviceError: there is no such device, or fewer GPUs than processes.
    """
    size, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    if "LOCAL_RANK" not in os.environ or size == 1:
        yield ProcessGroup(0, 1, _device(device, None))
        return
    own = _device(device, local)
    dist.init_process_group("nccl" if own.type == "cuda" else "gloo")
    try:
        yield ProcessGroup(dist.get_rank(), size, own)
    finally:
        dist.destroy_process_group()


def _device(name: str, local: int | None) -> torch.device:
    """Choose a device by name; of several processes on a machine, number `local` takes GPU number `local`."""
    there = torch.cuda.is_available()
    if name == "cpu" or (name == "auto" and not there):
        return torch.device("cpu")
    if not there:
        raise DeviceError(f"device {name!r}: torch sees no CUDA device; use device=cpu")
    if local is not None and ":" in name:
        raise DeviceError(f"device {name!r}: torchrun gives each process a GPU of its own; use device=cuda")
    number = local if local is not None else int(name.partition(":")[2] or 0)
    if number >= torch.cuda.device_count():
        raise DeviceError(f"device {name!r}: GPU {number} is not there, torch sees {torch.cuda.device_count()}")
    torch.cuda.set_device(number)
    torch.backends.cudnn.benchmark = True  # shapes stay the same for a whole phase
    return torch.device("cuda", number)
