"""The sound of a part of a film, for listening: decoded, in stereo, at one rate."""

from __future__ import annotations

import io
import wave
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np

from videocolor.errors import InputError
from videocolor.types import Array

__all__ = ["SOUND_RATE", "read_sound", "wave_bytes"]

SOUND_RATE: Final = 44_100
"""Samples a second of `read_sound`."""
_BEFORE: Final = Fraction(1)
"""Seconds before the part at which reading begins: packets of compressed sound need those before them."""


def read_sound(film: Path, start: Fraction, seconds: Fraction) -> Array:
    """Read a part of a film's first sound.

    Args:
        film: the film.
        start: of the part, in film time.
        seconds: its length.

    Returns:
        (n, 2) int16 at `SOUND_RATE`, exactly of that length: silence where there is no sound.

    Raises:
        InputError: the film cannot be read, or has no sound.
    """
    sound = np.zeros((round(seconds * SOUND_RATE), 2), np.int16)
    try:
        with av.open(str(film)) as container:
            if not container.streams.audio:
                raise InputError(f"{film}: has no sound")
            stream = container.streams.audio[0]
            base = stream.time_base or Fraction(1, SOUND_RATE)
            if start > _BEFORE:
                container.seek(int((start - _BEFORE) / base), stream=stream)
            resampler = av.AudioResampler(format="s16", layout="stereo", rate=SOUND_RATE)
            at: int | None = None
            for frame in container.decode(stream):
                if at is None:
                    at = round(((frame.pts or 0) * (frame.time_base or base) - start) * SOUND_RATE)
                frame.pts = None  # gaps are rare, and the resampler would count samples from times that are odd
                for part in resampler.resample(frame):
                    at = _put(sound, part.to_ndarray().reshape(-1, 2), at)
                if at >= len(sound):
                    break
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"{film}: its sound cannot be read: {error}") from error
    return sound


def _put(sound: Array, part: Array, at: int) -> int:
    """Copy what of `part`, which begins at sample `at`, lies inside; return where it ends."""
    first, last = max(0, at), min(len(sound), at + len(part))
    if first < last:
        sound[first:last] = part[first - at : last - at]
    return at + len(part)


def wave_bytes(sound: Array) -> bytes:
    """Return a WAV file of (n, channels) int16 at `SOUND_RATE`."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(sound.shape[1])
        writer.setsampwidth(2)
        writer.setframerate(SOUND_RATE)
        writer.writeframes(sound.astype("<i2").tobytes())
    return file.getvalue()
