"""The page of a run's report as HTML: facts go in, text comes out; `videocolor.reports.run` gathers them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from videocolor.config import ColorizeConfig
from videocolor.reports.html import cells, document
from videocolor.reports.look import SCRIPT, STYLE

__all__ = ["Facts", "Record", "ShotPictures", "clock", "page"]

_LEAST_SURE: Final = 5
"""Shots that are named for their low confidence."""
_SURE: Final = 0.5
"""Confidence from which a shot is not named."""


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


class HintFacts(_Part):
    """A hint of a record."""

    name: str
    time: float | None = None
    frame: int | None = None
    reproduced: bool = False
    shots: dict[str, float] = {}


class ColorFacts(_Part):
    """What colour the source was taken to have."""

    matrix: str
    range: str
    primaries: int = 2
    transfer: int = 2
    assumed: tuple[str, ...] = ()


class Timing(_Part):
    """How long it took."""

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


@dataclass(frozen=True)
class ShotPictures:
    """One frame of a shot before and after, as URLs."""

    before: str
    after: str
    width: int
    height: int
    seconds: float
    """Time of the frame in the source."""


@dataclass(frozen=True)
class Facts:
    """All that the page says."""

    name: str
    """Of the finished film."""
    record: Record
    film: Sequence[tuple[str, str]]
    """Lines about source and result."""
    end_seconds: float
    """Where the last shot ends."""
    pictures: Mapping[int, ShotPictures]
    """Index of a shot in the record (from 1) -> its pictures."""
    hint_pictures: Mapping[str, str]
    """Name of a hint -> its picture as a URL."""
    most: int
    """Shots that are shown with pictures at most."""
    problems: Sequence[str] = ()
    """Pictures that could not be read."""


_MATRICES: Final = {"bt601": "BT.601", "bt709": "BT.709", "bt2020": "BT.2020 (non-constant luminance)"}
_PRIMARIES: Final = {1: "BT.709", 2: "unspecified", 5: "BT.601, 625 lines", 6: "BT.601, 525 lines", 9: "BT.2020"}
_TRANSFERS: Final = {1: "BT.709", 2: "unspecified", 6: "BT.601", 13: "sRGB", 14: "BT.2020", 15: "BT.2020"}


def clock(seconds: float) -> str:
    """`1:02:03.456`."""
    sign, milliseconds = ("-" if seconds < 0 else ""), round(abs(seconds) * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{sign}{minutes // 60}:{minutes % 60:02d}:{rest / 1000:06.3f}"


def page(facts: Facts) -> str:
    """The whole page; every text in it is escaped."""
    record = facts.record
    parts = [
        f"<header><h1>{escape(facts.name)}</h1>",
        f'<p class="sum">{escape(_summary(facts))}</p><p class="soft">{escape(record.label)}</p></header>',
        _contents(facts),
        *_warnings(facts),
        '<main><h2 id="made">How it was made</h2><div class="sheets">',
        _table("Film", facts.film),
        _table("Colour of the source", _color(record.assumed_color)),
        _table("Network", _model(record)),
        _table("Time", _timing(record.timing)),
        _table("Settings that differ from the defaults", _changed(record)),
        "</div>",
        *_notes(record),
        *_hints(facts),
        '<h2 id="shots">Shots</h2>',
        *_about_shots(facts),
        '<div class="shots">',
        *(_shot(facts, place) for place in range(len(record.shots))),
        "</div></main>",
    ]
    return document(f"{facts.name}: videocolor report", "\n".join(parts), STYLE, SCRIPT)


def _summary(facts: Facts) -> str:
    """The film in one line."""
    record, timing = facts.record, facts.record.timing
    length = facts.end_seconds - (record.shots[0].start_seconds if record.shots else 0)
    words = [_count(len(record.shots), "shot"), _count(record.frames, "frame"), clock(length).partition(".")[0]]
    words += [_count(len(record.hints), "hint"), f"network {record.model.get('name', '?')}"]
    if timing is not None and timing.work_seconds > 0:
        words.append(f"{timing.frames / timing.work_seconds:.1f} frames/s")
    return " \N{MIDDLE DOT} ".join(words)


def _table(caption: str, lines: Sequence[tuple[str, str]]) -> str:
    return cells(("", ""), lines, caption)


def _contents(facts: Facts) -> str:
    links = [("made", "How it was made"), *([("hints", "Hints")] if facts.record.hints else []), ("shots", "Shots")]
    items = "".join(f'<li><a href="#{place}">{text}</a></li>' for place, text in links)
    return f'<nav aria-label="Contents"><ul>{items}</ul></nav>'


def _listed(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _warnings(facts: Facts) -> Iterator[str]:
    found = [*facts.record.warnings, *facts.problems]
    if found:
        yield f'<section class="warnings"><h2>Warnings ({len(found)})</h2>{_listed(found)}</section>'


def _notes(record: Record) -> Iterator[str]:
    if record.notes:
        yield f"<h3>Notes</h3>{_listed(record.notes)}"


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
    lines.append(("colouring and joining", _seconds(timing.work_seconds) + workers))
    if timing.work_seconds > 0:
        speed = timing.frames / timing.work_seconds
        lines.append(("frames a second", f"{speed:.1f}{' a worker' if timing.workers > 1 else ''}"))
    lines.append(("frames coloured in that time", str(timing.frames)))
    return lines


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{clock(seconds).partition('.')[0]} ({seconds:.0f} s)"


def _changed(record: Record) -> list[tuple[str, str]]:
    """Settings, dotted, whose value is not the default."""
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


def _hints(facts: Facts) -> Iterator[str]:
    hints = facts.record.hints
    if not hints:
        return
    yield f'<h2 id="hints">Hints ({len(hints)})</h2><div class="cards">'
    for number, hint in enumerate(hints, 1):
        url = facts.hint_pictures.get(hint.name)
        picture = f'<img src="{url}" alt="hint {number}">' if url else "<p>(no picture)</p>"
        told = ", ".join(f"{escape(shot)} ({like:.2f})" for shot, like in list(hint.shots.items())[:40])
        more = f" and {len(hint.shots) - 40} more" if len(hint.shots) > 40 else ""
        lines = [f"<h3>{number}. {escape(_short(hint.name))}</h3>"]
        if hint.frame is not None:
            lines.append(f"<p>made for frame {hint.frame}{', reproduced there' if hint.reproduced else ''}</p>")
        if told:
            lines.append(f"<p>shots (similarity): {told}{more}</p>")
        yield f'<section class="hint" id="hint-{number}">{picture}{"".join(lines)}</section>'
    yield "</div>"


def _short(name: str) -> str:
    """A path's last part."""
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2] or name


