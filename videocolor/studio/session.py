"""A studio at work: the project that is open, the film, and all that computes for its pages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from videocolor.config import ColorizeConfig
from videocolor.errors import UsageError
from videocolor.pipeline.film import film_info
from videocolor.shards.plan import source_stamp
from videocolor.studio.document import Document
from videocolor.studio.events import EventHub
from videocolor.studio.filmref import locate
from videocolor.studio.frames import FilmIndex, FrameSource
from videocolor.studio.hints import sweep_unused
from videocolor.studio.previews import Previews
from videocolor.studio.problems import NotFoundError
from videocolor.studio.project import ProjectStore, State
from videocolor.studio.projectfolder import SHOTS
from videocolor.studio.renders import Renders
from videocolor.studio.scan import Scan
from videocolor.studio.scancache import ShotLook

__all__ = ["Studio"]


class Studio:
    """Everything that the requests of one studio work on; safe for threads.

    Args:
        store: the project, open; closed by `close`.

    Raises:
        InputError: the film cannot be read; ConfigError: the project's settings cannot be used.
    """

    def __init__(self, store: ProjectStore) -> None:
        self.store = store
        self.events = EventHub(deserted=self._deserted)
        config = _settings(store)
        self.info = film_info(store.film, config)
        self.index = FilmIndex(self.info)
        self.source = FrameSource(store.film, self.index, ColorizeConfig(restoration=config.restoration))
        self.scan = Scan(store.film, config, store.cache, self.index, self)
        self.document = Document(self)
        self.version = hashlib.sha256(f"{source_stamp(store.film)} {store.film}".encode()).hexdigest()[:16]
        """Of the film; in addresses of pictures it lets a browser keep them."""
        self.previews = Previews(self)
        self.renders = Renders(self)
        self._hinted: frozenset[int] | None = None
        self._cuts: tuple[int, ...] | None = None
        self._ends: list[Callable[[], None]] = [store.subscribe(self._changed)]

    @property
    def film(self) -> Path:
        """The film."""
        return self.store.film

    def start(self, *, warm: bool = True) -> None:
        """Begin to look through the film; follow a render that is under way.

        Args:
            warm: load the network meanwhile, so that the first preview need not wait for it.
        """
        sweep_unused(self.store)
        self.scan.start()
        if warm:
            self.previews.warm()
        self.renders.watch()

    def close(self) -> None:
        """End all threads and let go of the project."""
        for end in self._ends:
            end()
        self.events.close()
        self.previews.close()
        self.renders.close()
        self.scan.stop()
        self.source.close()
        self.store.close()

    # ---- places in the film -----------------------------------------------------------------------------------------

    def shot_span(self, start: int) -> tuple[int, int]:
        """Frames of the shot that begins at `start`, the last one excluded.

        Raises:
            NotFoundError: none begins there, as far as is known.
        """
        for first, end in self.spans():
            if first == start and end is not None:
                return first, end
        raise NotFoundError(f"no shot begins at frame {start}, or its end is not known yet")

    def spans(self) -> list[tuple[int, int | None]]:
        """(first frame, frame behind the last) of all shots known so far; None: not known yet."""
        cuts = self.store.cuts
        if cuts is not None:
            end = self.index.frames if self.index.complete else None
            return list(zip(cuts, [*cuts[1:], end], strict=True))
        spans: list[tuple[int, int | None]] = [(look.start, look.end) for look in self.scan.found()]
        opened = self.scan.open_shot
        return spans if opened is None else [*spans, (opened, None)]

    def check_frame(self, index: int) -> None:
        """Is there such a frame? Waits for a moment where the scan is about to reach it.

        Raises:
            NotFoundError: no, or not known yet.
        """
        if index >= self.index.frames and not self.index.complete and index < self.index.frames + 50:
            self.index.wait_for(index, 2.0)
        if not 0 <= index < self.index.frames:
            so_far = "" if self.index.complete else " so far"
            raise NotFoundError(f"frame {index}: the film has {self.index.frames} frames{so_far}")

    def check_film(self) -> None:
        """Is the film still the one that was opened? Its frames and their times are known, and are not read anew.

        Raises:
            InputError: it is missing, or another one stands there.
        """
        locate(self.store.data.film, self.film, self.store.folder)

    @property
    def aspect(self) -> Fraction:
        """Width of the picture as it is shown, in heights."""
        return self.info.width * self.info.sar / self.info.height

    def saturation_at(self, index: int) -> float:
        """Factor on chroma of the shot that holds a frame."""
        state = self.store.state
        own = state.data.shots.get(state.shot_of(index))
        config = _settings(self.store)
        return config.chroma.saturation if own is None or own.saturation is None else own.saturation

    def check_revision(self, revision: int) -> None:
        """Is this the project that the page has seen?

        Raises:
            StaleRevisionError: no.
        """
        self.store.change(revision, lambda state: state)

    # ---- what happens -----------------------------------------------------------------------------------------------

    def _changed(self, revision: int) -> None:
        """The project has another state; called from the thread that changed it."""
        self._watch(self.store.state)
        self.events.publish("project", {"revision": revision})

    def _deserted(self) -> None:
        """The last page has been closed: nobody waits for a preview. A render and a comparison film go on."""
        self.previews.cancel_all()

    def _watch(self, state: State) -> None:
        """Let the scan look at shots that are new, and at which shots return."""
        if state.cuts is None or not self.index.complete:
            return
        hinted = frozenset(start for hint in state.data.hints if hint.enabled for start in hint.shots)
        if (state.cuts, hinted) != (self._cuts, self._hinted):
            self._cuts, self._hinted = state.cuts, hinted
            self.scan.watch(state.cuts, hinted)

    def scan_moved(self) -> None:
        """See `videocolor.studio.scan.Watcher`."""
        self.events.publish("scan", self.scan.status())

    def shots_found(self, looks: Sequence[ShotLook]) -> None:
        """See `Watcher`."""
        if self.events.listeners:
            self.events.publish("shots", self.document.shots({look.start for look in looks}))

    def scan_ended(self, starts: Sequence[int]) -> None:
        """See `Watcher`."""
        try:
            state = self.store.set_cuts(starts, self.index)
        except UsageError as error:
            raise UsageError(f"{error}; mend shots.yaml in {self.store.folder}") from error
        self._watch(state)

    def returns_changed(self) -> None:
        """See `Watcher`."""
        self.events.publish("shots", self.document.shots())


def _settings(store: ProjectStore) -> ColorizeConfig:
    """What the project sets for the whole film. Hints are left aside: a missing picture must not close the studio."""
    state = store.state
    shots = {} if state.cuts is None else {"shots.file": str(store.folder / SHOTS)}
    return ColorizeConfig.load(None, (), {**state.data.settings, **shots})
