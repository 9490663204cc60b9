"""A Ray cluster on this machine, whose nodes can be killed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def ray_cluster(*cpus: int) -> Iterator[Any]:
    """Nodes with so many CPUs each; the first is the head. Losses are noticed within a second or two."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="vc", dir="/tmp") as folder:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_health_check_period_ms", "300")
        patch.setenv("RAY_health_check_failure_threshold", "3")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        from ray.cluster_utils import Cluster

        cluster = Cluster()
        try:
            for count in cpus:
                small = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
                cluster.add_node(num_cpus=count, **small)
            yield cluster
        finally:
            cluster.shutdown()
