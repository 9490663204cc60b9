"""FFmpeg's own words about why it refuses something, heard in a process of its own.

In this process they cannot be heard safely: PyAV takes Python's lock for each line, and where a thread of FFmpeg (of
its `fifo`, of a decoder) speaks while PyAV waits for that thread with the lock held, both wait for ever.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Collection
from typing import Final

import av.logging

__all__ = ["reason_of"]

log = logging.getLogger(__name__)

_LINE: Final = re.compile(r"^\[(?P<by>[^\]@]+) @ 0x[0-9a-f]+\] (?:\[[^\]]*\] )?(?P<said>.+)$", re.MULTILINE)
"""A line of FFmpeg's log, after the name of what speaks."""
_PATIENCE: Final = 60
"""Seconds."""
_CHILD: Final = "import sys; sys.path[:] = {path!r}; from videocolor.video.reasons import _speak; _speak()"


def reason_of(by: Collection[str], try_it: Callable[..., object], *args: object) -> str | None:
    """Return what FFmpeg says first while something that fails, or is left out, is done once more.

    Args:
        by: names of the encoder and the muxer; what others say, such as decoders, is no reason.
        try_it: a function of a module.
        args: its arguments; they are pickled.

    Returns:
        The line, without its origin; None: nothing was said, or no process could be started.
    """
    command = [sys.executable, "-c", _CHILD.format(path=sys.path)]
    try:
        asked = pickle.dumps((try_it, args))
        done = subprocess.run(command, input=asked, capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, ValueError, pickle.PicklingError, subprocess.SubprocessError) as error:
        log.debug("FFmpeg cannot be asked for its reason: %s", error)
        return None
    said = done.stderr.decode(errors="replace")
    log.debug("FFmpeg says: %s", said)
    return next((match["said"].strip() for match in _LINE.finditer(said) if match["by"] in by), None)


def _speak() -> None:
    """Do what a parent process asks for, with FFmpeg's errors on standard error."""
    try_it, args = pickle.loads(sys.stdin.buffer.read())
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.ERROR)
    with contextlib.suppress(Exception):
        try_it(*args)
