"""A studio session: the open project, its film, and all that computes for the pages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from videocolor.concurrency.stages import single_threaded_kernels
from videocolor.config import ColorizeConfig
from videocolor.errors import UsageError
from videocolor.pipeline.film import film_info
from videocolor.shards.plan import source_stamp
from videocolor.studio.document import Document
from videocolor.studio.doubt import Doubts
from videocolor.studio.errors import NotFoundError
from videocolor.studio.events import EventHub
from videocolor.studio.frames import FilmIndex, FrameSource
from videocolor.studio.hints import sweep_unused
from videocolor.studio.live import LiveColors, Network
from videocolor.studio.pictures import painted_picture
from videocolor.studio.previews import Previews
from videocolor.studio.project import ProjectStore
from videocolor.studio.projectdata import State
from videocolor.studio.queue import Queue
from videocolor.studio.renders import Renders
from videocolor.studio.scan import Scan
from videocolor.studio.scancache import ShotView
from videocolor.studio.shots import Shots
from videocolor.types import Array

__all__ = ["Studio"]


class Studio:
    """Make and connect the parts that requests work on; safe for threads.

    Args:
        store: the open project; closed by `close`.

    Raises:
        InputError: the film cannot be read; ConfigError: the project's settings cannot be used.
    """

    def __init__(self, store: ProjectStore) -> None:
        config = store.config(hints=False)  # a missing picture must not close the studio
        version = hashlib.sha256(f"{source_stamp(store.film)} {store.film}".encode()).hexdigest()[:16]
        self.store = store
        self.events = EventHub(deserted=self._deserted)
        self.index = FilmIndex(film_info(store.film, config), version)
        self.source = FrameSource(store.film, self.index, ColorizeConfig(restoration=config.restoration))
        self.scan = Scan(store.film, config, store.cache, self.index, self)
        self.shots = Shots(store, self.index, self.scan)
        network = Network()
        self.previews = Previews(store, self.index, self.scan, self.shots, network, self.events)
        self.live = LiveColors(store, self.index, self.source, network, self.previews.cancel_all)
        self.doubts = Doubts(store, self.index, self.source, network, self.scan, self.shots)
        self.renders = Renders(store, self.index, self.events)
        self.queue = Queue(store, self.renders, self.events)
        self.document = Document(store, self.index, self.scan, self.shots, self.previews, self.renders)
        self._kernels = ExitStack()  # for good: to count the libraries again takes 5 ms of each click
        self._kernels.enter_context(single_threaded_kernels())
        self._watched: tuple[tuple[int, ...], frozenset[int]] | None = None
        self._unsubscribe: Callable[[], None] = store.subscribe(self._changed)

    def start(self, *, warm: bool = True) -> None:
        """Begin to scan the film; follow a render that is running.

        Args:
            warm: load the network meanwhile, so that the first preview need not wait for it.
        """
        sweep_unused(self.store)
        self.scan.start()
        if warm:
            self.previews.warm()
        self.renders.watch()
        self.queue.start()

    def close(self) -> None:
        """End all threads and release the project."""
        self._unsubscribe()
        self.events.close()
        self.previews.close()
        self.queue.close()
        self.renders.close()
        self.scan.stop()
        self.source.close()
        self._kernels.close()
        self.store.close()

    def colored_frame(self, index: int) -> tuple[Array, str]:
        """Return (h, w, 3) uint8 of a frame in its known color, and the color's source: hint, preview or render.

        Raises:
            NotFoundError: no color is known.
        """
        self.shots.check_frame(index)
        for hint in self.store.data.hints:
            if hint.kind == "painted" and hint.frame == index and hint.enabled:
                painted = painted_picture(self.store.image_path(hint))
                if painted is not None:
                    return painted, "hint"
        preview = self.previews.colored(index, self.store.saturation_at(index))
        if preview is not None:
            return preview, "preview"
        try:
            return self.renders.frame(index), "render"
        except NotFoundError:
            raise NotFoundError(f"no color is known of frame {index} yet; preview its shot, or paint it") from None

    def _changed(self, revision: int) -> None:
        """Handle a new state; called from the thread that changed the project."""
        self._watch(self.store.state)
        self.events.publish("project", {"revision": revision})

    def _deserted(self) -> None:
        """Cancel previews when the last page is closed. A render and a comparison film go on."""
        self.previews.cancel_all()

    def _watch(self, state: State) -> None:
        """Let the scan look at new shots, and find recurring ones again."""
        if state.cuts is None or not self.index.complete:
            return
        wanted = state.cuts, frozenset(start for hint in state.data.hints if hint.enabled for start in hint.shots)
        if wanted != self._watched:
            self._watched = wanted
            self.scan.watch(*wanted)

    # ---- `videocolor.studio.scan.Watcher` ---------------------------------------------------------------------------

    def scan_moved(self) -> None:
        """Publish the scan's progress."""
        self.events.publish("scan", self.scan.status())

    def shots_found(self, views: Sequence[ShotView]) -> None:
        """Publish shots that can be shown now."""
        if self.events.listeners:
            self.events.publish("shots", self.document.shots({view.start for view in views}))

    def scan_ended(self, starts: Sequence[int]) -> None:
        """Hand the shots found to the project."""
        try:
            state = self.store.set_cuts(starts, self.index)
        except UsageError as error:
            raise UsageError(f"{error}; correct shots.yaml in {self.store.folder}") from error
        self._watch(state)

    def returns_changed(self) -> None:
        """Publish which shots recur."""
        self.events.publish("shots", self.document.shots())
