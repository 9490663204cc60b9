"""Previews: one part of a shot at a time is coloured in a thread; what was coloured is kept, and known again.

What is kept is colour before saturation, so a slider costs no colouring. A preview is known by a hash of all that its
colours follow from: what a change does not concern is not computed again.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from contextlib import closing
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal

from videocolor.errors import UsageError, VideocolorError
from videocolor.models.base import Colorizer
from videocolor.pipeline.film import Part, load_network
from videocolor.preview import (
    PlannedLender,
    PreviewFrame,
    before_rgb,
    chroma_rgb,
    preview_part,
    preview_rgb,
    preview_size,
    warm_up,
)
from videocolor.studio.bodies import Preview
from videocolor.studio.colorkey import ColorKey, color_key
from videocolor.studio.frames import ByteCache, jpeg_bytes
from videocolor.studio.packed import BYTES_PER_PIXEL, PackedFrame
from videocolor.studio.problems import BusyError, NotFoundError
from videocolor.types import Array

if TYPE_CHECKING:
    from videocolor.config import ColorizeConfig
    from videocolor.studio.session import Studio

__all__ = ["Kind", "PreviewRun", "Previews"]

log = logging.getLogger(__name__)
Kind = Literal["before", "after", "chroma"]
_KEPT: Final = 512 * 2**20
"""Bytes of coloured frames that are kept; five seconds at 240 lines take some 40 MB. No preview may be larger."""
_MOST_RUNS: Final = 100
"""Previews that are known again; one that was cancelled early takes next to nothing, but there may be many."""
_PAUSE: Final = 0.25
"""Seconds between two words about the progress."""
_SETTLE: Final = 5.0
"""Seconds that a preview waits for the look at shots that a person has just made."""


@dataclass(eq=False)
class PreviewRun:
    """One preview, running or ended."""

    id: str
    shot: int
    first: int
    count: int
    key: ColorKey
    began: float
    planned: int
    """Bytes that it will take at most."""
    state: Literal["running", "done", "cancelled", "failed"] = "running"
    seconds: float = 0.0
    first_seconds: float | None = None
    error: str | None = None
    reused: bool = False
    frames: list[PackedFrame] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def bytes(self) -> int:
        """Of its frames, and of those that are still to come."""
        return self.planned if self.state == "running" else sum(frame.bytes for frame in self.frames)


@dataclass(frozen=True)
class _Task:
    """What a preview colours."""

    config: ColorizeConfig
    part: Part
    number: int
    """Of the shot, from 0."""
    lender: PlannedLender | None
    lines: int


class Previews:
    """The previews of a studio; safe for threads."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._lock = threading.RLock()
        self._network = threading.Lock()
        self._colorizer: tuple[str, Colorizer] | None = None
        self._runs: OrderedDict[str, PreviewRun] = OrderedDict()
        self._current: PreviewRun | None = None
        self._threads: list[threading.Thread] = []
        self._number = 0
        self._closed = False
        self._jpegs: ByteCache[tuple[str, int, str, float], bytes] = ByteCache(32 * 2**20, len)

    # ---- asking ---------------------------------------------------------------------------------------------------

    def start(self, wish: Preview) -> dict[str, Any]:
        """Colour a part of a shot, unless that was done already; one that is running is cancelled.

        Raises:
            NotFoundError: there is no such shot; BusyError: the film must be looked through first;
            InputError: the film has changed since it was opened;
            UsageError: so many frames of this size are more than can be kept; names what fits.
        """
        studio, state = self._studio, self._studio.store.state
        start, end = studio.shot_span(wish.shot)
        first = wish.shot if wish.start is None else wish.start
        if not start <= first < end:
            raise NotFoundError(f"frame {first} does not belong to the shot of frames {start} to {end - 1}")
        if state.cuts is None and any(hint.enabled for hint in state.data.hints):
            raise BusyError("the film is still being looked through; a shot with hints can be previewed after that")
        studio.check_film()
        studio.scan.settled(_SETTLE)  # which shots return to which
        key, config, lender = color_key(studio, start, first, wish.lines)
        until = studio.index.nearest(studio.index.time_of(first) + _exact(wish.seconds))
        count = max(1, min(end, until + (studio.index.complete and until == studio.index.frames - 1)) - first)
        planned = self._room_for(first, count, wish.lines)
        with self._lock:
            if self._closed:
                raise BusyError("the studio is closing")
            known = self._known(key, count)
            if known is not None:
                if self._current is not None and self._current is not known:
                    self._current.stop.set()
                known.reused = known.reused or known.state == "done"
                self._current = known
                return self._document(known)
            if self._current is not None:
                self._current.stop.set()
            self._number += 1
            run = PreviewRun(f"p{self._number}", start, first, count, key, monotonic(), planned)
            self._runs[run.id] = self._current = run
            self._forget()
            part = Part(first, studio.index.ticks_of(first), studio.index.ticks_of(end))
            number = [shot for shot, _ in studio.spans()].index(start)
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            task = _Task(config, part, number, lender, wish.lines)
            thread = threading.Thread(target=self._work, args=(run, task), name="preview", daemon=True)
            self._threads.append(thread)
            thread.start()
        return self._document(run)

    def _known(self, key: ColorKey, count: int) -> PreviewRun | None:
        """A preview of these colours that has or will have so many frames."""
        for run in reversed(self._runs.values()):
            alive = run.state == "done" or (run.state == "running" and not run.stop.is_set())
            if alive and run.key == key and run.count >= count:
                self._runs.move_to_end(run.id)
                return run
        return None

    def _room_for(self, first: int, count: int, lines: int) -> int:
        """Bytes of so many frames. Refused before anything is coloured, not when the memory is full of them."""
        width, height = preview_size(self._studio.info, lines)
        each = BYTES_PER_PIXEL * width * height
        fits, time = _KEPT // each, self._studio.index.time_of
        if count > fits:
            longest = int(10 * (time(first + fits) - time(first))) / 10
            raise UsageError(
                f"{count} frames of {lines} lines would take {count * each // 2**20} MiB of memory, and previews get "
                f"{_KEPT // 2**20} MiB: {longest} s fit at {lines} lines; take a shorter part, or fewer lines"
            )
        return count * each

    def _forget(self) -> None:
        """Let go of those unused for longest, until what is kept and what is to come have room; never of the last."""
        for run in list(self._runs.values()):
            if len(self._runs) <= _MOST_RUNS and sum(kept.bytes for kept in self._runs.values()) <= _KEPT:
                return
            if run is not self._current:
                del self._runs[run.id]

    def cancel(self, run_id: str) -> dict[str, Any]:
        """Stop a preview; what is coloured already can still be looked at."""
        run = self._run(run_id)
        run.stop.set()
        with self._lock:
            if run.state == "running":
                run.state = "cancelled"
        self._tell(run)
        return self._document(run)

    def cancel_all(self) -> None:
        """Nobody looks any more."""
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
        """The preview asked for last; None: there was none."""
        with self._lock:
            return None if self._current is None else self._document(self._current)

    def get(self, run_id: str) -> dict[str, Any]:
        """How a preview stands."""
        return self._document(self._run(run_id))

    def _run(self, run_id: str) -> PreviewRun:
        with self._lock:
            run = self._runs.get(run_id)
        if run is None:
            raise NotFoundError(f"preview {run_id} is not there (any more)")
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
        """Whether the shot would have other colours by now."""
        try:
            return color_key(self._studio, run.shot, run.first, run.key.lines)[0] != run.key
        except VideocolorError:
            return True

    # ---- pictures -------------------------------------------------------------------------------------------------

    def picture(self, run_id: str, index: int, kind: Kind, saturation: float) -> bytes:
        """JPEG of a frame of a preview.

        Raises:
            NotFoundError: there is no such preview, or the frame is not coloured (yet).
        """
        key = (run_id, index, kind, 0.0 if kind == "before" else saturation)
        data = self._jpegs.get(key)
        if data is None:
            frame = self._frame(self._run(run_id), index)
            if kind == "before":
                picture = before_rgb(frame)
            else:
                picture = (preview_rgb if kind == "after" else chroma_rgb)(frame, saturation)
            data = jpeg_bytes(picture)
            self._jpegs.put(key, data)
        return data

    def _frame(self, run: PreviewRun, index: int) -> PreviewFrame:
        place = index - run.first
        if not 0 <= place < len(run.frames):
            raise NotFoundError(f"frame {index} is not among the {len(run.frames)} frames of preview {run.id}")
        return run.frames[place].unpacked()

    def colored(self, index: int, saturation: float) -> Array | None:
        """(h, w, 3) uint8 of a frame as the newest preview that holds it shows it; None: none does, or it is stale."""
        with self._lock:
            runs = list(reversed(self._runs.values()))
        for run in runs:
            if 0 <= index - run.first < len(run.frames) and not self._stale(run):
                return preview_rgb(self._frame(run, index), saturation)
        return None

    # ---- the thread -----------------------------------------------------------------------------------------------

    def warm(self) -> None:
        """Load the network before it is asked for, in a thread."""
        config = self._studio.store.config()

        def load() -> None:
            try:
                with self._network:
                    self._load(config)
                    warm_up(self._studio.info.color.matrix)
            except VideocolorError as error:  # the preview that needs it will say so
                log.info("the network cannot be loaded: %s", error)

        with self._lock:
            if not self._closed:
                thread = threading.Thread(target=load, name="network", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _load(self, config: ColorizeConfig) -> Colorizer:
        name = config.model.model_dump_json()
        if self._colorizer is None or self._colorizer[0] != name:
            self._colorizer = None
            self._colorizer = (name, load_network(config))
        return self._colorizer[1]

    def _work(self, run: PreviewRun, task: _Task) -> None:
        try:
            with self._network, self._studio.scan.held():  # one at a time: the one before closes its threads first
                if not run.stop.is_set():
                    self._color(run, task)
            self._end(run, "cancelled" if run.stop.is_set() and len(run.frames) < run.count else "done")
        except (VideocolorError, OSError) as error:
            run.error = str(error)
            self._end(run, "failed")
        except Exception as error:  # a thread's last word must reach the page, whatever it is
            log.exception("preview of shot at frame %d failed", run.shot)
            run.error = f"{type(error).__name__}: {error}; this is a bug in videocolor"
            self._end(run, "failed")

    def _color(self, run: PreviewRun, task: _Task) -> None:
        told = monotonic()
        frames = preview_part(
            self._studio.film,
            task.config,
            task.part,
            shot=task.number,
            lines=task.lines,
            colorizer=self._load(task.config),
            frames=run.count,
            reuses=task.lender,
            target=self._studio.store.target,
        )
        with closing(frames):
            for frame in frames:
                run.frames.append(PackedFrame.of(frame))
                now = monotonic()
                if run.first_seconds is None:
                    run.first_seconds = now - run.began
                if len(run.frames) == 1 or now - told > _PAUSE:
                    told = now
                    self._tell(run)
                if run.stop.is_set():
                    return

    def _end(self, run: PreviewRun, state: Literal["done", "cancelled", "failed"]) -> None:
        with self._lock:
            run.state = state
            run.seconds = monotonic() - run.began
            if state == "done":
                run.count = len(run.frames)  # the shot may have ended earlier than its times promised
            self._forget()
        self._tell(run)

    def _tell(self, run: PreviewRun) -> None:
        self._studio.events.publish("preview", self._document(run))


def _exact(seconds: float) -> Any:
    from fractions import Fraction

    return Fraction(seconds).limit_denominator(1000)
