"""The plan of a film as a file that a person can read and edit: YAML, a line a shot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import yaml

from videocolor.errors import ConfigError
from videocolor.files import write_atomically
from videocolor.presets import yaml_line
from videocolor.shards.plan import FORMAT, with_shards
from videocolor.shards.types import FilmPlan, PlannedShot

__all__ = ["clock", "read_plan", "write_plan"]

_HEAD: Final = """\
# A film cut into shards by videocolor. What may be edited before the work starts:
# - shots: `reuses`, the earlier shot whose colors it reuses (null: none);
# - shards: remove a line to join two shards; add one with a shot's first frame to part them, as `- frame: 120`.
# Shards that an edit does not touch stay finished. All else is for reading: hints are set, and reels are left out, in
# the list of films that `videocolor batch plan` prints first (reels.yaml).
"""


def write_plan(path: Path, plan: FilmPlan) -> None:
    """Write a plan, completely or not at all.

    Raises:
        OutputError: the folder cannot be written.
    """
    base = plan.time_base
    head = {
        "videocolor_plan": FORMAT,
        "film": str(plan.film),
        "sha256": plan.sha256,
        "stamp": plan.stamp,
        "settings": plan.settings,
        "decided": plan.decided,
        "frames": plan.frames,
        "time_base": str(base),
        "end_pts": plan.shards[-1].end_pts,
        "offsets": [str(offset) for offset in plan.offsets],
        "repaired": plan.repaired,
        "warnings": list(plan.warnings),
    }
    shots = [
        {
            "shot": shot.index + 1,
            "at": clock(shot.start_pts * base),
            "frame": shot.start,
            "pts": shot.start_pts,
            "last_pts": shot.last_pts,
            "reuses": None if shot.reuses is None else shot.reuses + 1,
            "hints": list(shot.hints),
        }
        | ({} if shot.saturation is None else {"saturation": shot.saturation})
        for shot in plan.shots
    ]
    shards = [
        {"shard": shard.number + 1, "frame": shard.start, "pts": shard.start_pts, "cost": shard.cost}
        | ({"inside": True} if shard.opens_inside else {})
        for shard in plan.shards
    ]
    lines = [yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=10**6)]
    for name, rows in (("shots", shots), ("shards", shards), ("hints", [dict(note) for note in plan.hints])):
        lines.append(f"{name}:{'' if rows else ' []'}\n")
        lines += [f"- {yaml_line(row)}\n" for row in rows]
    write_atomically(path, _HEAD + "".join(lines))


def clock(seconds: Fraction) -> str:
    """H:MM:SS.mmm, for people."""
    thousandths = round(seconds * 1000)
    hours, rest = divmod(abs(thousandths), 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    sign = "-" if thousandths < 0 else ""
    return f"{sign}{hours}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def read_plan(path: Path) -> FilmPlan:
    """Read a plan, perhaps edited; the keys of its shards are computed again.

    Raises:
        ConfigError: it cannot be read, or contradicts itself.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    try:
        return _parsed(path, data)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise ConfigError(f"{path}: is damaged ({type(error).__name__}: {error}); remove it and plan again") from error


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader, in C where it is there: a plan has a line a shot."""


def _parsed(path: Path, data: Mapping[str, Any]) -> FilmPlan:
    if not isinstance(data, dict) or data.get("videocolor_plan") != FORMAT:
        raise ConfigError(f"{path}: is not a plan of this version of videocolor; remove it and plan again")
    frames, rows = int(data["frames"]), data["shots"]
    ends = [*(int(row["frame"]) for row in rows[1:]), frames]
    shots = []
    for index, (row, end) in enumerate(zip(rows, ends, strict=True)):
        reference = None if row.get("reuses") is None else int(row["reuses"]) - 1
        start = int(row["frame"])
        if start >= end:
            raise ConfigError(f"{path}: shot {index + 1} begins at frame {start}, not before {end}")
        if reference is not None and (not 0 <= reference < index or rows[reference].get("reuses") is not None):
            raise ConfigError(
                f"{path}: shot {index + 1} reuses shot {reference + 1}; expected an earlier one that reuses none"
            )
        times = (int(row["pts"]), int(row["last_pts"]))
        saturation = None if row.get("saturation") is None else float(row["saturation"])
        shots.append(PlannedShot(index, start, end, *times, reference, tuple(row.get("hints", ())), saturation))
    notes = tuple(_read_note(note) for note in data["hints"])
    plan = FilmPlan(
        Path(data["film"]),
        str(data["sha256"]),
        frames,
        Fraction(data["time_base"]),
        tuple(shots),
        (),
        notes,
        tuple(data["warnings"]),
        str(data["settings"]),
        str(data.get("decided", "")),
        str(data["stamp"]),
        tuple(Fraction(offset) for offset in data["offsets"]),
        bool(data["repaired"]),
    )
    return with_shards(plan, _places(path, data["shards"], shots), int(data["end_pts"]))


def _read_note(note: Mapping[str, Any]) -> dict[str, Any]:
    return {**note, "shots": {int(number): float(like) for number, like in note["shots"].items()}}


def _places(path: Path, rows: Sequence[Mapping[str, Any]], shots: Sequence[PlannedShot]) -> list[tuple[int, int]]:
    """Where the shards begin, checked: shots' first frames, or the places inside that the planner chose."""
    starts = {shot.start: shot.start_pts for shot in shots}
    places = []
    for row in rows:
        start = int(row["frame"])
        if start not in starts and not (row.get("inside") and "pts" in row):
            raise ConfigError(f"{path}: a shard begins at frame {start}, where no shot begins")
        places.append((start, starts[start] if start in starts else int(row["pts"])))
    ascending = sorted({start for start, _ in places}) == [start for start, _ in places]
    if not places or places[0][0] != 0 or not ascending or places[-1][0] >= shots[-1].end:
        raise ConfigError(f"{path}: shards must begin with frame 0 and ascend, up to the film's last frame")
    return places
