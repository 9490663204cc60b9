"""How many CPU cores this process may use."""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path

__all__ = ["cores"]


@cache
def cores() -> int:
    """Return the number of CPU cores that this process may use: of its affinity, and of its control group's limit."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(found, _group_limit(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")))))


def _group_limit(groups: Path, tree: Path) -> float:
    """Return the cores that the control groups of a process allow, the least of its own and of those above it.

    Args:
        groups: lines of `hierarchy:controllers:/path`; see cgroups(7).
        tree: where the hierarchies are mounted. Version 2 limits time in `cpu.max` (quota, period in microseconds),
            version 1 in `cpu/cpu.cfs_quota_us` and `cpu/cpu.cfs_period_us`.
    """
    least = math.inf
    for line in _read(groups).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = tree / "cpu" if controllers else tree
        inner = root / path.strip("/")
        for folder in (
            inner,
            *inner.parents,
        ):  # a container may name the host's path: then the root counts
            if controllers:
                words = [_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")]
            else:
                words = _read(folder / "cpu.max").split()
            if len(words) == 2 and words[0].strip().isdigit() and words[1].strip().isdigit():
                least = min(least, int(words[0]) / int(words[1]))
            if folder == root:
                break
    return least


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):  # another system, or another version
        return ""
