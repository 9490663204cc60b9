"""News for open pages: published from any thread, sent as server-sent events (WHATWG HTML, 9.2)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from videocolor.files import plain

__all__ = ["EventHub"]

_HELD: Final = 512
"""Events that wait for a page that does not read; then its stream ends, and it connects anew."""
_BEAT: Final = 15.0
"""Seconds between signs of life."""
_MOST: Final = 4
"""Streams at the same time. A browser has six connections to a server for all its tabs together: were they all taken
by streams, no tab would get an answer any more."""
_AGAIN: Final = 1000
"""Milliseconds after which a page whose stream has ended asks for another one."""


class _Listener:
    """One page. Its queue is touched in the event loop alone."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[str | None] = asyncio.Queue(_HELD)

    def put(self, text: str | None) -> None:
        if self.queue.full():
            while not self.queue.empty():
                self.queue.get_nowait()
            text = None
        self.queue.put_nowait(text)


class EventHub:
    """Hands what happens to every page that listens; safe for threads.

    Args:
        deserted: called in the event loop when no page has listened for a while, after one did.
        patience: how long that is, in seconds; a page that is loaded anew is back sooner.
    """

    def __init__(self, deserted: Callable[[], None] | None = None, patience: float = 5.0) -> None:
        self._deserted, self._patience = deserted, patience
        self._lock = threading.Lock()
        self._listeners: dict[_Listener, None] = {}  # oldest first
        self._closed = False

    def publish(self, kind: str, data: Mapping[str, Any] | Sequence[Any]) -> None:
        """Tell all pages. `kind` is a plain word; what JSON cannot hold in `data` becomes text."""
        self._send(f"event: {kind}\ndata: {json.dumps(plain(data), ensure_ascii=False, allow_nan=False)}\n\n")

    def close(self) -> None:
        """End all streams, and those that come later: the server stops."""
        self._closed = True
        self._send(None)

    def _send(self, text: str | None) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                listener.loop.call_soon_threadsafe(listener.put, text)
            except RuntimeError:  # its loop has ended, and the page's connection with it
                with self._lock:
                    self._listeners.pop(listener, None)

    @property
    def listeners(self) -> int:
        """How many pages listen."""
        with self._lock:
            return len(self._listeners)

    async def stream(self, beat: float = _BEAT) -> AsyncIterator[str]:
        """What a page reads: events, and a comment line every `beat` seconds.

        Where there are too many, the oldest one ends; its page comes back, in place of the next.
        """
        listener = _Listener()
        with self._lock:
            self._listeners[listener] = None
            for oldest in list(self._listeners)[:-_MOST]:
                del self._listeners[oldest]
                oldest.loop.call_soon_threadsafe(oldest.put, None)
        try:
            yield f": hello\nretry: {_AGAIN}\n\n"
            while not self._closed:
                try:
                    text = await asyncio.wait_for(listener.queue.get(), beat)
                except TimeoutError:
                    text = ": still here\n\n"
                if text is None:
                    return
                yield text
        finally:
            with self._lock:
                self._listeners.pop(listener, None)
            if not self._closed:
                listener.loop.call_later(self._patience, self._look_around)

    def _look_around(self) -> None:
        if not self._closed and not self.listeners and self._deserted is not None:
            self._deserted()
