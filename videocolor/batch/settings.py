"""What an operator can set about a batch; `configs/batch/*.yaml` hold values, `--set` changes one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from videocolor.batch.archive_settings import ArchiveSettings
from videocolor.batch.engines.settings import EngineSettings
from videocolor.config import Bool, ColorizeConfig, Int, Number, Section
from videocolor.errors import ConfigError
from videocolor.presets import suggest

__all__ = ["BatchConfig", "DiskSettings", "FilmSettings", "WorkSettings", "split_overrides"]


class FilmSettings(Section):
    """How films are coloured and named, where a job file does not say otherwise."""

    preset: str | None = None
    """Preset or YAML file of `videocolor colorize`. Null: its defaults."""
    settings: tuple[str, ...] = ()
    """Further settings of every film, a list of section.key=value as for `videocolor colorize --set`."""
    label: Annotated[str, Field(pattern=r"^[^/\\\x00]*$", max_length=64)] = "_colorized"
    """What stands behind the reel's name in the result's: reel_colorized.mkv."""
    damaged: Literal["refuse", "accept"] = "refuse"
    """Reels that are cut short, have lost frames, or whose sound outlasts the picture: refuse or accept."""
    container: Literal[".mkv", ".mp4", ".mov", ".webm"] = ".mkv"
    """Suffix of results: .mkv, .mp4, .mov or .webm."""


class WorkSettings(Section):
    """How the work is cut up, and what happens when a piece of it fails."""

    plan: Literal["auto", "ahead", "lazy"] = "auto"
    """ahead: a film is surveyed before any of it is coloured. lazy: while it is. auto: lazy with one worker."""
    shards_per_task: Literal["auto"] | Annotated[Int, Field(ge=1, le=100_000)] = "auto"
    """Shards that one worker takes in a row. auto: so that every worker gets several tasks of a film."""
    retries: Int = Field(default=2, ge=0, le=100)
    """How often a shard is tried again after a lost worker, a full device or an error of the disk, 0..100."""
    backoff_seconds: Annotated[Number, Field(ge=0, le=3600)] = 5.0
    """Pause before the first retry; doubled each time, ten minutes at most."""
    merges: Int = Field(default=1, ge=1, le=64)
    """Films that are put together at once, beside the workers."""


class DiskSettings(Section):
    """Space that a batch needs."""

    check: Bool = True
    """Compare the estimate with what is free before the work starts."""
    reserve_gb: Annotated[Number, Field(ge=0)] = 2.0
    """Space that stays free, in GB (10^9 bytes)."""


class BatchConfig(Section):
    """Everything that `videocolor batch` can be told; settings of the films themselves are `ColorizeConfig`'s."""

    engine: EngineSettings = EngineSettings()
    films: FilmSettings = FilmSettings()
    work: WorkSettings = WorkSettings()
    disk: DiskSettings = DiskSettings()
    archive: ArchiveSettings = ArchiveSettings()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; `BatchConfig.model_validate` reads them back."""
        return self.model_dump(mode="json")


def split_overrides(overrides: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Deal `--set` values: sections of the batch to the batch, everything else to its films.

    The two have no section in common, so `engine.workers=4` and `output.codec=ffv1` need no prefix.

    Returns:
        What `BatchConfig` takes, and what `ColorizeConfig` takes.

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
