"""Films of the batch tests: small, with cuts, returning shots, a long shot, sound and subtitles."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from media import make_film

from videocolor import color
from videocolor.video import open_video

__all__ = ["RATE", "packets_of", "picture", "samples_of", "write_reel"]

Array = np.ndarray[Any, Any]
WIDTH, HEIGHT, RATE = 96, 64, Fraction(12)


def picture(seed: int, frame: int) -> Array:
    """(3, h, w) float32 R'G'B': a frame of a pan over soft colors, another for every seed."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(0.2, 0.8, (8, 14, 3)).astype(np.float32)
    wide = cv2.resize(small, (WIDTH + 64, HEIGHT), interpolation=cv2.INTER_CUBIC)
    texture = cv2.GaussianBlur(rng.normal(0, 0.15, wide.shape[:2]).astype(np.float32), (0, 0), 1)
    rgb = np.moveaxis(np.clip(wide + texture[..., None], 0.05, 0.95), -1, 0)
    shift = frame % 64 if (frame // 64) % 2 == 0 else 63 - frame % 64
    return np.asarray(rgb[:, :, shift : shift + WIDTH])


def write_reel(path: Path, shots: Sequence[tuple[int, int]], **options: Any) -> Path:
    """Write a black-and-white reel; `shots`: (seed of the scene, frames) each. Sound, two subtitles, chapters."""
    frames = []
    for seed, length in shots:
        for i in range(length):
            luma, _, _ = color.rgb_to_ycbcr(picture(seed, i), "bt601")
            frames.append([color.luma_to_codes(luma, 8, "limited")])
    settings: dict[str, Any] = {
        "pix_fmt": "gray",
        "rate": RATE,
        "size": (WIDTH, HEIGHT),
        "audio": ({"language": "eng"},),
        "subtitles": ((100, 900, "first"), (1500, 500, "second")),
        "chapters": ((0, 1000, "one"), (1000, 2000, "two")),
    }
    make_film(path, frames, "ffv1", **{**settings, **options})
    return path


def samples_of(path: Path) -> list[tuple[Fraction, str]]:
    """Time and digest of luma and chroma of every frame."""
    with open_video(path) as video:
        return [(f.pts * f.time_base, _digest([f.luma, *(f.chroma or ())])) for f in video]


def packets_of(path: Path) -> list[tuple[int, Fraction, str]]:
    """Stream, time and digest of every packet that is not the picture's."""
    with av.open(str(path)) as container:
        others = [s for s in container.streams if s.type in ("audio", "subtitle")]
        found = [
            (p.stream_index, p.pts * p.time_base, _digest([np.frombuffer(bytes(p), np.uint8)]))
            for p in container.demux(others)
            if p.size and p.pts is not None and p.time_base is not None
        ]
    return sorted(found)


def _digest(planes: Sequence[Array]) -> str:
    whole = hashlib.sha256()
    for plane in planes:
        whole.update(np.ascontiguousarray(plane).tobytes())
    return whole.hexdigest()
