"""Settings of a batch: `configs/batch/*.yaml` hold values, `--set` changes one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator

from videocolor.batch.hours import Hours
from videocolor.config import Bool, ColorizeConfig, Int, Number, Section, Text
from videocolor.errors import ConfigError
from videocolor.plugins import is_plugin
from videocolor.presets import suggest

__all__ = [
    "ENGINES",
    "ArchiveSettings",
    "BatchConfig",
    "DiskSettings",
    "EngineSettings",
    "FilmSettings",
    "RunSettings",
    "WorkSettings",
    "split_overrides",
]

ENGINES: Final = {
    "local": "videocolor.batch.engines.local:LocalEngine",
    "ray": "videocolor.batch.engines.ray:RayEngine",
}
"""Engines by name: "module:Class" of an `engines.base.Engine`."""
_Word = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")]


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


class FilmSettings(Section):
    """How films are colored and named, unless a job file says otherwise."""

    preset: str | None = None
    """Preset or YAML file of `videocolor colorize`. Null: its defaults."""
    settings: tuple[str, ...] = ()
    """Settings for every film, a list of section.key=value as for `videocolor colorize --set`."""
    label: Annotated[str, Field(pattern=r"^[^/\\\x00]*$", max_length=64)] = "_colorized"
    """Appended to the reel's name: reel_colorized.mkv."""
    damaged: Literal["refuse", "accept"] = "refuse"
    """Reels that are cut short, have lost frames, or whose sound outlasts the picture: refuse or accept."""
    container: Literal[".mkv", ".mp4", ".mov", ".webm"] = ".mkv"
    """Suffix of results: .mkv, .mp4, .mov or .webm."""


class WorkSettings(Section):
    """How films are split into tasks, and what happens when a task fails."""

    plan: Literal["auto", "ahead", "lazy"] = "auto"
    """ahead: scan a film before coloring any of it. lazy: while coloring. auto: lazy with one worker."""
    shards_per_task: Literal["auto"] | Annotated[Int, Field(ge=1, le=100_000)] = "auto"
    """Consecutive shards per task. auto: several tasks of a film for every worker."""
    retries: Int = Field(default=2, ge=0, le=100)
    """Retries of a shard after a lost worker, a full device or a disk error, 0..100."""
    backoff_seconds: Annotated[Number, Field(ge=0, le=3600)] = 5.0
    """Pause before the first retry; doubles each time, up to ten minutes."""
    merges: Int = Field(default=1, ge=1, le=64)
    """Films merged at once, beside the workers."""


class DiskSettings(Section):
    """Disk space of a batch."""

    check: Bool = True
    """Compare the estimated with the free space before the work starts."""
    reserve_gb: Annotated[Number, Field(ge=0)] = 2.0
    """Space to leave free, in GB (10^9 bytes)."""


class ArchiveSettings(Section):
    """Checks before the work; proofs and packages of finished films."""

    checksums: Literal["check", "require", "off"] = "check"
    """Before the work compare reels with the archive's checksums, where known; require: refuse reels without one."""
    checksum_lists: tuple[str, ...] = ()
    """Lists of md5sum, sha256sum... beside those that are found at the reels; names are relative to a list's folder."""
    fixity: Bool = True
    """Read the source again when its film is complete: its sha256 must be that of the plan."""
    luma_proof: Bool = False
    """Write framemd5 of the luma of source and result, and compare them; and of chroma. Decodes both once more."""
    mediaconch: Annotated[Text, Field(min_length=1)] | None = None
    """Policy by which MediaConch checks each film: a file, or master or access (configs/mediaconch)."""
    qctools: Bool = False
    """Have QCTools (`qcli`) write a report of each film."""
    bag: Bool = False
    """Package film, record and proofs as a BagIt bag beside the film: OUTPUT.bag (extra `archive`)."""
    bag_algorithms: Annotated[tuple[Literal["md5", "sha1", "sha256", "sha512"], ...], Field(min_length=1)] = ("sha256",)
    """Manifests of a package: a list of md5, sha1, sha256, sha512."""
    bag_profile: Text | None = None
    """BagIt profile that packages follow, a JSON file; its manifests are those that it requires."""
    bag_tar: Bool = False
    """Write OUTPUT.bag.tar, too."""
    mets: Bool = False
    """Write OUTPUT.mets.xml: METS with the film's PREMIS events; part of the package."""
    organization: str | None = None
    """Source-Organization of the packages."""
    bag_info: dict[_Word, Text] = Field(default={})
    """Further lines of a package's bag-info.txt: Contact-Name, External-Identifier, Bag-Group-Identifier..."""


class RunSettings(Section):
    """When a run works, and who hears of it."""

    hours: Text | None = None
    """Hours of work, local time: 20:00-06:00, or "mon-fri 20:00-06:00, sat-sun". Null: always."""
    drain_seconds: Annotated[Number, Field(ge=0, le=86400)] = 900
    """Time for workers to finish their current shard at a pause or at closing; then they are stopped."""
    hook: tuple[str, ...] = ()
    """Command at the end of a run, a list of words, run without a shell; gets the summary as JSON on stdin."""
    webhook: Text | None = None
    """Address http(s)://... that the summary is posted to at the end of a run, or env:NAME, a variable with it."""
    hook_seconds: Annotated[Number, Field(gt=0, le=3600)] = 30
    """Time limit for the command, and for the webhook."""
    heartbeat: Text | None = None
    """File that is written every 10 seconds while a run works. Null: OUT/.videocolor/heartbeat.json."""
    log_mb: Annotated[Number, Field(gt=0, le=10_000)] = 10
    """Size at which OUT/.videocolor/batch.log is rotated, MB."""
    log_files: Int = Field(default=5, ge=1, le=1000)
    """Older logs that are kept: batch.log.1 and so on."""

    @field_validator("hours")
    @classmethod
    def _check_hours(cls, hours: str | None) -> str | None:
        if hours is not None:
            Hours.parse(hours)
        return hours


class BatchConfig(Section):
    """All settings of `videocolor batch`; the films' own settings are in `ColorizeConfig`."""

    engine: EngineSettings = EngineSettings()
    films: FilmSettings = FilmSettings()
    work: WorkSettings = WorkSettings()
    disk: DiskSettings = DiskSettings()
    archive: ArchiveSettings = ArchiveSettings()
    run: RunSettings = RunSettings()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; `BatchConfig.model_validate` reads them back."""
        return self.model_dump(mode="json")


def split_overrides(overrides: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split `--set` values into those of the batch and those of its films.

    The two have no section in common, so `engine.workers=4` and `output.codec=ffv1` need no prefix.

    Returns:
        Overrides of `BatchConfig`, and of `ColorizeConfig`.

    Raises:
        ConfigError: a section that neither has.
    """
    batch: list[str] = []
    films: list[str] = []
    for item in overrides:
        key, equals, _ = item.partition("=")
        section = key.partition(".")[0]
        known = [*BatchConfig.model_fields, *ColorizeConfig.model_fields]
        if equals and section not in known:
            of_batch, of_films = (", ".join(model.model_fields) for model in (BatchConfig, ColorizeConfig))
            allowed = f"of the batch: {of_batch}; of films: {of_films}"
            raise ConfigError(f"--set: unknown section {section}{suggest(section, known)} ({allowed})")
        (batch if section in BatchConfig.model_fields else films).append(item)
    return tuple(batch), tuple(films)
