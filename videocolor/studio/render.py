"""Render a project: a batch of one film in a separate process, which survives page and studio.

Its state is on disk: the batch's receipts in `renders/.videocolor`, requests in `renders/.requests`, the
process's output in `renders/render.log`. A killed render resumes at the next start; of a finished film only the changed
shots are rendered.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias

from videocolor.batch.jobs import read_jobs
from videocolor.batch.lock import lock_holder
from videocolor.batch.receipts import Receipt, read_receipt, write_receipt
from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import settings_id, state_folder
from videocolor.batch.status import batch_status
from videocolor.errors import InputError, UsageError
from videocolor.files import disk_errors, plain, write_atomically
from videocolor.presets import yaml_line
from videocolor.record import sidecar_path
from videocolor.shards.types import FilmJob
from videocolor.studio.filmref import locate
from videocolor.studio.projectfolder import OpenProject, project_settings
from videocolor.studio.requests import (
    Change,
    Request,
    changed_shots,
    forget_requests,
    frozen_list,
    keep_receipt,
    latest_request,
    numbered,
    receipt_of,
    request_of,
    returns_of,
)

__all__ = ["RenderState", "RenderStatus", "Rendered", "render_status", "start_render", "stop_render"]

RenderState: TypeAlias = Literal["idle", "running", "done", "failed", "stopped"]

_JOB: Final = "render.yaml"
_LOG: Final = "render.log"
_TAIL: Final = 2**18
"""Bytes of the log that are read."""
_LINES: Final = 40
_FIRST: Final = 24
"""Frames after which rate and remaining time are given: earlier, they only measure the start."""
_PATIENCE: Final = 20.0
"""Seconds to wait for a stopped render."""

_processes: dict[Path, subprocess.Popen[bytes]] = {}
"""Renders started by this process, by folder: an ended child must be waited for."""
_starting: Final = threading.Lock()


class Rendered(Protocol):
    """A film to render, and where: of an open project, or of another one."""

    @property
    def renders(self) -> Path:
        """Folder of the batch."""

    @property
    def target(self) -> Path:
        """The film to write, in that folder."""

    def project(self) -> OpenProject:
        """Return the project as it is now."""


@dataclass(frozen=True)
class RenderStatus:
    """Status of the render of a project."""

    state: RenderState
    """idle: nothing was requested, or the film was removed. done: the last request is finished, or the film is up to
    date. stopped: killed or stopped; another start resumes it."""
    frames: int
    total: int | None
    fps: float | None
    eta_s: float | None
    error: str | None
    target: Path
    """Path of the film."""
    revision: int | None
    """Of the project at the last request."""
    changed: tuple[int, ...]
    """Numbers, from 1, of shots that would differ from the finished film."""
    log: tuple[str, ...]
    """The last warnings, notes and errors."""
    stage: str = ""
    """planning, coloring, merging or recoloring."""
    rendered: int | None = None
    """Of the project when the film at `target` was requested; None: there is no finished film."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return dict(plain(asdict(self)))


def start_render(store: Rendered, *, only_changed: bool) -> RenderStatus:
    """Render the present project, or resume a render that was stopped.

    Args:
        store: the project.
        only_changed: color only the shots of a finished film that have changed, and those that reuse their colors.
            Without a finished film, or if everything has changed, all is colored; if nothing has, nothing is done.

    Returns:
        The status after the start.

    Raises:
        UsageError: a render is running already.
        InputError: the film is missing or another one, or the picture of a hint is missing.
        OutputError: renders/ cannot be written.
    """
    with _starting:
        if _running(store.renders):
            raise UsageError(f"{store.target}: is being rendered; wait, or stop it first")
        project = store.project()
        locate(project.state.data.film, project.film, project.folder)
        job = _write_job(project)
        keep_receipt(store.renders, job.name)
        film, receipt = _finished(store.renders, job.name, project.target)
        asked, last = request_of(project), latest_request(store.renders)
        more: list[str] = []
        if only_changed and film is not None:
            change = _change(asked, film, project.target)
            if not change.shots:
                return render_status(store)
            if not change.everything:
                more = ["--only-shots", _text(change.shots)]
                more += ["--reusing", _text(change.reused)] if change.reused else []
        mode = "shots" if more else "whole"
        numbered(asked, last, id=settings_id(job), name=job.name, mode=mode).write(store.renders)
        forget_requests(store.renders, () if film is None else (film.id,))
        if receipt is not None:
            write_receipt(store.renders, receipt)  # a stopped render may have deleted it
        _spawn(store.renders, more)
    return render_status(store)


