"""A run's record, and what its report says of it in words."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from videocolor.config import ColorizeConfig

__all__ = ["CONFIDENT", "Record", "clock", "last_part", "said_of_run", "shots_shown", "summary", "unsure"]

_LEAST_CONFIDENT: Final = 5
"""Shots that are named for their low confidence."""
CONFIDENT: Final = 0.5
"""Confidence from which a shot is not named."""
_MATRICES: Final = {"bt601": "BT.601", "bt709": "BT.709", "bt2020": "BT.2020 (non-constant luminance)"}
_PRIMARIES: Final = {1: "BT.709", 2: "unspecified", 5: "BT.601, 625 lines", 6: "BT.601, 525 lines", 9: "BT.2020"}
_TRANSFERS: Final = {1: "BT.709", 2: "unspecified", 6: "BT.601", 13: "sRGB", 14: "BT.2020", 15: "BT.2020"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


class ShotFacts(_Part):
    """A shot of a record."""

    index: int
    start: int
    end: int
    start_seconds: float
    hints: tuple[str, ...] = ()
    reuses: int | None = None
    confidence: float | None = None
    saturation: float | None = None

    @property
    def words(self) -> list[str]:
        """Confidence, saturation, or the lack of hints."""
        words = ["no hint"] if not self.hints and self.reuses is None else []
        if self.confidence is not None:
            words.append(f"confidence {self.confidence:.2f}")
        if self.saturation is not None and self.saturation != 1:
            words.append(f"saturation {self.saturation:g}")
        return words


class HintFacts(_Part):
    """A hint of a record."""

    name: str
    time: float | None = None
    frame: int | None = None
    reproduced: bool = False
    shots: dict[str, float] = {}

    @property
    def short(self) -> str:
        """The path's last part."""
        return last_part(self.name)

    @property
    def similarities(self) -> str:
        """The shots that used it, with their similarity."""
        shown = [f"{shot} ({value:.2f})" for shot, value in list(self.shots.items())[:40]]
        return ", ".join(shown) + (f" and {len(self.shots) - 40} more" if len(self.shots) > 40 else "")


class ColorFacts(_Part):
    """Which color description the source was decoded by."""

    matrix: str
    range: str
    primaries: int = 2
    transfer: int = 2
    assumed: tuple[str, ...] = ()


class Timing(_Part):
    """Times of a run."""

    elapsed_seconds: float | None = None
    work_seconds: float = 0
    frames: int = 0
    workers: int = 1


class Record(_Part):
    """What a report needs of a run's record (`videocolor.record.describe`)."""

    videocolor: str
    source: dict[str, str]
    label: str
    model: dict[str, Any]
    runtime: str | None = None
    config: dict[str, Any] = {}
    restored: tuple[str, ...] = ()
    assumed_color: ColorFacts
    output: dict[str, Any]
    frames: int
    shots: tuple[ShotFacts, ...]
    hints: tuple[HintFacts, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    timing: Timing | None = None


def clock(seconds: float) -> str:
    """Return `1:02:03.456`."""
    sign, milliseconds = ("-" if seconds < 0 else ""), round(abs(seconds) * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{sign}{minutes // 60}:{minutes % 60:02d}:{rest / 1000:06.3f}"


def last_part(name: str) -> str:
    """Return a path's last part."""
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2] or name


def summary(record: Record, end_seconds: float) -> str:
    """Describe the film in one line; `end_seconds` is where its last shot ends."""
    timing = record.timing
    length = end_seconds - (record.shots[0].start_seconds if record.shots else 0)
    words = [_count(len(record.shots), "shot"), _count(record.frames, "frame"), clock(length).partition(".")[0]]
    words += [_count(len(record.hints), "hint"), f"network {record.model.get('name', '?')}"]
    if timing is not None and timing.work_seconds > 0:
        words.append(f"{timing.frames / timing.work_seconds:.1f} frames/s")
    return " \N{MIDDLE DOT} ".join(words)


def said_of_run(record: Record) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return (caption, lines) of each table but the film's own."""
    return [
        ("Color of the source", _color(record.assumed_color)),
        ("Network", _model(record)),
        ("Time", _timing(record.timing)),
        ("Settings that differ from the defaults", _changed(record)),
    ]


def shots_shown(record: Record, pictures: int, most: int) -> str:
    """Say how many shots there are, and of how many there are pictures."""
    count = len(record.shots)
    text = f"{_count(count, 'shot')}."
    if pictures < count:
        text += f" Pictures of {pictures} of them" + (f" (of at most {most})." if count > most else ".")
    return text


def unsure(record: Record) -> list[ShotFacts]:
    """Return the shots of least confidence, the least first."""
    low = [shot for shot in record.shots if shot.confidence is not None and shot.confidence < CONFIDENT]
    return sorted(low, key=lambda shot: (shot.confidence or 0, shot.index))[:_LEAST_CONFIDENT]


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _color(color: ColorFacts) -> list[tuple[str, str]]:
    lines = [
        ("matrix", _MATRICES.get(color.matrix, color.matrix)),
        ("range", color.range),
        ("primaries", f"{_PRIMARIES.get(color.primaries, 'H.273 number')} ({color.primaries})"),
        ("transfer", f"{_TRANSFERS.get(color.transfer, 'H.273 number')} ({color.transfer})"),
    ]
    return [
        (key, f"{value} \N{EM DASH} {'assumed, the file does not say' if key in color.assumed else 'as the file says'}")
        for key, value in lines
    ]


def _model(record: Record) -> list[tuple[str, str]]:
    model = record.model
    lines = [
        ("name", str(model.get("name", ""))),
        ("what it is", str(model.get("title", ""))),
        ("weights, sha256", str(model.get("sha256", ""))),
        ("licence", str(model.get("licence", ""))),
        ("run by", record.runtime or ""),
        ("videocolor", record.videocolor),
    ]
    return [(key, value) for key, value in lines if value]


def _timing(timing: Timing | None) -> list[tuple[str, str]]:
    if timing is None:
        return [("time", "not recorded")]
    lines = []
    if timing.elapsed_seconds is not None:
        lines.append(("from start to finish", _seconds(timing.elapsed_seconds)))
    workers = "" if timing.workers <= 1 else f" of {timing.workers} workers together"
    lines.append(("coloring and joining", _seconds(timing.work_seconds) + workers))
    if timing.work_seconds > 0:
        speed = timing.frames / timing.work_seconds
        lines.append(("frames a second", f"{speed:.1f}{' a worker' if timing.workers > 1 else ''}"))
    lines.append(("frames colored in that time", str(timing.frames)))
    return lines


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{clock(seconds).partition('.')[0]} ({seconds:.0f} s)"


def _changed(record: Record) -> list[tuple[str, str]]:
    """Dotted settings whose value is not the default."""
    usual = ColorizeConfig().as_dict()
    lines = []
    for section, values in record.config.items():
        for key, value in values.items() if isinstance(values, dict) else ():
            if value != usual.get(section, {}).get(key):
                lines.append((f"{section}.{key}", _value(value)))
    return lines or [("none", "all are the defaults")]


def _value(value: Any) -> str:
    if isinstance(value, list):
        shown = [_value(item) for item in value]
        few = shown[:12]
        return "; ".join(few) + (f"; and {len(shown) - len(few)} more" if len(shown) > len(few) else "")
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(item)}" for key, item in value.items() if item not in (None, []))
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
