"""Side data of frames: what a stream carries beside its samples (display matrix, captions, EXIF)."""

from __future__ import annotations

import ctypes
import gc
import logging
from collections.abc import Iterator
from functools import cache
from typing import Any

from av.dictionary import Dictionary
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

__all__ = ["DISPLAY_MATRIX", "ICC_PROFILE", "side_data"]

log = logging.getLogger(__name__)

DISPLAY_MATRIX = Type.DISPLAYMATRIX.name
"""Rotation and flips: nine 32-bit integers."""
ICC_PROFILE = Type.ICC_PROFILE.name
_UNKNOWN = "UNKNOWN_"


def _add_kind(cls: Any, value: int) -> Any:
    """Make a member for a kind that PyAV does not list."""
    member = object.__new__(cls)
    member._value_, member._name_ = value, f"{_UNKNOWN}{value}"
    return member


# FFmpeg has more kinds than PyAV's enumeration (EXIF is 31), and PyAV raises ValueError at a frame that carries one.
setattr(Type, "_missing_", classmethod(_add_kind))  # noqa: B010 - an enumeration's hook, of which its stubs know nothing


def side_data(frame: VideoFrame) -> Iterator[tuple[str, bytes]]:
    """Yield the kind and the bytes of all side data of a frame.

    Kinds are the names of `av.sidedata.sidedata.Type`. Those that PyAV does not know are passed over, and named once
    in the log.
    """
    found: Any = frame.side_data  # yields SideData, whatever its stubs say
    _keep_metadata(found)
    for data in found:
        if data.type.name.startswith(_UNKNOWN):
            _pass_over(int(data.type.value))
        else:
            yield data.type.name, bytes(data)


@cache
def _pass_over(kind: int) -> None:
    log.info("side data of kind %d (of FFmpeg's AVFrameSideDataType) is passed over", kind)


def _keep_metadata(found: Any) -> None:
    """Keep the metadata of side data from being freed twice, which ends the process by SIGSEGV.

    PyAV 18.1 wraps it, as the name of a PNG's ICC profile, in a `Dictionary` that frees it, and so does the frame. The
    wrapper gets one reference more than are ever given back.
    """
    for data in found:
        for held in gc.get_referents(data):
            if isinstance(held, Dictionary) and len(held):
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))
