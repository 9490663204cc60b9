"""A window that slides over a stream: what makes every step a finite one in time."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TypeVar

__all__ = ["close", "sliding"]

T = TypeVar("T")


def close(items: object) -> None:
    """Close a generator, or a reader that can be closed; anything else is left alone."""
    closer = getattr(items, "close", None)
    if closer is not None:
        closer()


def sliding(items: Iterable[T], radius: int) -> Generator[tuple[list[T], int], None, None]:
    """Show every item with its neighbors.

    Args:
        items: A stream; closed (if it can be) when this generator ends.
        radius: Neighbors on each side, 0 or more; fewer only at the ends of the stream.

    Yields:
        (up to 2 * radius + 1 items in order, place of the item in question among them).
    """
    window: list[T] = []
    place = 0
    try:
        for item in items:
            window.append(item)
            if len(window) - 1 - place >= radius:
                yield window, place
                place += 1
                if place > radius:
                    del window[0]
                    place -= 1
        while place < len(window):
            yield window, place
            place += 1
            if place > radius:
                del window[0]
                place -= 1
    finally:
        close(items)
