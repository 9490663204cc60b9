"""Settings of an engine, the section `engine` of a batch's configuration."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, Strict, model_validator

from videocolor.config import Bool, Int, Number, Section, Text
from videocolor.plugins import is_plugin
from videocolor.presets import suggest

__all__ = ["ENGINES", "EngineSettings"]

ENGINES: Final = {
    "local": "videocolor.engines.local:LocalEngine",
    "ray": "videocolor.engines.ray:RayEngine",
}
"""Engines by name: "module:Class" of an `engines.base.Engine`."""


class EngineSettings(Section):
    """Workers: how many, what each may use, and when one counts as lost."""

    kind: Text = "local"
    """local (processes of this machine), ray (a Ray cluster; extra `ray`), or module:Class of another engine."""
    workers: Literal["auto"] | Annotated[Int, Field(ge=1, le=4096)] = "auto"
    """Workers, 1..4096. auto: one per GPU, or one without GPUs; on Ray as many as the cluster has room for."""
    ahead: Int = Field(default=1, ge=0, le=16)
    """Tasks queued per worker beyond the running one, 0..16, so that no worker waits for the driver."""
    threads: Literal["auto"] | Annotated[Int, Field(ge=1, le=256)] = "auto"
    """CPU threads per worker, 1..256. auto: an equal share of the cores; on Ray `cpus_per_task`."""
    address: Annotated[str, Field(min_length=1)] | None = None
    """A running Ray cluster: HOST:6379, or auto. Null: start Ray on this machine and stop it after the batch."""
    cpus_per_task: Annotated[Number, Field(ge=0, le=1024)] = 2
    """CPUs that a Ray worker reserves, 0..1024."""
    gpus_per_task: Literal["auto"] | Annotated[Number, Field(ge=0, le=16)] = "auto"
    """GPUs that a Ray worker reserves, 0..16; 0.5: two workers share one. auto: 1 if the cluster has any, else 0."""
    memory_mb: Annotated[Int, Field(ge=1)] | None = None
    """Memory that a Ray worker reserves, MiB. Null: none; Ray then counts CPUs and GPUs only."""
    start_seconds: Annotated[float, Strict()] = Field(default=300.0, gt=0, le=86400)
    """Time limit for a worker to start (imports, a cluster's first machine)."""
    heartbeat_seconds: Annotated[float, Strict()] = Field(default=5.0, gt=0, le=600)
    """Interval between heartbeats of a busy worker."""
    hung_seconds: Annotated[float, Strict()] = Field(default=120.0, gt=0, le=86400)
    """A busy worker silent for this long is killed, and its task counts as lost."""
    stall_seconds: Annotated[float, Strict(), Field(gt=0)] | None = 7200.0
    """The same for a worker that sends heartbeats but no progress. Null: no limit."""
    grace_seconds: Annotated[float, Strict()] = Field(default=5.0, ge=0, le=600)
    """Time between asking a worker to stop and killing it."""
    worker_stderr: Bool = True
    """Pass on what libraries write to a worker's stderr. Warnings about films are reported either way."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind not in ENGINES and not is_plugin(self.kind, "engines"):
            raise ValueError(
                f"kind {self.kind}{suggest(self.kind, ENGINES)}: expected {', '.join(ENGINES)}, or module:Class"
            )
        if self.hung_seconds < 2 * self.heartbeat_seconds:
            raise ValueError(
                f"hung_seconds {self.hung_seconds:g} must be at least twice heartbeat_seconds "
                f"{self.heartbeat_seconds:g}"
            )
        if self.kind == "local" and self.address is not None:
            raise ValueError(f"address {self.address} is a Ray cluster's: give kind ray with it")
        if self.address is not None and self.address.startswith("ray://"):
            raise ValueError(
                f"address {self.address}: Ray Client cannot stream what workers report; run on a machine of the "
                "cluster with address auto, or give the cluster's own HOST:6379"
            )
        if self.kind == "ray" and not (self.cpus_per_task or self.gpus_per_task or self.workers != "auto"):
            raise ValueError("workers auto needs cpus_per_task or gpus_per_task above 0 to count by")
        return self
