"""Edits of a project: pure functions from one state to the next.

A shot is identified by its first frame. Its settings follow when its cut moves; a split copies settings and hints to
both parts; a join keeps both notes, and the saturation of the first shot that has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from pydantic import ValidationError

from videocolor.errors import UsageError
from videocolor.studio.projectdata import (
    HINT_SUFFIXES,
    ProjectHint,
    ShotSettings,
    State,
    checked,
    checked_settings,
    explain,
)

__all__ = [
    "add_cut",
    "add_hint",
    "consistent",
    "describe_change",
    "move_cut",
    "recut",
    "remove_cut",
    "remove_hint",
    "set_container",
    "set_settings",
    "set_shot",
    "set_shots",
    "update_hint",
]

_KEEP: Final = "keep"
CONTAINERS: Final = (".mkv", ".mp4", ".mov")


def add_cut(state: State, frame: int) -> State:
    """Split the shot that holds a frame; the second part begins with it.

    Raises:
        UsageError: shots are not known yet, there is no such frame, or a shot begins there already.
    """
    cuts = _cuts(state)
    state.check_frame(frame)
    if frame in cuts:
        raise UsageError(f"frame {frame} already begins a shot")
    return recut(state, sorted((*cuts, frame)))


def remove_cut(state: State, start: int) -> State:
    """Join the shot that begins at `start` to the one before it, whose saturation wins; both notes are kept.

    Raises:
        UsageError: no shot begins there, or it is the film's first.
    """
    cuts = _cuts(state)
    state.check_shot(start)
    if start == 0:
        raise UsageError("the film's first shot has none before it to join")
    first = cuts[cuts.index(start) - 1]
    one, other = (state.data.shots.get(shot, ShotSettings()) for shot in (first, start))
    saturation = other.saturation if one.saturation is None else one.saturation
    note = "\n".join(text for text in (one.note, other.note) if text)[:2000]
    return set_shot(recut(state, [cut for cut in cuts if cut != start]), first, saturation=saturation, note=note)


def move_cut(state: State, start: int, to: int) -> State:
    """Move the first frame of a shot to another frame between the cuts around it.

    Raises:
        UsageError: no shot begins at `start`, it is the film's first, or `to` is not between its neighbors.
    """
    cuts = _cuts(state)
    state.check_shot(start)
    state.check_frame(to)
    if start == 0:
        raise UsageError("the film's first shot begins with its first frame; it cannot be moved")
    place = cuts.index(start)
    low, high = cuts[place - 1], cuts[place + 1] if place + 1 < len(cuts) else state.data.frames
    if to <= low or (high is not None and to >= high):
        bounds = f"after {low}" + ("" if high is None else f" and before {high}")
        raise UsageError(f"frame {to}: the cut at {start} can only move {bounds}")
    return recut(state, [to if cut == start else cut for cut in cuts], {to: start})


def set_shot(
    state: State,
    start: int,
    *,
    saturation: float | Literal["keep"] | None = _KEEP,
    note: str | None = None,
) -> State:
    """Set what concerns one shot.

    Args:
        state: before.
        start: first frame of the shot.
        saturation: factor on chroma 0..4; None: the film's; "keep": unchanged.
        note: None: unchanged.

    Raises:
        UsageError: there is no such shot, or a value cannot be used.
    """
    state.check_shot(start)
    values = state.data.shots.get(start, ShotSettings()).model_dump()
    if saturation != _KEEP:
        values["saturation"] = saturation
    if note is not None:
        values["note"] = note
    shots = {**state.data.shots, start: _validated(ShotSettings, values)}
    return consistent(replace(state, data=checked(state.data, shots=shots)))


def set_shots(state: State, starts: Sequence[int], saturation: float | None) -> State:
    """Set the saturation of several shots; errors as of `set_shot`."""
    shots = dict(state.data.shots)
    for start in starts:
        state.check_shot(start)
        values = shots.get(start, ShotSettings()).model_dump()
        shots[start] = _validated(ShotSettings, {**values, "saturation": saturation})
    return consistent(replace(state, data=checked(state.data, shots=shots)))


def add_hint(state: State, hint: ProjectHint) -> State:
    """Take a hint in; its picture lies in hints/ already.

    Raises:
        UsageError: its id is taken, it goes to no shot, or to one that is not there.
    """
    if any(other.id == hint.id for other in state.data.hints):
        raise UsageError(f"{hint.id}: there is a hint of this id already")
    _check_hint(state, hint)
    return consistent(replace(state, data=checked(state.data, hints=(*state.data.hints, hint))))


def update_hint(state: State, hint_id: str, **changes: Any) -> State:
    """Change fields of a hint (`enabled`, `shots`, `label`, `points`, `image`...).

    Raises:
        UsageError: there is no such hint, a value cannot be used, or it would go to no shot.
    """
    old = state.data.hint(hint_id)
    if "id" in changes:
        raise UsageError(f"{hint_id}: the id of a hint stays as it is")
    new = _validated(ProjectHint, {**{name: getattr(old, name) for name in ProjectHint.model_fields}, **changes})
    if "shots" in changes or "frame" in changes:
        _check_hint(state, new)
    hints = tuple(new if hint.id == hint_id else hint for hint in state.data.hints)
    return consistent(replace(state, data=checked(state.data, hints=hints)))


def remove_hint(state: State, hint_id: str) -> State:
    """Remove a hint; its picture stays in hints/, for undo.

    Raises:
        UsageError: there is no such hint.
    """
    state.data.hint(hint_id)
    hints = tuple(hint for hint in state.data.hints if hint.id != hint_id)
    return replace(state, data=checked(state.data, hints=hints))


def set_settings(state: State, values: Mapping[str, Any]) -> State:
    """Set overrides of the configuration for the film.

    Args:
        state: before.
        values: dotted key of `ColorizeConfig` to plain value; None: the default.

    Raises:
        UsageError: a key that the project decides itself; ConfigError: a key or a value that cannot be used.
    """
    return replace(state, data=checked(state.data, settings=checked_settings({**state.data.settings, **values})))


def set_container(state: State, suffix: str) -> State:
    """Set the container of the rendered film: `.mkv`, `.mp4` or `.mov`.

    Raises:
        UsageError: another one.
    """
    if suffix not in CONTAINERS:
        raise UsageError(f"container {suffix!r}: expected one of {', '.join(CONTAINERS)}")
    stem = state.data.target.rpartition(".")[0]
    return replace(state, data=checked(state.data, target=f"{stem}{suffix}"))


def recut(state: State, starts: Sequence[int], moved: Mapping[int, int] | None = None) -> State:
    """Return the state with other shots; settings and hints go to the shots that replace theirs.

    Args:
        state: before; where its shots are unknown, settings of a frame go to the shot that holds it.
        starts: first frames of all shots, ascending; 0 is added if it is missing.
        moved: new start -> old start. None: a cut that disappeared and one that appeared between the same unchanged
            cuts are one moved cut.

    Raises:
        UsageError: a start is beyond the film.
    """
    new = tuple(sorted({0, *starts}))
    for start in new:
        state.check_frame(start)
    data, old = state.data, state.cuts
    if old is None:
        return consistent(State(data, new))
    origin = _moves(old, new) if moved is None else dict(moved)
    source = {start: origin.get(start, state.shot_of(start)) for start in new}
    shots = {start: data.shots[before] for start, before in source.items() if before in data.shots}
    heirs: dict[int, list[int]] = {}
    for start, before in source.items():
        heirs.setdefault(before, []).append(start)
    hints = []
    for hint in data.hints:
        named = tuple(sorted(start for before in hint.shots for start in heirs.get(before, ())))
        hints.append(hint if named == hint.shots else hint.model_copy(update={"shots": named}))
    return consistent(State(checked(data, shots=shots, hints=tuple(hints)), new))


def describe_change(before: State, after: State) -> str:
    """Name what differs between two states, for the button that undoes it."""
    old, new = before.data, after.data
    if before.cuts is not None and after.cuts is not None and before.cuts != after.cuts:
        added, removed = sorted(set(after.cuts) - set(before.cuts)), set(before.cuts) - set(after.cuts)
        if not added:
            return "join of two shots"
        return f"move of a cut to frame {added[0]}" if removed else f"cut at frame {added[0]}"
    hints, others = {hint.id: hint for hint in old.hints}, {hint.id: hint for hint in new.hints}
    for name, hint in others.items():
        if hint != hints.get(name):
            return _describe_hint(hints.get(name), hint)
    for name, hint in hints.items():
        if name not in others:
            return f"removal of “{hint.label or name}”"
    pairs = {
        start: [data.shots.get(start, ShotSettings()) for data in (old, new)] for start in {*old.shots, *new.shots}
    }
    changed = sorted(start for start, (was, now) in pairs.items() if was != now)
    if changed:
        was, now = pairs[changed[0]]
        what = "saturation" if was.saturation != now.saturation else "note"
        return f"{what} of " + (f"{len(changed)} shots" if changed[1:] else f"the shot at frame {changed[0]}")
    return "settings of the film"


def _describe_hint(was: ProjectHint | None, now: ProjectHint) -> str:
    if was is None:
        return f"“{now.label or now.id}”"
    if was.points != now.points:
        count = len(now.points) - len(was.points)
        change = "a new point" if count > 0 else "removal of a point" if count < 0 else "change of a point"
        return f"{change} on frame {now.frame}"
    if was.enabled != now.enabled:
        return f"switching “{now.label or now.id}” {'on' if now.enabled else 'off'}"
    return f"change of “{now.label or now.id}”"


def _moves(old: Sequence[int], new: Sequence[int]) -> dict[int, int]:
    """Map new starts to old ones, for cuts that changed between the same two unchanged cuts, in order."""
    stayed = set(old) & set(new)
    gone: dict[int, list[int]] = {}
    for start in old:
        if start not in stayed:
            gone.setdefault(max(s for s in stayed if s < start), []).append(start)
    found: dict[int, int] = {}
    for start in new:
        if start in stayed:
            continue
        there = gone.get(max(s for s in stayed if s < start))
        if there:
            found[start] = there.pop(0)
    return found


def consistent(state: State) -> State:
    """Return the state with shots named by their first frames, hints in the shots of their frames, no empty settings.

    The results of this module are consistent; states read from files need it.
    """
    data = state.data
    shots: dict[int, ShotSettings] = {}
    for frame in sorted(data.shots):
        if _inside(state, frame) and data.shots[frame] != ShotSettings():
            start = state.shot_of(frame)
            if start == frame or start not in data.shots:  # settings of the shot itself win
                shots.setdefault(start, data.shots[frame])
    hints = []
    for hint in data.hints:
        frames = [frame for frame in hint.shots if _inside(state, frame)]
        if hint.frame is not None and (state.cuts is not None or not frames) and _inside(state, hint.frame):
            frames.append(hint.frame)
        named = tuple(sorted({state.shot_of(frame) for frame in frames}))
        hints.append(hint if named == hint.shots else hint.model_copy(update={"shots": named}))
    if shots == data.shots and all(a is b for a, b in zip(hints, data.hints, strict=True)):
        return state
    return replace(state, data=data.model_copy(update={"shots": shots, "hints": tuple(hints)}))


def _inside(state: State, frame: int) -> bool:
    return frame >= 0 and (state.data.frames is None or frame < state.data.frames)


def _cuts(state: State) -> tuple[int, ...]:
    if state.cuts is None:
        raise UsageError("the film is still being scanned; its cuts can be changed after that")
    return state.cuts


def _check_hint(state: State, hint: ProjectHint) -> None:
    if hint.frame is None and not hint.shots:
        raise UsageError(f"{hint.id}: has no shot; name one, or remove the hint")
    if hint.frame is None and hint.kind in ("painted", "points"):
        raise UsageError(f"{hint.id}: a hint of kind {hint.kind} needs its frame")
    if not hint.image.endswith(HINT_SUFFIXES):
        raise UsageError(f"{hint.id}: its picture {hint.image} is none of {', '.join(HINT_SUFFIXES)}")
    if hint.frame is not None:
        state.check_frame(hint.frame)
    for start in hint.shots:
        state.check_shot(start)


def _validated(model: Any, values: Mapping[str, Any]) -> Any:
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise UsageError(explain(error)) from error
