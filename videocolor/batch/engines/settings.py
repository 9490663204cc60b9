"""Who works on a batch, and with what: the section `engine` of a batch's configuration."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from videocolor.config import Bool, Int, Number, Section

__all__ = ["EngineSettings"]


class EngineSettings(Section):
    """Workers, what each of them may use, and when one counts as lost."""

    kind: Literal["local", "ray"] = "local"
    """local (processes of this machine) or ray (machines of a Ray cluster; extra `ray`)."""
    workers: Literal["auto"] | Annotated[Int, Field(ge=1, le=4096)] = "auto"
    """Workers at once, 1..4096. auto: one a GPU, else one; on Ray as many as the cluster has room for."""
    ahead: Int = Field(default=1, ge=0, le=16)
    """Tasks that wait behind each worker's running one, 0..16, so that nobody waits for the driver."""
    threads: Literal["auto"] | Annotated[Int, Field(ge=1, le=256)] = "auto"
    """CPU threads of each worker, 1..256. auto: the cores, shared out; on Ray `cpus_per_task`."""
    address: Annotated[str, Field(min_length=1)] | None = None
    """A running Ray cluster: HOST:6379, or auto. Null: Ray is started on this machine and ended with the batch."""
    cpus_per_task: Annotated[Number, Field(ge=0, le=1024)] = 2
    """CPUs that a Ray worker reserves, 0..1024."""
    gpus_per_task: Literal["auto"] | Annotated[Number, Field(ge=0, le=16)] = "auto"
    """GPUs that a Ray worker reserves, 0..16; 0.5: two workers share one. auto: 1 where the cluster has any, else 0."""
    memory_mb: Annotated[Int, Field(ge=1)] | None = None
    """Memory that a Ray worker reserves, MiB. Null: none; Ray then counts CPUs and GPUs alone."""
    start_seconds: Annotated[float, Strict()] = Field(default=300.0, gt=0, le=86400)
    """How long a worker may take to start (imports, a cluster's first machine)."""
    heartbeat_seconds: Annotated[float, Strict()] = Field(default=5.0, gt=0, le=600)
    """How often a busy worker says that it lives."""
    hung_seconds: Annotated[float, Strict()] = Field(default=120.0, gt=0, le=86400)
    """A busy worker that has said nothing at all for so long is ended, and its task is lost."""
    stall_seconds: Annotated[float, Strict(), Field(gt=0)] | None = 7200.0
    """The same for one that lives but reports no progress. Null: it may take forever."""
    grace_seconds: Annotated[float, Strict()] = Field(default=5.0, ge=0, le=600)
    """How long a worker that is told to stop may take to put its files away before it is killed."""
    worker_stderr: Bool = True
    """Pass on what libraries write to a worker's stderr. Warnings about films arrive either way."""

    @model_validator(mode="after")
    def _sensible(self) -> Self:
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
