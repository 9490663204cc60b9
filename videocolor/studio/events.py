"""Events for open pages: published from any thread, sent as server-sent events (WHATWG HTML, 9.2)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from videocolor.files import plain

__all__ = ["EventHub"]

_HELD: Final = 512
"""Events queued for a page that does not read; then its stream ends, and the page reconnects."""
_BEAT: Final = 15.0
"""Seconds between keep-alive comments."""
_MOST: Final = 4
"""Concurrent streams. A browser opens six connections to a server for all its tabs; streams must not take them all."""
_AGAIN: Final = 1000
"""Milliseconds after which a page reconnects."""


class _Listener:
    """One page; its queue is used in the event loop only."""

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
    """Send events to all pages that listen; safe for threads.

    Args:
        deserted: called in the event loop when the last page has been gone for `patience` seconds.
        patience: longer than a reload takes.
    """

    def __init__(self, deserted: Callable[[], None] | None = None, patience: float = 5.0) -> None:
        self._deserted, self._patience = deserted, patience
        self._lock = threading.Lock()
        self._listeners: dict[_Listener, None] = {}  # oldest first
        self._closed = False

    def publish(self, kind: str, data: Mapping[str, Any] | Sequence[Any]) -> None:
        """Send an event; what JSON cannot hold in `data` becomes text."""
        self._send(f"event: {kind}\ndata: {json.dumps(plain(data), ensure_ascii=False, allow_nan=False)}\n\n")

    def close(self) -> None:
        """End all streams, also later ones."""
        self._closed = True
        self._send(None)

    def _send(self, text: str | None) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                listener.loop.call_soon_threadsafe(listener.put, text)
            except RuntimeError:  # its loop and the connection have ended
                with self._lock:
                    self._listeners.pop(listener, None)

    @property
    def listeners(self) -> int:
        """Number of listening pages."""
        with self._lock:
            return len(self._listeners)

    async def stream(self, beat: float = _BEAT) -> AsyncIterator[str]:
        """Yield events, and a comment line every `beat` seconds.

        Where there are too many streams, the oldest one ends; its page reconnects, which ends the next.
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
                    text = ": keep-alive\n\n"
                if text is None:
                    return
                yield text
        finally:
            with self._lock:
                self._listeners.pop(listener, None)
            if not self._closed:
                listener.loop.call_later(self._patience, self._check_deserted)

    def _check_deserted(self) -> None:
        if not self._closed and not self.listeners and self._deserted is not None:
            self._deserted()