def _about_shots(facts: Facts) -> Iterator[str]:
    shots = facts.record.shots
    text = f"{_count(len(shots), 'shot')}."
    if len(facts.pictures) < len(shots):
        text += f" Pictures of {len(facts.pictures)} of them"
        text += f" (of at most {facts.most})." if len(shots) > facts.most else "."
    how = "The line between them moves with the mouse, the finger, and the arrow keys."
    yield f'<p>{text} Left the source, right the result. <span class="howto">{how}</span></p>'
    unsure = sorted(
        (shot.confidence, shot.index) for shot in shots if shot.confidence is not None and shot.confidence < _SURE
    )[:_LEAST_SURE]
    if unsure:
        links = ", ".join(f'<a href="#shot-{number}">shot {number}</a> ({value:.2f})' for value, number in unsure)
        yield f"<p>The network found least support in the hints for {links}.</p>"


def _shot(facts: Facts, place: int) -> str:
    shots = facts.record.shots
    shot = shots[place]
    end = shots[place + 1].start_seconds if place + 1 < len(shots) else facts.end_seconds
    head = f"<h3>Shot {shot.index}</h3>"
    when = f"{clock(shot.start_seconds)} to {clock(end)}, frames {shot.start} to {shot.end - 1}"
    return (
        f'<section class="shot" id="shot-{shot.index}">{head}<p class="soft">{when}</p>'
        f"{_stage(shot, facts.pictures.get(shot.index))}{_told(facts, shot)}</section>"
    )


def _stage(shot: ShotFacts, pictures: ShotPictures | None) -> str:
    if pictures is None:
        return ""
    # Not `loading="lazy"`: browsers leave such pictures out of print. `content-visibility` keeps what is out of sight
    # cheap.
    size = f'width="{pictures.width}" height="{pictures.height}" decoding="async"'
    when = f"shot {shot.index} at {clock(pictures.seconds)}"
    return (
        f'<div class="stage"><img {size} src="{pictures.before}" alt="{when}, before">'
        f'<img class="after" {size} src="{pictures.after}" alt="{when}, after"><i></i>'
        f'<input type="range" min="0" max="100" value="50" aria-label="Shot {shot.index}: how much of the source is '
        'shown, in percent"></div>'
    )


def _told(facts: Facts, shot: ShotFacts) -> str:
    """What the network was told of the shot, and how sure it was."""
    numbers = {hint.name: number for number, hint in enumerate(facts.record.hints, 1)}
    parts = []
    if shot.hints:
        items = "".join(
            f'<li><a href="#hint-{numbers[name]}"><span>hint {numbers[name]}</span></a></li>'
            if name in numbers
            else f"<li>{escape(_short(name))}</li>"
            for name in shot.hints
        )
        parts.append(f'<ul class="hints">{items}</ul>')
    words = [] if shot.hints else ["no hint"]
    if shot.reuses is not None:
        words = [f'takes up the colours of <a href="#shot-{shot.reuses}">shot {shot.reuses}</a>']
    if shot.confidence is not None:
        words.append(f"confidence {shot.confidence:.2f}")
    if shot.saturation is not None and shot.saturation != 1:
        words.append(f"saturation {shot.saturation:g}")
    if words:
        parts.append(f"<p>{', '.join(words)}</p>")
    return "".join(parts)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
