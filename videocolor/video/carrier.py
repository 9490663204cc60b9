"""What a frame carries beside its samples, taken over into the frame that is encoded: order of fields, captions.

PyAV can read these and cannot set them; FFmpeg's filters copy them from a frame to the next. So the source's own frame
goes through a filter into the output's format, and its samples are replaced by ours.
"""

from __future__ import annotations

import ctypes
import gc
import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cache
from typing import Any, Final

import av
from av.dictionary import Dictionary
from av.error import BlockingIOError as NothingYet
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from videocolor.types import Frame

__all__ = [
    "CARRIED",
    "DISPLAY_MATRIX",
    "ICC_PROFILE",
    "Carrier",
    "KindFinder",
    "carried_kinds",
    "side_data",
    "top_field_first",
]

CARRIED: Final = {
    "A53_CC": "captions inside the pictures (A/53)",
    "AFD": "active format description",
    "S12M_TIMECODE": "timecodes of single frames (SMPTE 12M)",
    "MASTERING_DISPLAY_METADATA": "mastering display metadata",
    "CONTENT_LIGHT_LEVEL": "content light levels",
}
"""Side data that goes with a frame, and what it is called; other kinds describe the old bits."""

_DELETED: Final = (
    *("PANSCAN", "STEREO3D", "DISPLAYMATRIX", "MOTION_VECTORS", "GOP_TIMECODE", "SPHERICAL", "ICC_PROFILE"),
    *("DYNAMIC_HDR_PLUS", "REGIONS_OF_INTEREST", "DETECTION_BOUNDING_BOXES", "SEI_UNREGISTERED"),
    *("FILM_GRAIN_PARAMS", "DOVI_RPU_BUFFER", "DOVI_METADATA", "DYNAMIC_HDR_VIVID"),
)
"""Kinds that describe the old bits, by the names of FFmpeg's filter `sidedata`."""


def carried_kinds(frames: Iterable[VideoFrame]) -> set[str]:
    """Return the kinds of side data of some frames that belong into the output."""
    return {kind for frame in frames for kind, _ in side_data(frame) if kind in CARRIED}


def top_field_first(frame: VideoFrame) -> bool:
    """Tell whether the upper field of an interlaced frame is the earlier one; PyAV reads no such flag."""
    return _pass(_graph(frame, "select=eq(interlace_type\\,TOPFIRST)"), frame) is not None


class KindFinder:
    """Finds the frames with which kinds of side data that belong into the output begin.

    Args:
        known: kinds that are not looked for.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._left = set(CARRIED) - set(known)
        self._graphs: dict[tuple[Any, ...], av.filter.Graph] = {}

    def begin(self, frame: Frame) -> set[str]:
        """Return the kinds that this frame is the first to carry, without PyAV's list (see `Carrier.frame`)."""
        native = frame.native
        if not isinstance(native, VideoFrame):
            return set()
        found = {kind for kind in self._left if self._has(native, kind)}
        self._left -= found
        return found

    def _has(self, native: VideoFrame, kind: str) -> bool:
        key = (native.format.name, native.width, native.height, kind)
        if key not in self._graphs:
            self._graphs[key] = _graph(native, f"sidedata=select:type={kind}")
        return _pass(self._graphs[key], native) is not None


class Carrier:
    """Makes frames for an encoder that carry what the source's frames do.

    Args:
        pix_fmt: of the encoder.
        order: of the film's fields, where every frame is marked so (`tff`, `bff`, `prog`); empty: as the frames say.
    """

    def __init__(self, pix_fmt: str, order: str) -> None:
        self._pix_fmt, self._order = pix_fmt, order
        self._graphs: dict[tuple[Any, ...], tuple[av.filter.Graph, av.filter.Graph]] = {}

    def frame(self, native: VideoFrame) -> VideoFrame | None:
        """Return a writable frame of the encoder's format without sensible samples; None: a plain one will do.

        PyAV's list of a frame's side data is not asked: it holds the frame in a circle, and so in memory for long.
        """
        key = (native.format.name, native.width, native.height)
        if key not in self._graphs:
            marked = [f"setfield={self._order}"] if self._order else []
            steps = [*(f"sidedata=delete:type={kind}" for kind in _DELETED), *marked, "scale=flags=neighbor"]
            captions = _graph(native, "sidedata=select:type=A53_CC")
            self._graphs[key] = captions, _graph(native, *steps, f"format={self._pix_fmt}")
        captions, carrying = self._graphs[key]
        woven = native.interlaced_frame if not self._order else self._order != "prog"
        if not woven and _pass(captions, native) is None:
            return None
        made = _pass(carrying, native)
        if made is not None:
            made.make_writable()
        return made


def _graph(frame: VideoFrame, *steps: str) -> av.filter.Graph:
    graph = av.filter.Graph()
    base = frame.time_base or Fraction(1, 25)  # pages of a picture have none
    last = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=base)
    for step in steps:
        name, _, options = step.partition("=")
        node = graph.add(name, options)
        last.link_to(node)
        last = node
    last.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _pass(graph: av.filter.Graph, frame: VideoFrame) -> VideoFrame | None:
    graph.push(frame)
    try:
        made = graph.pull()
    except NothingYet:
        return None
    assert isinstance(made, VideoFrame)
    return made


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
