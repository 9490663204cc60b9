"""The project as the page reads it: one JSON document, made for every answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from videocolor.config import ColorizeConfig
from videocolor.errors import HintError, InputError
from videocolor.models.registry import list_models
from videocolor.studio.delivery import delivery_of
from videocolor.studio.frames import FilmIndex, display_size
from videocolor.studio.previews import Previews
from videocolor.studio.project import ProjectStore
from videocolor.studio.projectdata import ProjectHint, State
from videocolor.studio.renders import Renders
from videocolor.studio.scan import Scan
from videocolor.studio.shots import Shots
from videocolor.studio.times import odd_times
from videocolor.studio.uploads import picture_size

__all__ = ["SETTINGS", "Document", "packaged_models"]

SETTINGS: Final[Mapping[str, str]] = {
    "saturation": "chroma.saturation",
    "model": "model.name",
    "codec": "output.codec",
    "crf": "output.crf",
    "preset": "output.preset",
    "pix_fmt": "output.pix_fmt",
    "keep_source": "chroma.keep_source",
    "smoothing": "smoothing.enabled",
    "decay": "smoothing.decay",
}
"""Film setting of the page -> key of the configuration."""
_HEAD: Final = 2**16
"""Bytes of a picture that usually hold its header."""


class Document:
    """Make the document of a project from the parts of its studio."""

    def __init__(
        self, store: ProjectStore, index: FilmIndex, scan: Scan, shots: Shots, previews: Previews, renders: Renders
    ) -> None:
        self._store, self._index, self._scan, self._shots = store, index, scan, shots
        self._previews, self._renders = previews, renders
        self._times: list[str] | None = None

    def full(self) -> dict[str, Any]:
        """Make the complete document."""
        store, state = self._store, self._store.state
        undo, redo = store.undone()
        return {
            "revision": state.data.revision,
            "position": state.data.position,
            "undo": undo,
            "redo": redo,
            "film": self._film(),
            "scan": self._scan.status(),
            "settings": self._settings(state),
            "models": packaged_models(),
            "target": state.data.target,
            "shots": self.shots(),
            "hints": [self._hint(hint) for hint in state.data.hints],
            "preview": self._previews.document(),
            "render": self._renders.document(),
        }

    def shots(self, starts: Collection[int] | None = None) -> list[dict[str, Any]]:
        """Describe all shots, or only those that begin at `starts`."""
        state, spans = self._store.state, self._shots.spans()
        numbers = {start: number for number, (start, _) in enumerate(spans, 1)}
        used: dict[int, list[str]] = {}
        for hint in state.data.hints:
            for start in hint.shots:
                used.setdefault(start, []).append(hint.id)
        return [
            self._shot(state, number, start, end, used.get(start, []), numbers)
            for number, (start, end) in enumerate(spans, 1)
            if starts is None or start in starts
        ]

    def _shot(
        self, state: State, number: int, start: int, end: int | None, hints: list[str], numbers: Mapping[int, int]
    ) -> dict[str, Any]:
        settings, index = state.data.shots.get(start), self._index
        view = self._scan.view(start, end) if end is not None else None
        return {
            "number": number,
            "start": start,
            "end": end,
            "start_seconds": _seconds(index.time_of(start)) if start < index.frames else None,
            "end_seconds": None if end is None or not index.knows(end) else _seconds(index.time_of(end)),
            "saturation": None if settings is None else settings.saturation,
            "note": "" if settings is None else settings.note,
            "hints": hints,
            "reuses": numbers.get(self._scan.returns.get(start, -1)),
            "suggested": [] if view is None else list(view.suggested),
        }

    def _film(self) -> dict[str, Any]:
        index, info = self._index, self._index.info
        height, width = display_size(info)
        rate = info.rate
        return {
            "name": self._store.film.name,
            "version": index.version,
            "width": info.width,
            "height": info.height,
            "display_width": width,
            "display_height": height,
            "rate": None if rate is None else round(float(rate), 6),
            "frames": index.frames if index.complete else None,
            "duration": None if info.duration is None else _seconds(info.duration),
            "start_seconds": _seconds(info.start_pts * info.time_base),
            "codec": info.codec,
            "warnings": [*info.warnings, *self._odd_times()],
            "has_sound": any(stream.kind == "audio" for stream in info.streams),
        }

    def _odd_times(self) -> list[str]:
        if self._index.complete and self._times is None:
            self._times = [text] if (text := odd_times(self._index.pts, self._index.time_base)) else []
        return self._times or []

    def _settings(self, state: State) -> dict[str, Any]:
        config = ColorizeConfig.load(None, (), state.data.settings).as_dict()
        found: dict[str, Any] = {}
        for name, key in SETTINGS.items():
            section, _, field = key.partition(".")
            found[name] = config[section][field]
        return {**found, "delivery": delivery_of(state), "container": Path(state.data.target).suffix.lstrip(".")}

    def _hint(self, hint: ProjectHint) -> dict[str, Any]:
        try:
            width, height = _picture_size(self._store.image_path(hint))
        except InputError:  # a link, made by hand: coloring will report it
            width, height = None, None
        return {
            "id": hint.id,
            "kind": hint.kind,
            "label": hint.label,
            "frame": hint.frame,
            "shots": list(hint.shots),
            "enabled": hint.enabled,
            "points": [point.model_dump(mode="json") for point in hint.points],
            "width": width,
            "height": height,
            "origin": hint.origin,
        }


def _seconds(time: Fraction) -> float:
    return round(float(time), 6)


@lru_cache(maxsize=1)
def packaged_models() -> list[dict[str, Any]]:
    """List the packaged networks, and whether they accept hints."""
    return [{"name": card.name, "hints": card.hints != "none"} for card in list_models()]


@lru_cache(maxsize=10_000)
def _picture_size(path: Path) -> tuple[int | None, int | None]:
    """Read (width, height) from a picture's header, once: its name follows from its bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            try:
                return picture_size(head, path.name)
            except HintError:  # a JPEG with long metadata
                return picture_size(head + file.read(), path.name)
    except (OSError, HintError):  # missing or broken: coloring will report it
        return None, None
