"""Scan the film when the studio starts: the times of its frames, its shots, and thumbnails of each.

One thread does it, and later views the shots that new cuts make. The project's cache keeps the result, so that the next
start needs no pass.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Final, Protocol

import cv2

from videocolor.config import ColorizeConfig
from videocolor.errors import VideocolorError
from videocolor.keyframes.choose import rank_views
from videocolor.motion.similarity import shot_similarity, thumbnail
from videocolor.pipeline.reuse import RecurrenceFinder
from videocolor.shots.prepare import prepare, working_size
from videocolor.shots.scan import VIEWS, FilmScan
from videocolor.studio.frames import FilmIndex, FrameSource, display_size, jpeg_bytes
from videocolor.studio.scancache import MOST_SUGGESTED, FoundShots, ShotView, load_scan, save_scan, scan_path
from videocolor.types import Array

__all__ = ["Scan", "Watcher"]

log = logging.getLogger(__name__)
_PAUSE: Final = 0.2
"""Seconds between progress reports."""


class Watcher(Protocol):
    """Receive news of the scan; called from its thread."""

    def scan_moved(self) -> None:
        """Handle progress, or another state."""

    def shots_found(self, views: Sequence[ShotView]) -> None:
        """Handle new thumbnails of shots."""

    def scan_ended(self, starts: Sequence[int]) -> None:
        """Handle the end: all frames are known, and `starts` are the first ones of all shots."""

    def returns_changed(self) -> None:
        """Handle a change of the recurring shots."""


class _Stopped(Exception):
    """Leave the pass, as the studio closes."""


class Scan:
    """Scan a film.

    Args:
        film: the film.
        config: its shots and restoration are used.
        cache: folder of the project for files that can be computed again.
        index: receives the times of the frames.
        watcher: receives the news.
    """

    def __init__(self, film: Path, config: ColorizeConfig, cache: Path, index: FilmIndex, watcher: Watcher) -> None:
        self._film, self._index, self._watcher = film, index, watcher
        self._config = ColorizeConfig(shots=config.shots, restoration=config.restoration)
        self._path = scan_path(cache, film, self._config)
        self._source = FrameSource(film, index, self._config)
        self._views: dict[tuple[int, int], ShotView] = {}
        self._similarity: dict[tuple[int, int], float] = {}
        self._lock = threading.Condition()
        self._wanted: tuple[tuple[int, ...], frozenset[int]] | None = None
        self._detected: tuple[int, ...] = ()
        self._saved = 0
        self._reported = 0.0
        self._stopping = self._busy = False
        self._held = 0
        self._free = threading.Event()
        self._free.set()
        self._thread = threading.Thread(target=self._run, name="scan", daemon=True)
        self.state = "running"
        self.error: str | None = None
        self.open_shot: int | None = 0
        """First frame of the shot that is being scanned; None when all are known."""
        self.returns: dict[int, int] = {}
        """First frame of a recurring shot -> first frame of its reference shot."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and save what was found."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
        self._free.set()
        if self._thread.is_alive():
            self._thread.join()
        self._source.close()
        if self.state == "done" and len(self._views) != self._saved:
            self._save()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Pause the pass meanwhile, to leave the processor to a preview."""
        with self._lock:
            self._held += 1
            self._free.clear()
        try:
            yield
        finally:
            with self._lock:
                self._held -= 1
                if not self._held:
                    self._free.set()

    def status(self) -> dict[str, Any]:
        """Return {state, frames, total, error} for the page."""
        total = self._index.frames if self._index.complete else self._index.info.frames
        return {"state": self.state, "frames": self._index.frames, "total": total, "error": self.error}

    def view(self, start: int, end: int) -> ShotView | None:
        """Return the thumbnails of the shot of frames `start` to `end` (exclusive); None: not scanned yet."""
        return self._views.get((start, end))

    def found(self) -> list[ShotView]:
        """Return the shots found so far, in film order."""
        return sorted(self._views.values(), key=lambda view: view.start)

    def watch(self, cuts: Sequence[int], hinted: Collection[int]) -> None:
        """View the shots between other cuts, and find the recurring shots again.

        Args:
            cuts: first frames of all shots.
            hinted: first frames of the shots with hints of their own, which reuse no other shot's colors.
        """
        with self._lock:
            self._wanted = (tuple(cuts), frozenset(hinted))
            self._lock.notify_all()

    def settled(self, seconds: float) -> bool:
        """Wait until the last `watch` is done, at most `seconds`; return whether it is."""
        with self._lock:
            return self._lock.wait_for(lambda: self._stopping or not (self._busy or self._wanted), seconds)

    # ---- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            starts = self._from_cache() or self._pass()
            self._end(starts)
            while True:
                with self._lock:
                    self._lock.wait_for(lambda: self._wanted is not None or self._stopping)
                    if self._stopping or self._wanted is None:
                        return
                    (cuts, hinted), self._wanted, self._busy = self._wanted, None, True
                self._view_shots(cuts)
                self._find_returns(cuts, hinted)
                with self._lock:
                    self._busy = False
                    self._lock.notify_all()
        except _Stopped:
            self._index.finish()
        except (VideocolorError, OSError) as error:
            self._fail(str(error))
        except Exception as error:  # whatever ends the thread must reach the page
            log.exception("the scan of %s failed", self._film)
            self._fail(f"{type(error).__name__}: {error}; this is a bug in videocolor")

    def _end(self, starts: Sequence[int]) -> None:
        """Report that all shots are known; recurring ones are not, so `settled` must wait."""
        with self._lock:
            self._busy = True
        try:
            self.open_shot = None
            self._index.finish()
            self.state = "done"
            self._watcher.scan_ended(starts)
            self._watcher.scan_moved()
        finally:
            with self._lock:
                self._busy = False
                self._lock.notify_all()

    def _fail(self, message: str) -> None:
        self.state, self.error, self.open_shot = "failed", message, None
        self._index.finish()
        self._watcher.scan_moved()

    def _from_cache(self) -> list[int] | None:
        """Return the first frames of the shots from the cache of an earlier studio; None: there is none."""
        found = load_scan(self._path)
        if found is None or (not found.detected and self._config.shots.file is None):
            return None
        self._index.pts.extend(found.pts)
        self._index.finish()
        self._detected = found.detected
        self._views = {(view.start, view.end): view for view in found.views}
        self._saved = len(self._views)
        return list(found.detected) or [0]

    def _pass(self) -> list[int]:
        scan = FilmScan(self._film, self._config, progress=self._tick)
        self._pts = scan.pts
        starts: list[int] = []
        for scanned in scan:
            view = self._view_of(scanned.shot.start, scanned.shot.end, scanned.views, scanned.last)
            starts.append(view.start)
            self._views[view.start, view.end] = view
            self.open_shot = view.end
            self._watcher.shots_found([view])
        if self._config.shots.file is None:
            self._detected = tuple(starts)
        self._save()
        return starts

    def _tick(self, frames: int, _total: int | None) -> None:
        self._index.grow(self._pts[-1])
        self._rest()
        if frames == 1 or monotonic() - self._reported > _PAUSE:
            self._reported = monotonic()
            self._watcher.scan_moved()

    def _rest(self) -> None:
        self._free.wait()
        if self._stopping:
            raise _Stopped

    def _view_shots(self, cuts: Sequence[int]) -> None:
        """View the shots that have no thumbnails yet."""
        spans = list(zip(cuts, [*cuts[1:], self._index.frames], strict=True))
        for start, end in spans:
            if (start, end) in self._views or self._superseded():
                continue
            try:
                view = self._view_again(start, end)
            except VideocolorError as error:  # an unreadable frame: this shot stays without picture
                log.warning("shot at frame %d: %s", start, error)
                continue
            self._views[start, end] = view
            self._watcher.shots_found([view])

    def _superseded(self) -> bool:
        """Return whether other cuts are wanted by now. This part does not pause for a preview, which waits for it."""
        if self._stopping:
            raise _Stopped
        return self._wanted is not None

    def _like(self, one: Array, other: Array) -> float:
        """Cache `shot_similarity`: 2,000 shots compare 100,000 pairs after every new cut."""
        key = (id(one), id(other))  # pictures of `_views` live as long as the scan
        if key not in self._similarity:
            self._similarity[key] = shot_similarity(one, other)
        return self._similarity[key]

    def _view_again(self, start: int, end: int) -> ShotView:
        """View a shot as the pass would, reading its frames one by one."""
        stride = 1
        while -(-(end - start) // stride) > VIEWS:
            stride *= 2
        wanted = [*range(start, end, stride), end - 1]
        info = self._index.info
        pictures = []
        for index in wanted:
            if self._stopping:
                raise _Stopped
            (prepared,) = prepare([self._source.frame(index)], working_size(info.width, info.height))
            pictures.append(thumbnail(prepared.gray))
        return self._view_of(start, end, list(zip(wanted[:-1], pictures, strict=False)), pictures[-1])

    def _view_of(self, start: int, end: int, views: Sequence[tuple[int, Array]], last: Array) -> ShotView:
        suggested = tuple(rank_views(views)[:MOST_SUGGESTED])
        picture = dict(views)[suggested[0]]
        size = display_size(self._index.info, picture.shape[0])
        shown = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
        return ShotView(start, end, views[0][1], last, suggested, jpeg_bytes(shown))

    def _find_returns(self, cuts: Sequence[int], hinted: Collection[int]) -> None:
        """Find recurring shots as `videocolor.shards.plan.planned_shots` does for a render."""
        finder, returns = RecurrenceFinder(self._like), {}
        for start, end in zip(cuts, [*cuts[1:], self._index.frames], strict=True):
            if self._superseded():
                return
            view = self.view(start, end)
            if view is None:
                continue
            reference = None if start in hinted else finder.find(view.first)
            if reference is None:
                finder.add(start, view.first, view.last)
            else:
                returns[start] = reference
        if returns != self.returns:
            self.returns = returns
            self._watcher.returns_changed()

    def _save(self) -> None:
        save_scan(self._path, FoundShots(self._index.pts, self._detected, self.found()))
        self._saved = len(self._views)
