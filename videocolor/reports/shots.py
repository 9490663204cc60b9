"""The shots of a finished film as its record has them, with what an editor should know of each."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from videocolor.errors import InputError
from videocolor.files import disk_errors
from videocolor.record import read_record, sidecar_path
from videocolor.reports.facts import CONFIDENT, last_part
from videocolor.shots.interchange import DOUBTFUL, frame_at, is_drop, timecode_at
from videocolor.types import Shot
from videocolor.video import probe
from videocolor.video.excerpts import cut_excerpts
from videocolor.video.streams import start_timecode

__all__ = ["cut_shots", "recorded_shots"]

_BASE: Final = Fraction(1, 1000)


def recorded_shots(target: Path) -> tuple[list[Shot], dict[int, str]]:
    """Read the shots of a finished film, and notes on doubtful shots and hints by `Shot.index`.

    Times are in milliseconds; the end of the last shot is not stated and is its start.

    Raises:
        InputError: its record is missing or damaged.
    """
    shots, notes = list[Shot](), dict[int, str]()
    try:
        entries = read_record(target)["shots"]
        times = [round(entry["start_seconds"] * 1000) for entry in entries]
        for entry, start, end in zip(entries, times, [*times[1:], *times[-1:]], strict=True):
            number = entry["index"] - 1
            shots.append(Shot(number, entry["start"], entry["end"], start, end, _BASE))
            if note := _note(entry):
                notes[number] = note
    except (KeyError, TypeError) as error:
        raise InputError(f"{sidecar_path(target)}: is not the record of a run ({error})") from error
    return shots, notes


def cut_shots(film: Path, target: Path, folder: Path, handles: int) -> int:
    """Write every shot of a finished film into a file of its own in a folder, for a conform.

    Args:
        film: the source, whose timecode and rate count.
        target: the finished film; its record says where the shots are.
        folder: `0001.mov`, `0002.mov`... go there; it is made.
        handles: frames of the film before and after each shot that go with it, as far as there are any.

    Returns:
        The number of shots.

    Raises:
        InputError, OutputError: see `recorded_shots` and `cut_excerpts`.
    """
    shots, info = recorded_shots(target)[0], probe(film)
    code, rate = start_timecode(info), info.rate or Fraction(25)
    drop = code is not None and is_drop(code)
    first = None if code is None else frame_at(code, rate, drop=drop)
    excerpts = []
    for shot in shots:
        start, end = max(0, shot.start - handles), min(shots[-1].end, shot.end + handles)
        stamped = None if first is None else timecode_at(first + start, rate, drop=drop)
        excerpts.append((folder / f"{shot.index + 1:04d}{target.suffix}", start, end, stamped))
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    cut_excerpts(target, excerpts)
    return len(shots)


def _note(entry: Mapping[str, Any]) -> str:
    confidence = entry["confidence"]
    low = [f"{DOUBTFUL}: confidence {confidence:.2f}"] if confidence is not None and confidence < CONFIDENT else []
    return "; ".join((*low, *(f"hint {last_part(name)}" for name in entry["hints"])))
