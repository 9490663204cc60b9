"""The project as the page reads it: one JSON document, made anew for every answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from videocolor.config import ColorizeConfig
from videocolor.errors import HintError, InputError
from videocolor.models.registry import list_models
from videocolor.studio.frames import display_size
from videocolor.studio.project import ProjectHint, State
from videocolor.studio.uploads import picture_size

if TYPE_CHECKING:
    from videocolor.studio.session import Studio

__all__ = ["SETTINGS", "Document", "models"]

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
"""What the page can set for the whole film -> key of the configuration."""
_HEAD: Final = 2**16
"""Bytes of a picture that its header usually lies in."""


class Document:
    """Makes the document of a studio."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def whole(self) -> dict[str, Any]:
        """All of it."""
        studio, store = self._studio, self._studio.store
        state = store.state
        return {
            "revision": state.data.revision,
            "can_undo": store.can_undo,
            "can_redo": store.can_redo,
            "film": self._film(),
            "scan": studio.scan.status(),
            "settings": self._settings(state),
            "models": models(),
            "target": state.data.target,
            "shots": self.shots(),
            "hints": [self._hint(hint) for hint in state.data.hints],
            "preview": studio.previews.document(),
            "render": studio.renders.document(),
        }

    def shots(self, starts: Collection[int] | None = None) -> list[dict[str, Any]]:
        """The shots; those that begin at `starts` alone, where they are given."""
        studio, state = self._studio, self._studio.store.state
        spans = studio.spans()
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
        studio = self._studio
        settings = state.data.shots.get(start)
        look = studio.scan.look(start, end) if end is not None else None
        return {
            "number": number,
            "start": start,
            "end": end,
            "start_seconds": _seconds(studio.index.time_of(start)) if start < studio.index.frames else None,
            "end_seconds": None if end is None or not studio.index.knows(end) else _seconds(studio.index.time_of(end)),
            "saturation": None if settings is None else settings.saturation,
            "note": "" if settings is None else settings.note,
            "hints": hints,
            "reuses": numbers.get(studio.scan.returns.get(start, -1)),
            "suggested": [] if look is None else list(look.suggested),
        }

    def _film(self) -> dict[str, Any]:
        studio, info = self._studio, self._studio.info
        height, width = display_size(info)
        rate = info.rate
        return {
            "name": studio.film.name,
            "version": studio.version,
            "width": info.width,
            "height": info.height,
            "display_width": width,
            "display_height": height,
            "rate": None if rate is None else round(float(rate), 6),
            "frames": studio.index.frames if studio.index.complete else None,
            "duration": None if info.duration is None else _seconds(info.duration),
            "start_seconds": _seconds(info.start_pts * info.time_base),
            "codec": info.codec,
            "warnings": list(info.warnings),
            "has_sound": any(stream.kind == "audio" for stream in info.streams),
        }

    def _settings(self, state: State) -> dict[str, Any]:
        config = ColorizeConfig.load(None, (), state.data.settings).as_dict()
        found: dict[str, Any] = {}
        for name, key in SETTINGS.items():
            section, _, field = key.partition(".")
            found[name] = config[section][field]
        return {**found, "container": Path(state.data.target).suffix.lstrip(".")}

    def _hint(self, hint: ProjectHint) -> dict[str, Any]:
        try:
            width, height = _picture_size(self._studio.store.image_path(hint))
        except InputError:  # a link, put there by hand: whoever needs the picture is told
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
def models() -> list[dict[str, Any]]:
    """Packaged networks, and whether they take hints."""
    return [{"name": card.name, "hints": card.hints != "none"} for card in list_models()]


@lru_cache(maxsize=10_000)
def _picture_size(path: Path) -> tuple[int | None, int | None]:
    """(width, height) of a picture, by its header; its name says what is in it, so it is looked at once."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            try:
                return picture_size(head, path.name)
            except HintError:  # a JPEG with much before its picture
                return picture_size(head + file.read(), path.name)
    except (OSError, HintError):  # missing or broken: whoever needs the picture is told
        return None, None