def render_status(store: Rendered) -> RenderStatus:
    """Return the status of the running process, or of what the last one has left."""
    renders, project = store.renders, store.project()
    asked = latest_request(renders)
    if asked is None:
        return RenderStatus("idle", 0, project.state.data.frames, None, None, None, project.target, None, (), ())
    running = _running(renders)  # first: a film finished meanwhile is reported next time
    events, lines = _read_log(renders)
    film, _ = _finished(renders, asked.name, project.target)
    changed: tuple[int, ...] = ()
    if film is not None:
        changed = tuple(number + 1 for number in _change(request_of(project), film, project.target).shots)
    # A stopped or failed render does not matter if its change was undone.
    whole = film is not None and (film.id == asked.id or not changed)
    error = None if running or whole else _error_in(events)
    state: RenderState = "running" if running else "done" if whole else "failed" if error else "stopped"
    receipt = read_receipt(renders, asked.name)
    if state == "stopped" and receipt is not None and receipt.settings == asked.id:
        state = "idle"  # finished, and the film was removed or replaced
    frames, total, fps, eta, stage = _progress(renders, asked, events, running)
    frames, total = (total or frames, total) if whole and not running else (frames, total)
    return RenderStatus(
        *(state, frames, total or project.state.data.frames, fps, eta, error, project.target, asked.revision),
        *(changed, lines, stage, None if film is None else film.revision),
    )


def stop_render(store: Rendered) -> RenderStatus:
    """Stop the render; another start resumes it.

    Raises:
        UsageError: it runs on another machine.
    """
    process, holder = _processes.get(store.renders), lock_holder(state_folder(store.renders))
    was_running = (process is not None and process.poll() is None) or holder is not None
    if process is not None and process.poll() is None:
        process.send_signal(signal.SIGTERM)
    elif holder is not None:
        if holder.host != socket.gethostname():
            raise UsageError(f"{store.target}: is being rendered by {holder}; stop it there")
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(holder.pid, signal.SIGTERM)
    until = time.monotonic() + _PATIENCE
    while _running(store.renders) and time.monotonic() < until:
        time.sleep(0.05)
    if was_running and not _running(store.renders):
        log = store.renders / _LOG
        with disk_errors(log), log.open("a", encoding="utf-8") as file:
            file.write('\n{"event": "stopped"}\n')
    return render_status(store)


def _running(renders: Path) -> bool:
    process = _processes.get(renders)
    if process is not None and process.poll() is None:
        return True
    return lock_holder(state_folder(renders)) is not None


def _write_job(project: OpenProject) -> FilmJob:
    """Write the job file of the batch; return the job as the batch reads it."""
    renders = project.target.parent
    with disk_errors(renders):
        renders.mkdir(parents=True, exist_ok=True)
    settings = project_settings(project.folder, project.state, frozen_list(renders, project.state))
    film = {
        "film": str(project.film),
        "output": project.state.data.target,
        "set": {**settings, "output.overwrite": True, "output.sidecar": True},
    }
    path = renders / _JOB
    write_atomically(path, yaml_line({"films": [film]}) + "\n")
    return read_jobs(path, renders, BatchConfig()).jobs[0]


