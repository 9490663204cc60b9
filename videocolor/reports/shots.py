"""The shots of a finished film as its record has them, with what an editor should know of each."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from videocolor.errors import InputError
from videocolor.record import read_record, sidecar_path
from videocolor.reports.facts import CONFIDENT, last_part
from videocolor.shots.interchange import DOUBTFUL
from videocolor.types import Shot

__all__ = ["recorded_shots"]

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


def _note(entry: Mapping[str, Any]) -> str:
    confidence = entry["confidence"]
    low = [f"{DOUBTFUL}: confidence {confidence:.2f}"] if confidence is not None and confidence < CONFIDENT else []
    return "; ".join((*low, *(f"hint {last_part(name)}" for name in entry["hints"])))
