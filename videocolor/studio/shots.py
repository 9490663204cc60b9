"""The shots of an open project: where they are, and what the colors of each depend on."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from videocolor.config import ColorizeConfig
from videocolor.fingerprint import assigned_in, digest, settings_of
from videocolor.preview import ReusedShot
from videocolor.studio.errors import NotFoundError
from videocolor.studio.frames import FilmIndex
from videocolor.studio.project import ProjectStore
from videocolor.studio.scan import Scan

__all__ = ["ColorKey", "ShotColors", "Shots"]


@dataclass(frozen=True)
class ColorKey:
    """Equal keys mean equal colors."""

    digest: str
    first: int
    lines: int


@dataclass(frozen=True)
class ShotColors:
    """What part of a shot is colored with."""

    key: ColorKey
    config: ColorizeConfig
    reference: ReusedShot | None
    """The earlier shot that this one takes its colors from."""


class Shots:
    """The shots of a project, as far as they are known; safe for threads.

    Args:
        store: the project.
        index: the frames of its film.
        scan: finds the shots where the project has none yet, and those that recur.
    """

    def __init__(self, store: ProjectStore, index: FilmIndex, scan: Scan) -> None:
        self._store, self._index, self._scan = store, index, scan

    def spans(self) -> list[tuple[int, int | None]]:
        """Return (first frame, exclusive end) of all shots known so far; end None: not known yet."""
        cuts = self._store.cuts
        if cuts is not None:
            end = self._index.frames if self._index.complete else None
            return list(zip(cuts, [*cuts[1:], end], strict=True))
        spans: list[tuple[int, int | None]] = [(view.start, view.end) for view in self._scan.found()]
        opened = self._scan.open_shot
        return spans if opened is None else [*spans, (opened, None)]

    def span(self, start: int) -> tuple[int, int]:
        """Return (first frame, exclusive end) of the shot that begins at `start`.

        Raises:
            NotFoundError: no shot is known to begin there, or its end is not known yet.
        """
        for first, end in self.spans():
            if first == start and end is not None:
                return first, end
        raise NotFoundError(f"no shot begins at frame {start}, or its end is not known yet")

    def number_at(self, frame: int) -> int:
        """Return the number, from 0, of the shot that holds a frame."""
        return bisect_right([start for start, _ in self.spans()], frame) - 1

    def check_frame(self, index: int) -> None:
        """Check that a frame exists; wait a moment where the scan is about to reach it.

        Raises:
            NotFoundError: it does not exist, or is not known yet.
        """
        known = self._index
        if known.frames <= index < known.frames + 50 and not known.complete:
            known.wait_for(index, 2.0)
        if not 0 <= index < known.frames:
            raise NotFoundError(
                f"frame {index}: the film has {known.frames} frames{'' if known.complete else ' so far'}"
            )

    def colors(self, start: int, first: int, lines: int) -> ShotColors:
        """Collect what part of a shot is colored with.

        Args:
            start: first frame of the shot.
            first: first frame of the part.
            lines: height of the pictures.

        Raises:
            NotFoundError: no shot begins at `start`.
            InputError: the picture of a hint is missing.
        """
        config = self._store.config()
        reference = self._reference(start)
        spans = [self.span(start), *([] if reference is None else [self.span(reference)])]
        hints = [assigned_in(config.hints.assigned, *span) for span in spans]
        painted = any(own is not None for found in hints for _, own in found)
        # A reference frame is held on the grid of the chroma that is written.
        grid = [self._store.target.suffix, config.output.codec, config.output.pix_fmt] if painted else []
        key = digest(self._index.version, settings_of(config, "color"), grid, spans, hints)
        return ShotColors(ColorKey(key, first, lines), config, None if reference is None else self._planned(reference))

    def _reference(self, start: int) -> int | None:
        if any(hint.enabled and start in hint.shots for hint in self._store.data.hints):
            return None
        return self._scan.returns.get(start)

    def _planned(self, reference: int) -> ReusedShot:
        begin, end = self.span(reference)
        ticks = self._index.ticks_of
        return ReusedShot(self.number_at(begin), begin, ticks(begin), end - 1, ticks(end - 1))