def _spawn(renders: Path, more: Sequence[str]) -> None:
    """Start the batch in a new session, which our signals do not reach and which outlives us."""
    log = renders / _LOG
    # The studio has shown the damages of a reel; it is colored as it is, as by `videocolor colorize`.
    options = ["-o", str(renders), "--json", "--set", "films.damaged=accept", *more]
    command = [sys.executable, "-m", "videocolor", "batch", "run", str(renders / _JOB), *options]
    with disk_errors(log):
        if log.exists():
            log.replace(log.with_suffix(".old.log"))
        with log.open("wb") as file:
            _processes[renders] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )


def _finished(renders: Path, name: str, target: Path) -> tuple[Request | None, Receipt | None]:
    """Return request and receipt of the finished film in renders/; None: there is none."""
    receipt = receipt_of(renders, name, target)
    request = None if receipt is None else Request.read(renders, receipt.settings)
    return (None, None) if request is None else (request, receipt)


def _change(asked: Request, film: Request, target: Path) -> Change:
    record = sidecar_path(target)
    try:
        stat = record.stat()
        return changed_shots(asked, film, _returns(record, stat.st_mtime_ns, stat.st_size))
    except (OSError, InputError):
        everything = tuple(range(len(asked.shots)))
        return Change(everything, everything, True)


@lru_cache(maxsize=8)
def _returns(record: Path, _changed: int, _size: int) -> dict[int, int]:
    try:
        return returns_of(json.loads(record.read_text(encoding="utf-8"))["shots"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{record}: is no record of a film") from error


def _text(numbers: Sequence[int]) -> str:
    """Format numbers, from 0, for `--only-shots`: `3,5-7`, from 1."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(f"{a + 1}" if a == b else f"{a + 1}-{b + 1}" for a, b in parts)


def _read_log(renders: Path) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Return the last events of the process, and the messages for people."""
    try:
        with (renders / _LOG).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            text = file.read().decode(errors="replace")
    except OSError:
        return [], ()
    rows = text.split("\n")  # not splitlines: names of films may hold other line ends
    events: list[dict[str, Any]] = []
    messages: list[str] = []
    for row in rows[1:] if size > _TAIL else rows:
        try:
            event = json.loads(row)
        except ValueError:
            messages += [row[:500]] if row.strip() else []
            continue
        if isinstance(event, dict):
            events.append(event)
            kind = event.get("event")
            if kind in ("warning", "note", "error", "film_failed"):
                messages.append(
                    f"{str(kind).replace('film_failed', 'error')}: {event.get('message') or event.get('error')}"
                )
    return events, tuple(dict.fromkeys(messages))[-_LINES:]


def _error_in(events: Sequence[dict[str, Any]]) -> str | None:
    for event in reversed(events):
        # An error after a stop is no failure: the signal may have hit a library whose error hides the interruption.
        if event.get("event") == "stopped":
            return None
        if event.get("event") == "film_failed":
            return str(event.get("error"))
        if event.get("event") == "error" and event.get("type") != "Interrupted":
            return str(event.get("message"))
    return None


def _progress(
    renders: Path, asked: Request, events: Sequence[dict[str, Any]], running: bool
) -> tuple[int, int | None, float | None, float | None, str]:
    """Return frames done, total, frames per second, remaining seconds, stage."""
    if asked.mode == "shots" and running:
        for event in reversed(events):
            if event.get("event") == "progress" and event.get("stage") != "reels":
                stage = "planning" if event.get("stage") == "shots" else "recoloring"
                known = event["frames"] >= _FIRST
                fps, eta = (event["fps"], event["eta_s"]) if known else (None, None)
                return event["frames"], event["total"], fps, eta, stage
        return 0, None, None, None, "recoloring"
    try:
        status = batch_status(renders)
    except InputError:  # it has not listed its films yet
        return 0, None, None, None, ""
    row = next((film for film in status.films if film.name == asked.name), None)
    if row is None:
        return 0, None, None, None, ""
    known = row.frames_done >= _FIRST
    return row.frames_done, row.frames, *((status.fps, status.eta_s) if known else (None, None)), row.stage
