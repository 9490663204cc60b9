"""The pass over the film that the studio begins with: its frames' times, its shots, and how each of them looks.

One thread does it, and goes on to look at the shots that a person's new cuts make. What was found is kept in the
project's cache, so that the next start needs no pass.
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
from videocolor.hints.plan import rank_views
from videocolor.pipeline.prepare import prepare, working_size
from videocolor.pipeline.reuse import RecurrenceFinder
from videocolor.shots.detect import shot_similarity
from videocolor.shots.scan import VIEWS, FilmScan, thumbnail
from videocolor.studio.frames import FilmIndex, FrameSource, display_size, jpeg_bytes
from videocolor.studio.scancache import MOST_SUGGESTED, FoundShots, ShotLook, load_scan, save_scan, scan_path
from videocolor.types import Array

__all__ = ["Scan", "Watcher"]

log = logging.getLogger(__name__)
_PAUSE: Final = 0.2
"""Seconds between two words about the progress."""


class Watcher(Protocol):
    """Who hears of the scan; called from its thread."""

    def scan_moved(self) -> None:
        """Progress, or another state."""

    def shots_found(self, looks: Sequence[ShotLook]) -> None:
        """These shots can be shown now."""

    def scan_ended(self, starts: Sequence[int]) -> None:
        """All frames are known, and these are the first ones of all shots."""

    def returns_changed(self) -> None:
        """Other shots return to earlier ones than before."""


class _Stopped(Exception):
    """The studio closes; no error, but the way out of a pass."""


class Scan:
    """Looks through a film.

    Args:
        film: the film.
        config: its shots and its restoration count.
        cache: folder of the project for what can be computed again.
        index: filled with the times of the frames.
        watcher: hears of it.
    """

    def __init__(self, film: Path, config: ColorizeConfig, cache: Path, index: FilmIndex, watcher: Watcher) -> None:
        self._film, self._index, self._watcher = film, index, watcher
        self._config = ColorizeConfig(shots=config.shots, restoration=config.restoration)
        self._path = scan_path(cache, film, self._config)
        self._source = FrameSource(film, index, self._config)
        self._looks: dict[tuple[int, int], ShotLook] = {}
        self._similarity: dict[tuple[int, int], float] = {}
        self._lock = threading.Condition()
        self._wanted: tuple[tuple[int, ...], frozenset[int]] | None = None
        self._detected: tuple[int, ...] = ()
        self._saved = 0
        self._told = 0.0
        self._stopping = self._busy = False
        self._held = 0
        self._free = threading.Event()
        self._free.set()
        self._thread = threading.Thread(target=self._run, name="scan", daemon=True)
        self.state = "running"
        self.error: str | None = None
        self.open_shot: int | None = 0
        """First frame of the shot that is being looked through; None when all are known."""
        self.returns: dict[int, int] = {}
        """First frame of a shot -> first frame of the earlier one that it takes its colours from."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, wherever it is, and write down what was found."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
        self._free.set()
        if self._thread.is_alive():
            self._thread.join()
        self._source.close()
        if self.state == "done" and len(self._looks) != self._saved:
            self._save()

    @contextmanager
    def held(self) -> Iterator[None]:
        """The pass rests meanwhile, so that somebody who waits for pictures has the processor alone."""
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
        """As the page reads it: {state, frames, total, error}."""
        total = self._index.frames if self._index.complete else self._index.info.frames
        return {"state": self.state, "frames": self._index.frames, "total": total, "error": self.error}

    def look(self, start: int, end: int) -> ShotLook | None:
        """How the shot of these frames looks; None where nobody has looked yet."""
        return self._looks.get((start, end))

    def found(self) -> list[ShotLook]:
        """The shots found so far, in film order; complete when the pass has ended."""
        return sorted(self._looks.values(), key=lambda look: look.start)

    def watch(self, cuts: Sequence[int], hinted: Collection[int]) -> None:
        """Look at the shots between other cuts, and find out anew which shots return.

        Args:
            cuts: first frames of all shots.
            hinted: first frames of the shots that have hints of their own, and so return to none.
        """
        with self._lock:
            self._wanted = (tuple(cuts), frozenset(hinted))
            self._lock.notify_all()

    def settled(self, seconds: float) -> bool:
        """Wait until what `watch` asked for last is done, but not longer than `seconds`; whether it is."""
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
                self._look_at(cuts)
                self._find_returns(cuts, hinted)
                with self._lock:
                    self._busy = False
                    self._lock.notify_all()
        except _Stopped:
            self._index.finish()
        except (VideocolorError, OSError) as error:
            self._fail(str(error))
        except Exception as error:  # a thread's last word must reach the page, whatever it is
            log.exception("the scan of %s failed", self._film)
            self._fail(f"{type(error).__name__}: {error}; this is a bug in videocolor")

    def _end(self, starts: Sequence[int]) -> None:
        """All shots are known; which of them return is not, and nobody may take it for settled meanwhile."""
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
        """First frames of the shots, where an earlier studio has written down all of this."""
        found = load_scan(self._path)
        if found is None or (not found.detected and self._config.shots.file is None):
            return None
        self._index.pts.extend(found.pts)
        self._index.finish()
        self._detected = found.detected
        self._looks = {(look.start, look.end): look for look in found.looks}
        self._saved = len(self._looks)
        return list(found.detected) or [0]

    def _pass(self) -> list[int]:
        scan = FilmScan(self._film, self._config, progress=self._tick)
        self._pts = scan.pts
        starts: list[int] = []
        for view in scan:
            look = self._look_of(view.shot.start, view.shot.end, view.views, view.last)
            starts.append(look.start)
            self._looks[look.start, look.end] = look
            self.open_shot = look.end
            self._watcher.shots_found([look])
        if self._config.shots.file is None:
            self._detected = tuple(starts)
        self._save()
        return starts

    def _tick(self, frames: int, total: int | None) -> None:
        self._index.grow(self._pts[-1])
        self._rest()
        if frames == 1 or monotonic() - self._told > _PAUSE:
            self._told = monotonic()
            self._watcher.scan_moved()

    def _rest(self) -> None:
        self._free.wait()
        if self._stopping:
            raise _Stopped

    def _look_at(self, cuts: Sequence[int]) -> None:
        """Look at the shots that nobody has looked at yet."""
        spans = list(zip(cuts, [*cuts[1:], self._index.frames], strict=True))
        for start, end in spans:
            if (start, end) in self._looks or self._superseded():
                continue
            try:
                look = self._look_again(start, end)
            except VideocolorError as error:  # one frame that cannot be read again: this shot stays without picture
                log.warning("shot at frame %d: %s", start, error)
                continue
            self._looks[start, end] = look
            self._watcher.shots_found([look])

    def _superseded(self) -> bool:
        """Whether other cuts are wanted by now. These looks do not rest for a preview: it waits for them."""
        if self._stopping:
            raise _Stopped
        return self._wanted is not None

    def _like(self, one: Array, other: Array) -> float:
        """`shot_similarity`, asked once for each two pictures: 2,000 shots ask 100,000 times after every new cut."""
        key = (id(one), id(other))  # of pictures of `_looks`, which are kept as long as the scan
        if key not in self._similarity:
            self._similarity[key] = shot_similarity(one, other)
        return self._similarity[key]

    def _look_again(self, start: int, end: int) -> ShotLook:
        """As the pass would see a shot of these frames: the views that it would keep, fetched one by one."""
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
        return self._look_of(start, end, list(zip(wanted[:-1], pictures, strict=False)), pictures[-1])

    def _look_of(self, start: int, end: int, views: Sequence[tuple[int, Array]], last: Array) -> ShotLook:
        suggested = tuple(rank_views(views)[:MOST_SUGGESTED])
        picture = dict(views)[suggested[0]]
        size = display_size(self._index.info, picture.shape[0])
        shown = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
        return ShotLook(start, end, views[0][1], last, suggested, jpeg_bytes(shown))

    def _find_returns(self, cuts: Sequence[int], hinted: Collection[int]) -> None:
        """As `videocolor.shards.plan.planned_shots` does for a render."""
        finder, returns = RecurrenceFinder(self._like), {}
        for start, end in zip(cuts, [*cuts[1:], self._index.frames], strict=True):
            if self._superseded():
                return
            look = self.look(start, end)
            if look is None:
                continue
            lender = None if start in hinted else finder.find(look.first)
            if lender is None:
                finder.add(start, look.first, look.last)
            else:
                returns[start] = lender
        if returns != self.returns:
            self.returns = returns
            self._watcher.returns_changed()

    def _save(self) -> None:
        looks = self.found()
        save_scan(self._path, FoundShots(self._index.pts, self._detected, looks))
        self._saved = len(self._looks)
