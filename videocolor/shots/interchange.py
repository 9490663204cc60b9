"""Shot lists of other programs: OpenTimelineIO, CMX 3600 edit decision lists, and CSV.

In each of them the film is a timeline, and a shot begins where an item of its first video track does. Frames are exact:
OTIO holds counts of frames, and an EDL holds timecodes of the rate that its line `* RATE:` states.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from videocolor.errors import ConfigError, UsageError

__all__ = ["DOUBTFUL", "READERS", "WRITERS", "Edit", "Reel", "frame_at", "is_drop", "timecode_at"]

DOUBTFUL: Final = "doubtful"
"""How the note of a shot begins that wants a look."""
_EVENT: Final = re.compile(r"\d+\s+\S+\s+(\S+)\s+[CDWK]\w*\s+(?:\d+\s+)?(\S+)\s+(\S+)\s+(\S+)\s+(\S+)")
_NO_RATE: Final = "an EDL does not say its frame rate; add a line `* RATE: 25`, `* RATE: 24000/1001`"


@dataclass(frozen=True)
class Edit:
    """A shot of a list."""

    start: int
    """Index of its first frame, from 0."""
    end: int
    """Exclusive end; 0: the list does not say."""
    note: str | None = None


@dataclass(frozen=True)
class Reel:
    """The film that a list is about."""

    name: str
    rate: Fraction | None
    """Frames a second."""
    timecode: str | None = None
    """Of its first frame; None: 00:00:00:00."""

    def origin(self, path: Path) -> tuple[Fraction, int, bool]:
        """Return rate, frame number of the first frame, and whether numbers are dropped."""
        if self.rate is None:
            raise UsageError(f"{path}: the film has no frame rate to count with; write .csv or .yaml")
        drop = is_drop(self.timecode or "") and nominal_rate(self.rate) % 30 == 0
        try:
            return self.rate, frame_at(self.timecode or "00:00:00:00", self.rate, drop=drop), drop
        except ValueError:
            return self.rate, 0, False


def _write_csv(_: Path, reel: Reel, edits: Sequence[Edit]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("shot", "frame", "end", "seconds", "note"))
    for number, edit in enumerate(edits, 1):
        seconds = "" if reel.rate is None else f"{float(edit.start / reel.rate):.3f}"
        rows.writerow((number, edit.start, edit.end, seconds, edit.note or ""))
    return text.getvalue()


def _read_csv(path: Path) -> list[Edit]:
    rows = csv.DictReader(io.StringIO(_text(path), newline=""))
    if "frame" not in (rows.fieldnames or ()):
        raise ConfigError(f"{path}, line 1: no column `frame`, the index of each shot's first frame from 0")
    edits = []
    for row in rows:
        try:
            start = int(row["frame"])
            end = int(row.get("end") or 0)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{path}, line {rows.line_num}: `frame` and `end` are whole numbers ({error})") from error
        edits.append(Edit(start, end, row.get("note") or None))
    return edits


def _write_edl(path: Path, reel: Reel, edits: Sequence[Edit]) -> str:
    rate, first, drop = reel.origin(path)
    name = " ".join(reel.name.split())
    lines = [f"TITLE: {name}", f"FCM: {'' if drop else 'NON-'}DROP FRAME", f"* RATE: {rate}", ""]
    for number, edit in enumerate(edits, 1):
        begin, end = (timecode_at(first + frame, rate, drop=drop) for frame in (edit.start, edit.end))
        lines += [f"{number:03d}  AX       V     C        {begin} {end} {begin} {end}", f"* FROM CLIP NAME: {name}"]
        if edit.note:
            color = "RED" if edit.note.startswith(DOUBTFUL) else "GREEN"
            lines.append(f"* LOC: {begin} {color:<7} {' '.join(edit.note.split())}")
    return "\n".join(lines) + "\n"


def _read_edl(path: Path) -> list[Edit]:
    rate: Fraction | None = None
    drop, spans, notes = False, list[tuple[int, int]](), dict[int, str]()
    for number, line in enumerate(_text(path).splitlines(), 1):
        said, event = line.strip(), _EVENT.match(line.strip())
        try:
            if said.startswith("* RATE:"):
                rate = Fraction(said.partition(":")[2].strip())
            elif said.startswith("FCM:"):
                drop = "NON" not in said
            elif event and ("V" in event[1] or event[1] == "B"):
                if rate is None:
                    raise ConfigError(f"{path}, line {number}: {_NO_RATE}")
                begin, end = (frame_at(text, rate, drop=drop or is_drop(text)) for text in event.group(4, 5))
                if begin != end:  # the first half of a dissolve has no length
                    spans.append((begin, end))
            elif said.startswith("* LOC:") and spans:
                notes[len(spans) - 1] = said.split(None, 4)[4]
        except (ValueError, ZeroDivisionError, IndexError) as error:
            raise ConfigError(f"{path}, line {number}: {error}") from error
    day = DAY * nominal_rate(rate or Fraction(25))
    first = spans[0][0] if spans else 0
    placed = [((begin - first) % day, (end - first) % day) for begin, end in spans]
    return [Edit(begin, end, notes.get(place)) for place, (begin, end) in enumerate(placed)]


def _otio() -> Any:
    try:
        import opentimelineio
    except ImportError as error:
        raise UsageError("OpenTimelineIO is not installed: pip install 'videocolor[otio]'") from error
    return opentimelineio


def _write_otio(path: Path, reel: Reel, edits: Sequence[Edit]) -> str:
    otio, (rate, first, _) = _otio(), reel.origin(path)
    time = otio.opentime

    def span(start: int, length: int) -> Any:
        return time.TimeRange(time.RationalTime(start, float(rate)), time.RationalTime(length, float(rate)))

    available = span(first, edits[-1].end if edits else 0)
    track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
    for number, edit in enumerate(edits, 1):
        source = span(first + edit.start, edit.end - edit.start)
        film = otio.schema.ExternalReference(target_url=reel.name, available_range=available)
        clip = otio.schema.Clip(f"shot {number}", film, source)
        if edit.note:
            color = otio.schema.MarkerColor
            shade = color.RED if edit.note.startswith(DOUBTFUL) else color.GREEN
            clip.markers.append(otio.schema.Marker(edit.note, span(first + edit.start, 1), shade))
        track.append(clip)
    timeline = otio.schema.Timeline(reel.name, global_start_time=available.start_time)
    timeline.tracks.append(track)
    return str(timeline.to_json_string()) + "\n"


def _read_otio(path: Path) -> list[Edit]:
    otio = _otio()
    try:
        timeline = otio.adapters.otio_json.read_from_string(_text(path))
        tracks = timeline.video_tracks() if isinstance(timeline, otio.schema.Timeline) else ()
        if not tracks or not len(tracks[0]):
            raise ConfigError(f"{path}: holds no timeline with a video track")
        items = [item for item in tracks[0] if not isinstance(item, otio.schema.Transition)]
        rate = items[0].duration().rate
        edits, place = [], 0.0
        for item in items:
            length = item.duration().value_rescaled_to(rate)
            note = "; ".join(marker.name for marker in item.markers if marker.name)
            edits.append(Edit(round(place), round(place + length), note or None))
            place += length
    except (otio.exceptions.OTIOError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: cannot be read as OpenTimelineIO ({error})") from error
    return edits


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file") from error


def _checked(read: Callable[[Path], list[Edit]]) -> Callable[[Path], list[Edit]]:
    """Have every gap between two shots be a shot of its own, and refuse shots that are not in order."""

    def reader(path: Path) -> list[Edit]:
        return list(_without_gaps(path, read(path)))

    return reader


def _without_gaps(path: Path, edits: Iterable[Edit]) -> Iterable[Edit]:
    last = Edit(-1, 0)
    for number, edit in enumerate(edits, 1):
        if edit.start <= last.start:
            raise ConfigError(f"{path}: shot {number} begins at frame {edit.start}, not after {last.start}")
        if last.start < last.end < edit.start:
            yield Edit(last.end, edit.start)
        yield edit
        last = edit


WRITERS: Final[dict[str, Callable[[Path, Reel, Sequence[Edit]], str]]] = {
    ".csv": _write_csv,
    ".edl": _write_edl,
    ".otio": _write_otio,
}
"""Suffix -> the text of a list for a file of this name."""
READERS: Final = {".csv": _checked(_read_csv), ".edl": _checked(_read_edl), ".otio": _checked(_read_otio)}
"""Suffix -> a function that reads such a file."""


_TIMECODE: Final = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.,])(\d\d\d?)")
DAY: Final = 86_400
"""Seconds after which timecode begins again."""


def nominal_rate(rate: Fraction) -> int:
    """Return the frame numbers in a second: 24 for 23.976 frames a second."""
    return max(1, int(rate + Fraction(1, 2)))


def is_drop(timecode: str) -> bool:
    """Tell by its last separator whether a timecode drops frame numbers."""
    found = _TIMECODE.fullmatch(timecode.strip())
    return found is not None and found[4] in ";,"


def timecode_at(frame: int, rate: Fraction, *, drop: bool) -> str:
    """Return the timecode of a frame.

    Args:
        frame: counted from 00:00:00:00; a day later timecode begins again.
        rate: frames a second.
        drop: skip the first numbers of every minute but each tenth: for 30000/1001 and its multiples.
    """
    base = nominal_rate(rate)
    if drop:
        skipped = base // 15
        tens, rest = divmod(frame, 600 * base - 9 * skipped)
        frame += 9 * skipped * tens
        if rest >= 60 * base:
            frame += skipped * (1 + (rest - 60 * base) // (60 * base - skipped))
    seconds, number = divmod(frame, base)
    minutes, second = divmod(seconds % DAY, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}{';' if drop else ':'}{number:02d}"


def frame_at(timecode: str, rate: Fraction, *, drop: bool) -> int:
    """Return the frame of a timecode, counted from 00:00:00:00.

    Raises:
        ValueError: it is no timecode, or one that this rate does not have.
    """
    found, base = _TIMECODE.fullmatch(timecode.strip()), nominal_rate(rate)
    if found is None:
        raise ValueError(f"{timecode} is no timecode")
    hours, minutes, seconds, number = (int(found[place]) for place in (1, 2, 3, 5))
    skipped = base // 15 if drop else 0
    if minutes > 59 or seconds > 59 or number >= base or (minutes % 10 and not seconds and number < skipped):
        raise ValueError(f"there is no {timecode} at {float(rate):.5g} frames a second")
    minutes += 60 * hours
    return (minutes * 60 + seconds) * base + number - skipped * (minutes - minutes // 10)
