"""Previews: a thread colors part of one shot at a time; the results are cached.

The cache holds color before saturation, so a slider needs no coloring. Its key is a hash of all that the colors depend
on: a change that does not concern them costs nothing.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from time import monotonic
from typing import Any, Final, Literal

from videocolor.concurrency.stages import lower_priority
from videocolor.errors import UsageError, VideocolorError
from videocolor.pipeline.reader import Part
from videocolor.preview import PreviewFrame, preview_part, preview_rgb, preview_size, warm_up
from videocolor.studio.errors import BusyError, NotFoundError
from videocolor.studio.events import EventHub
from videocolor.studio.frames import ByteCache, FilmIndex
from videocolor.studio.live import Network
from videocolor.studio.models import Preview
from videocolor.studio.pictures import BYTES_PER_PIXEL, Kind, PackedFrame, frame_jpeg
from videocolor.studio.project import ProjectStore
from videocolor.studio.scan import Scan
from videocolor.studio.shots import ColorKey, ShotColors, Shots
from videocolor.types import Array

__all__ = ["PreviewRun", "Previews"]

log = logging.getLogger(__name__)
_KEPT: Final = 512 * 2**20
"""Bytes of the cache, and of the largest preview; five seconds at 240 lines take some 40 MB."""
_MOST_RUNS: Final = 100
"""Previews in the cache; those cancelled early take few bytes, but there may be many."""
_PAUSE: Final = 0.25
"""Seconds between progress events."""
_DRAFT: Final = 240
"""Lines up to which shots with a reference frame are colored in half the time."""
_SETTLE: Final = 5.0
"""Seconds that a preview waits for the scan of new shots."""


@dataclass(eq=False)
class PreviewRun:
    """A preview, running or ended."""

    id: str
    shot: int
    first: int
    count: int
    key: ColorKey
    began: float
    planned: int
    """Upper limit of its bytes."""
    state: Literal["running", "done", "cancelled", "failed"] = "running"
    seconds: float = 0.0
    first_seconds: float | None = None
    error: str | None = None
    reused: bool = False
    frames: list[PackedFrame] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def bytes(self) -> int:
        """Bytes of its frames, with those still to come."""
        return self.planned if self.state == "running" else sum(frame.bytes for frame in self.frames)


@dataclass(frozen=True)
class _Task:
    """What a preview colors."""

    colors: ShotColors
    part: Part
    number: int
    """Of the shot, from 0."""


class Previews:
    """The previews of a project; safe for threads."""

    def __init__(
        self, store: ProjectStore, index: FilmIndex, scan: Scan, shots: Shots, network: Network, events: EventHub
    ) -> None:
        self._store, self._index, self._scan, self._shots, self._events = store, index, scan, shots, events
        self._network = network
        self._lock = threading.RLock()
        self._one = threading.Lock()
        self._runs: OrderedDict[str, PreviewRun] = OrderedDict()
        self._current: PreviewRun | None = None
        self._threads: list[threading.Thread] = []
        self._number = 0
        self._closed = False
        self._jpegs: ByteCache[tuple[str, int, str, float], bytes] = ByteCache(32 * 2**20, len)

    # ---- asking ---------------------------------------------------------------------------------------------------

    def start(self, wish: Preview) -> dict[str, Any]:
        """Color part of a shot unless it is cached; cancel the preview that is running.

        Raises:
            NotFoundError: there is no such shot; BusyError: the film must be scanned first;
            InputError: the film has changed since it was opened;
            UsageError: the frames exceed the cache; names what fits.
        """
        index, state = self._index, self._store.state
        start, end = self._shots.span(wish.shot)
        first = wish.shot if wish.start is None else wish.start
        if not start <= first < end:
            raise NotFoundError(f"frame {first} does not belong to the shot of frames {start} to {end - 1}")
        if state.cuts is None and any(hint.enabled for hint in state.data.hints):
            raise BusyError("the film is still being scanned; a shot with hints can be previewed after that")
        self._store.check_film()
        self._scan.settled(_SETTLE)  # which shots recur
        colors = self._shots.colors(start, first, wish.lines)
        until = index.nearest(index.time_of(first) + Fraction(wish.seconds).limit_denominator(1000))
        count = max(1, min(end, until + (index.complete and until == index.frames - 1)) - first)
        planned = self._room_for(first, count, wish.lines)
        with self._lock:
            if self._closed:
                raise BusyError("the studio is closing")
            known = self._known(colors.key, count)
            if known is not None:
                if self._current is not None and self._current is not known:
                    self._current.stop.set()
                known.reused = known.reused or known.state == "done"
                self._current = known
                return self._document(known)
            if self._current is not None:
                self._current.stop.set()
            self._number += 1
            run = PreviewRun(f"p{self._number}", start, first, count, colors.key, monotonic(), planned)
            self._runs[run.id] = self._current = run
            self._forget()
            part = Part(first, index.ticks_of(first), index.ticks_of(end))
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            task = _Task(colors, part, self._shots.number_at(start))
            thread = threading.Thread(target=self._work, args=(run, task), name="preview", daemon=True)
            self._threads.append(thread)
            thread.start()
        return self._document(run)

    def _known(self, key: ColorKey, count: int) -> PreviewRun | None:
        """Return a preview of these colors that has, or will have, `count` frames."""
        for run in reversed(self._runs.values()):
            alive = run.state == "done" or (run.state == "running" and not run.stop.is_set())
            if alive and run.key == key and run.count >= count:
                self._runs.move_to_end(run.id)
                return run
        return None

    def _room_for(self, first: int, count: int, lines: int) -> int:
        """Return the bytes of a preview; refuse one that exceeds the cache before anything is colored."""
        width, height = preview_size(self._index.info, lines)
        each = BYTES_PER_PIXEL * width * height
        fits, time = _KEPT // each, self._index.time_of
        if count > fits:
            longest = int(10 * (time(first + fits) - time(first))) / 10
            raise UsageError(
                f"{count} frames of {lines} lines would take {count * each // 2**20} MiB of memory, and previews get "
                f"{_KEPT // 2**20} MiB: {longest} s fit at {lines} lines; take a shorter part, or fewer lines"
            )
        return count * each

    def _forget(self) -> None:
        """Drop the least recently used previews until the others fit; never the current one."""
        for run in list(self._runs.values()):
            if len(self._runs) <= _MOST_RUNS and sum(kept.bytes for kept in self._runs.values()) <= _KEPT:
                return
            if run is not self._current:
                del self._runs[run.id]

    def cancel(self, run_id: str) -> dict[str, Any]:
        """Stop a preview; its colored frames stay available."""
        run = self._run(run_id)
        run.stop.set()
        with self._lock:
            if run.state == "running":
                run.state = "cancelled"
        self._publish(run)
        return self._document(run)

    def cancel_all(self) -> None:
        """Stop the running preview."""
        with self._lock:
            run = self._current
        if run is not None and run.state == "running":
            self.cancel(run.id)

    def close(self) -> None:
        """End all threads."""
        with self._lock:
            self._closed = True
            threads = list(self._threads)
            for run in self._runs.values():
                run.stop.set()
        for thread in threads:
            thread.join()

    def document(self) -> dict[str, Any] | None:
        """Describe the preview requested last; None: there was none."""
        with self._lock:
            return None if self._current is None else self._document(self._current)

    def kept(self) -> list[dict[str, Any]]:
        """Describe the last preview of each shot."""
        with self._lock:
            latest = {run.shot: run for run in self._runs.values() if run.frames}
            return [self._document(run) for run in latest.values()]

    def get(self, run_id: str) -> dict[str, Any]:
        """Describe a preview."""
        return self._document(self._run(run_id))

    def _run(self, run_id: str) -> PreviewRun:
        with self._lock:
            run = self._runs.get(run_id)
        if run is None:
            raise NotFoundError(f"there is no preview {run_id} (any more)")
        return run

    def _document(self, run: PreviewRun) -> dict[str, Any]:
        return {
            "id": run.id,
            "shot": run.shot,
            "first": run.first,
            "count": run.count,
            "done": len(run.frames),
            "state": run.state,
            "seconds": round(run.seconds or (monotonic() - run.began if run.state == "running" else 0.0), 3),
            "first_seconds": None if run.first_seconds is None else round(run.first_seconds, 3),
            "error": run.error,
            "reused": run.reused,
            "stale": self._stale(run),
        }

    def _stale(self, run: PreviewRun) -> bool:
        """Return whether the shot would have other colors now."""
        try:
            return self._shots.colors(run.shot, run.first, run.key.lines).key != run.key
        except VideocolorError:
            return True

    # ---- pictures -------------------------------------------------------------------------------------------------

    def picture(self, run_id: str, index: int, kind: Kind, saturation: float) -> bytes:
        """Return the JPEG of a preview's frame.

        Raises:
            NotFoundError: there is no such preview, or the frame is not colored (yet).
        """
        key = (run_id, index, kind, 0.0 if kind == "before" else saturation)
        data = self._jpegs.get(key)
        if data is None:
            data = frame_jpeg(self._frame(self._run(run_id), index), kind, saturation)
            self._jpegs.put(key, data)
        return data

    def _frame(self, run: PreviewRun, index: int) -> PreviewFrame:
        place = index - run.first
        if not 0 <= place < len(run.frames):
            raise NotFoundError(f"frame {index} is not among the {len(run.frames)} frames of preview {run.id}")
        return run.frames[place].unpacked()

    def colored(self, index: int, saturation: float) -> Array | None:
        """Return (h, w, 3) uint8 of a frame from the newest preview that is not stale; None: there is none."""
        with self._lock:
            runs = list(reversed(self._runs.values()))
        for run in runs:
            if 0 <= index - run.first < len(run.frames) and not self._stale(run):
                return preview_rgb(self._frame(run, index), saturation)
        return None

    # ---- the thread -----------------------------------------------------------------------------------------------

    def warm(self) -> None:
        """Load the network in a thread, before the first preview."""
        config = self._store.config()

        def load() -> None:
            try:
                self._network.colorizer(config)
                warm_up(self._index.info.color.matrix)
            except VideocolorError as error:  # the first preview will report it
                log.info("the network cannot be loaded: %s", error)

        with self._lock:
            if not self._closed:
                thread = threading.Thread(target=load, name="network", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _work(self, run: PreviewRun, task: _Task) -> None:
        lower_priority()  # a click is answered first
        try:
            with self._one, self._scan.held():  # one at a time: the one before ends its threads first
                if not run.stop.is_set():
                    self._color(run, task)
            self._end(run, "cancelled" if run.stop.is_set() and len(run.frames) < run.count else "done")
        except (VideocolorError, OSError) as error:
            run.error = str(error)
            self._end(run, "failed")
        except Exception as error:  # whatever ends the thread must reach the page
            log.exception("preview of shot at frame %d failed", run.shot)
            run.error = f"{type(error).__name__}: {error}; this is a bug in videocolor"
            self._end(run, "failed")

    def _color(self, run: PreviewRun, task: _Task) -> None:
        published, colors = monotonic(), task.colors
        frames = preview_part(
            self._store.film,
            colors.config,
            task.part,
            shot=task.number,
            lines=colors.key.lines,
            colorizer=self._network.colorizer(colors.config),
            frames=run.count,
            reuses=colors.reference,
            target=self._store.target,
            draft=colors.key.lines <= _DRAFT,
        )
        with closing(frames):
            for frame in frames:
                run.frames.append(PackedFrame.of(frame))
                now = monotonic()
                if run.first_seconds is None:
                    run.first_seconds = now - run.began
                if len(run.frames) == 1 or now - published > _PAUSE:
                    published = now
                    self._publish(run)
                if run.stop.is_set():
                    return

    def _end(self, run: PreviewRun, state: Literal["done", "cancelled", "failed"]) -> None:
        with self._lock:
            run.state = state
            run.seconds = monotonic() - run.began
            if state == "done":
                run.count = len(run.frames)  # the shot may end earlier than its times promise
            self._forget()
        self._publish(run)

    def _publish(self, run: PreviewRun) -> None:
        self._events.publish("preview", self._document(run))
