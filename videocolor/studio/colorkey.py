"""All that the colours of a shot follow from, as one value: equal values, equal colours."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videocolor.config import ColorizeConfig
from videocolor.errors import HintError
from videocolor.hints.plan import load_hint
from videocolor.preview import PlannedLender

if TYPE_CHECKING:
    from videocolor.studio.session import Studio

__all__ = ["ColorKey", "color_key"]


@dataclass(frozen=True)
class ColorKey:
    """Equal for parts of shots that come out alike."""

    digest: str
    first: int
    lines: int


def color_key(
    studio: Studio, start: int, first: int, lines: int
) -> tuple[ColorKey, ColorizeConfig, PlannedLender | None]:
    """The key of a part of a shot, the settings that it is coloured with, and the shot that lends it its colours.

    Args:
        studio: film and project.
        start: first frame of the shot.
        first: first frame of the part.
        lines: height of the pictures.

    Raises:
        NotFoundError: no shot begins there.
        InputError: the picture of a hint is missing.
    """
    config = studio.store.config()
    lender = _lender(studio, start)
    values = config.as_dict()
    output = values.pop("output")
    values["hints"].pop("assigned")
    values["shots"].pop("file")
    for name in ("saturation", "by_shot"):
        values["chroma"].pop(name)
    spans = [studio.shot_span(start), *([] if lender is None else [studio.shot_span(lender)])]
    hints = [_hints_of(config, *span) for span in spans]
    painted = any(own is not None for found in hints for _, own in found)
    facts = {
        "film": studio.version,
        "settings": values,
        # A painted frame is held on the grid of the chroma that is written.
        "output": [studio.store.target.suffix, output["codec"], output["pix_fmt"]] if painted else [],
        "shots": list(zip(spans, hints, strict=True)),
        # The size that the network works at is another one as soon as any shot has a whole painted frame.
        "painted": any(hint.frame is not None and _whole(Path(hint.image)) for hint in config.hints.assigned),
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return ColorKey(digest, first, lines), config, None if lender is None else _planned(studio, lender)


def _lender(studio: Studio, start: int) -> int | None:
    """First frame of the shot that lends to one without hints of its own."""
    if any(hint.enabled and start in hint.shots for hint in studio.store.data.hints):
        return None
    return studio.scan.returns.get(start)


def _planned(studio: Studio, lender: int) -> PlannedLender:
    begin, end = studio.shot_span(lender)
    number = [shot for shot, _ in studio.spans()].index(begin)
    ticks = studio.index.ticks_of
    return PlannedLender(number, begin, ticks(begin), end - 1, ticks(end - 1))


def _hints_of(config: ColorizeConfig, start: int, end: int) -> list[Any]:
    """Assigned hints that reach the shot of these frames: file and own frame. A file's name follows from its bytes."""
    found = []
    for hint in config.hints.assigned:
        own = hint.frame if hint.frame is not None and start <= hint.frame < end else None
        if own is not None or any(start <= frame < end for frame in hint.shots):
            found.append([Path(hint.image).name, own])
    return found


@lru_cache(maxsize=4096)
def _whole(image: Path) -> bool:
    """Whether a hint is painted everywhere; its name says what is in it, so it is looked at once."""
    try:
        return load_hint(None, image).mask is None
    except HintError:
        return False
