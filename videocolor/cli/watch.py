"""Show a run's events to a person (bar and log lines on stderr) or a program (JSON lines on stdout)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from videocolor.cli.group import Session
from videocolor.files import plain

if TYPE_CHECKING:
    from tqdm import tqdm

    from videocolor.events import Event, Observer

__all__ = ["emit", "watching"]


@contextmanager
def watching(state: Session, *, events: bool = True) -> Iterator[Observer]:
    """Yield the observer that suits the session; close the bar on the way out.

    Args:
        state: options of the command line.
        events: False for commands whose output is not the run's events: JSON has only that output, people see
            bar and warnings.
    """
    log = logging.getLogger("videocolor.events")
    log.addFilter(_unheard)
    person = _Person(state.verbosity)
    try:
        if state.json:
            yield (lambda event: click.echo(event.as_json())) if events else (lambda _: None)
        else:
            yield person
    finally:
        person.close()
        log.removeFilter(_unheard)


def _unheard(_: logging.LogRecord) -> bool:
    """Drop what the observer gets anyway."""
    return False


def emit(kind: str, data: Mapping[str, Any]) -> None:
    """Print a JSON line that is no event of a run."""
    click.echo(json.dumps({"event": kind, **plain(data)}, ensure_ascii=False, allow_nan=False))


class _Person:
    """A bar with frames per second and ETA if stderr is a terminal; a line per shot in any case."""

    def __init__(self, verbosity: int) -> None:
        self.verbosity = verbosity
        self.bar: tqdm[Any] | None = None
        self.stage = ""

    def __call__(self, event: Event) -> None:
        match event.kind:
            case "progress":
                self._advance(event.data)
            case "warning":
                self._say(f"warning: {event.data.get('message', '')}")
            case "note" if self.verbosity >= 0:
                self._say(f"note: {event.data.get('message', '')}")
            case "start" if self.verbosity >= 0:
                self._say(start_line(event.data))
            case "shot" if self.verbosity >= 0:
                self._say(shot_line(event.data))
            case "done" if self.verbosity >= 0:
                self.close()
                self._say(done_line(event.data))

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _advance(self, data: Mapping[str, Any]) -> None:
        if self.verbosity < 0:
            return
        if data.get("stage", "") != self.stage:
            self.close()
            self.stage = data.get("stage", "")
        if self.bar is None:
            from tqdm import tqdm

            self.bar = tqdm(
                desc=self.stage or None,
                total=data.get("total"),
                unit="frame",
                disable=None,
                leave=False,
                dynamic_ncols=True,
            )
        self.bar.update(max(0, int(data.get("frames", 0)) - self.bar.n))

    def _say(self, line: str) -> None:
        if self.bar is not None:
            self.bar.clear()
        click.echo(line, err=True)
        if self.bar is not None:
            self.bar.refresh()


def start_line(data: Mapping[str, Any]) -> str:
    """Format `film.mp4 -> color.mkv, model hint`."""
    return f"{data.get('source', '?')} -> {data.get('target', '?')}, model {data.get('model', '?')}"


def shot_line(data: Mapping[str, Any]) -> str:
    """Format `shot 3: frames 120..199, hint still.png, confidence 0.84`; `as shot 1` if it reuses that one's colors."""
    hint = data.get("hint") or data.get("hints")
    parts = [f"shot {data.get('index', '?')}: frames {data.get('start', '?')}..{_last(data.get('end'))}"]
    if data.get("reuses") is not None and not hint:
        parts.append(f"as shot {data['reuses']}")
    else:
        names = ", ".join(map(str, hint)) if isinstance(hint, list | tuple) else str(hint or "")
        parts.append(f"hint {names or 'none'}")
        if isinstance(data.get("confidence"), int | float):
            parts.append(f"confidence {data['confidence']:.2f}")
    parts += [str(warning) for warning in data.get("warnings") or ()]
    return ", ".join(parts)


def done_line(data: Mapping[str, Any]) -> str:
    """Format `wrote color.mkv: 185 frames in 9.1 s (20.3 frames/s)`."""
    line = f"wrote {data.get('target', '?')}: {data.get('frames', '?')} frames"
    if isinstance(data.get("seconds"), int | float):
        line += f" in {data['seconds']:.1f} s"
    if isinstance(data.get("fps"), int | float):
        line += f" ({data['fps']:.1f} frames/s)"
    return line


def _last(end: Any) -> Any:
    return end - 1 if isinstance(end, int) else "?"
