"""Mastering display and content light levels (SMPTE ST 2086, CTA-861.3), given to encoders that write them.

FFmpeg's encoders take them from the stream, where PyAV cannot state them; these have options for them as well.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from av.video.frame import VideoFrame

from videocolor.video.sidedata import side_data

__all__ = ["LIGHT", "LIGHT_ENCODERS", "with_light"]

LIGHT: Final = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")
"""Kinds of side data."""
_OPTIONS: Final = {
    "libx264": ("x264-params", "mastering-display", "cll"),
    "libx265": ("x265-params", "master-display", "max-cll"),
    "libsvtav1": ("svtav1-params", "mastering-display", "content-light"),
}
"""Encoder -> its option of options, and the names of the two in there."""
LIGHT_ENCODERS: Final = tuple(_OPTIONS)
_DISPLAY: Final = struct.Struct("@20i2i")
"""FFmpeg's AVMasteringDisplayMetadata: R, G, B, white (x, y), least and most luminance as rationals; flags."""


def with_light(codec: str, options: Mapping[str, str], frame: VideoFrame) -> dict[str, str]:
    """Add what a frame says of light to an encoder's options, unless they say it themselves.

    Args:
        codec: FFmpeg's name of the encoder.
        options: its options.
        frame: the film's first.
    """
    if codec not in _OPTIONS:
        return dict(options)
    option, display, levels = _OPTIONS[codec]
    said: dict[str, str] = {}
    for kind, data in side_data(frame):
        if kind == LIGHT[0] and len(data) >= _DISPLAY.size:
            said[display] = _display(data, real=codec == "libsvtav1")
        elif kind == LIGHT[1] and len(data) >= 8:
            said[levels] = "{},{}".format(*struct.unpack_from("@2I", data))
    given = options.get(option, "")
    added = [f"{name}={value}" for name, value in said.items() if value and f"{name}=" not in given]
    return {**options, option: ":".join(filter(None, (*added, given)))} if added else dict(options)


def _display(data: bytes, *, real: bool) -> str:
    """Write a mastering display as x264 and x265 take it; `real`: in units of 1, as SVT-AV1 does."""
    *numbers, has_primaries, has_luminance = _DISPLAY.unpack_from(data)
    if not (has_primaries and has_luminance and all(numbers[1::2])):
        return ""
    values = [Fraction(a, b) for a, b in zip(numbers[0::2], numbers[1::2], strict=True)]
    least, most = values[8:]

    def pair(first: Fraction, second: Fraction, unit: int) -> str:
        return (
            f"({float(first):.6g},{float(second):.6g})" if real else f"({round(first * unit)},{round(second * unit)})"
        )

    places = {"G": values[2:4], "B": values[4:6], "R": values[0:2], "WP": values[6:8]}
    return "".join(f"{name}{pair(x, y, 50000)}" for name, (x, y) in places.items()) + f"L{pair(most, least, 10000)}"
