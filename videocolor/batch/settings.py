"""Settings of a batch: `configs/batch/*.yaml` hold values, `--set` changes one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator

from videocolor.config import Bool, ColorizeConfig, Int, Number, Section, Text
from videocolor.engines.settings import EngineSettings
from videocolor.errors import ConfigError
from videocolor.presets import suggest

__all__ = [
    "ArchiveSettings",
    "BatchConfig",
    "DiskSettings",
    "FilmSettings",
    "Hours",
    "RunSettings",
    "WorkSettings",
    "split_overrides",
]

_Word = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")]


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


_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY: Final = 24 * 60
_WEEK: Final = 7 * _DAY
_ENTRY: Final = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?)?"
    r"(?:\s*(?P<hour>\d{1,2}):(?P<minute>\d\d)-(?P<to_hour>\d{1,2}):(?P<to_minute>\d\d))?"
)


@dataclass(frozen=True)
class Hours:
    """Weekly hours of work."""

    spans: tuple[tuple[int, int], ...]
    """Begin, in minutes since Monday 00:00, and length in minutes."""

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Read hours as they are written in settings.

        Raises:
            ValueError: they cannot be understood; names the part.
        """
        spans: list[tuple[int, int]] = []
        for part in text.lower().split(","):
            found = _ENTRY.fullmatch(part.strip())
            if found is None or not part.strip():
                raise ValueError(f"hours {part.strip()!r}: expected as in `20:00-06:00` or `mon-fri 20:00-06:00, sat`")
            begin, length = _times(found, part.strip())
            spans += [(day * _DAY + begin, length) for day in _days(found, part.strip())]
        return cls(tuple(spans))

    def opens_in(self, now: datetime) -> float:
        """Return the seconds until work may begin; 0: it may now."""
        minute = _minute(now)
        if any((minute - begin) % _WEEK < length for begin, length in self.spans):
            return 0.0
        return min((begin - minute) % _WEEK for begin, _ in self.spans) * 60

    @property
    def share(self) -> float:
        """Part of the week that is open, 0..1."""
        open_minutes = {(begin + minute) % _WEEK for begin, length in self.spans for minute in range(length)}
        return len(open_minutes) / _WEEK


def _minute(now: datetime) -> float:
    return now.weekday() * _DAY + now.hour * 60 + now.minute + now.second / 60


def _times(found: re.Match[str], part: str) -> tuple[int, int]:
    """Return begin and length in minutes; without times: all day."""
    if found["hour"] is None:
        return 0, _DAY
    begin, end = (
        int(hour) * 60 + int(minute)
        for hour, minute in ((found["hour"], found["minute"]), (found["to_hour"], found["to_minute"]))
    )
    if begin >= _DAY or end > _DAY or int(found["minute"]) > 59 or int(found["to_minute"]) > 59:
        raise ValueError(f"hours {part!r}: expected times from 00:00 to 24:00")
    return begin, (end - begin) % _DAY or _DAY


def _days(found: re.Match[str], part: str) -> list[int]:
    first, last = found["first"], found["last"] or found["first"]
    if first is None:
        return list(range(7))
    if first not in _DAYS or last not in _DAYS:
        raise ValueError(f"hours {part!r}: expected days {', '.join(_DAYS)}")
    begin, end = _DAYS.index(first), _DAYS.index(last)
    return [(begin + day) % 7 for day in range((end - begin) % 7 + 1)]
