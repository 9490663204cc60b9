"""Damage to films, made from a seed: what is damaged, and by how much, is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from videocolor.types import ColorSpec, Frame, PixelLayout, Range

__all__ = [
    "Damaged",
    "dust",
    "flicker",
    "frames_of",
    "interlace",
    "psnr",
    "pulldown",
    "read_lumas",
    "scratches",
    "textured_pan",
]

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Damaged:
    """A film with damage in it."""

    clean: list[Array]
    """(h, w) luma of every frame before."""
    damaged: list[Array]
    """And after."""

    @property
    def masks(self) -> list[Array]:
        """(h, w) bool: samples that the damage changed."""
        return [a != b for a, b in zip(self.clean, self.damaged, strict=True)]


def frames_of(
    lumas: Iterable[Array], depth: int = 8, range_: Range = "limited", chroma: Sequence[tuple[Array, Array]] = ()
) -> list[Frame]:
    """Frames of a film at 25 a second, with times that are not just their numbers."""
    layout = PixelLayout("gray" if depth == 8 else f"gray{depth}le", depth, "gray", (0, 0))
    color = ColorSpec("bt709", range_)
    return [
        Frame(
            index=i,
            pts=1000 + 40 * i,
            time_base=Fraction(1, 1000),
            luma=luma,
            layout=layout,
            color=color,
            chroma=chroma[i] if chroma else None,
            native=("native", i),
            duration=40,
        )
        for i, luma in enumerate(lumas)
    ]


def read_lumas(path: Path, first: int, count: int, step: int = 1) -> list[Array]:
    """(h, w) uint8 luma of frames of a film."""
    from videocolor.video import open_video

    found = []
    with open_video(path) as video:
        for frame in video:
            if frame.index >= first + count * step:
                break
            if frame.index >= first and (frame.index - first) % step == 0:
                found.append(frame.luma.copy())
    assert len(found) == count
    return found


def textured_pan(seed: int, count: int, size: tuple[int, int] = (240, 320), speed: float = 2.0) -> list[Array]:
    """(h, w) uint8 frames: a textured plane that pans, with grain of its own in every frame."""
    random = np.random.default_rng(seed)
    h, w = size
    wide = np.zeros((h, w + int(abs(speed) * count) + 8), np.float32)
    for grain, share in ((3, 18.0), (9, 40.0), (31, 70.0)):
        small = random.random((h // grain + 3, wide.shape[1] // grain + 3)).astype(np.float32) - 0.5
        wide += share * cv2.resize(small, (wide.shape[1], h), interpolation=cv2.INTER_CUBIC)
    frames = []
    for i in range(count):
        at = np.array([[1, 0, -speed * i], [0, 1, 0]], np.float32)
        view = cv2.warpAffine(wide, at, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        view = view + 118 + random.normal(0, 1.0, (h, w))
        frames.append(np.clip(np.rint(view), 20, 230).astype(np.uint8))
    return frames


def dust(clean: list[Array], seed: int, blobs: float = 12, largest: float = 8.0) -> Damaged:
    """Blobs and specks, dark and light, soft at the edge, each in one frame alone."""
    random = np.random.default_rng(seed)
    damaged = []
    for luma in clean:
        h, w = luma.shape
        picture = luma.astype(np.float32)
        peak = float(np.iinfo(luma.dtype).max) if luma.dtype == np.uint8 else float(luma.max())
        for _ in range(random.poisson(blobs)):
            radius = min(largest, 0.8 + random.exponential(2.2))
            y, x = random.uniform(0, h), random.uniform(0, w)
            box = int(3 * radius) + 3
            y0, y1 = max(0, int(y) - box), min(h, int(y) + box)
            x0, x1 = max(0, int(x) - box), min(w, int(x) + box)
            yy, xx = np.mgrid[y0:y1, x0:x1]
            angle = np.arctan2(yy - y, xx - x)
            phase = random.uniform(0, 2 * np.pi, 3)
            ragged = sum(0.18 * np.cos((k + 2) * angle + phase[k]) for k in range(3))
            stretch = random.uniform(0.6, 1.6)
            away = np.hypot((yy - y) * stretch, (xx - x) / stretch) - radius * (1 + ragged)
            cover = np.clip(0.5 - away / 1.2, 0, 1) * random.uniform(0.7, 1.0)
            tone = peak * (random.uniform(0.04, 0.14) if random.random() < 0.6 else random.uniform(0.84, 0.94))
            part = picture[y0:y1, x0:x1]
            part += cover * (tone - part)
        damaged.append(np.rint(picture).astype(luma.dtype))
    return Damaged(clean, damaged)


def scratches(clean: list[Array], seed: int, lines: int = 3) -> Damaged:
    """Vertical lines through the whole height that stay for all frames, wandering a little."""
    random = np.random.default_rng(seed)
    h, w = clean[0].shape
    drawn = []
    for _ in range(lines):
        tone = random.uniform(0.04, 0.14) if random.random() < 0.5 else random.uniform(0.84, 0.94)
        drawn.append((random.uniform(0.1, 0.9) * w, random.uniform(0.8, 2.6), tone, random.uniform(0.5, 0.95)))
    damaged = []
    wander = np.zeros(lines)
    for luma in clean:
        picture = luma.astype(np.float32)
        peak = float(np.iinfo(luma.dtype).max) if luma.dtype == np.uint8 else float(luma.max())
        wander += random.normal(0, 0.3, lines)
        xx = np.arange(w)[None, :]
        yy = np.arange(h)[:, None]
        for (x, width, tone, opacity), drift in zip(drawn, wander, strict=True):
            center = x + drift + 0.8 * np.sin(yy / h * 2.0 + x)
            cover = np.clip(width / 2 + 0.5 - np.abs(xx - center), 0, 1) * opacity
            picture += cover * (tone * peak - picture)
        damaged.append(np.rint(picture).astype(luma.dtype))
    return Damaged(clean, damaged)


def flicker(clean: list[Array], seed: int, strength: float = 0.08) -> tuple[Damaged, Array]:
    """Another exposure in every frame: gain of the given spread; returns the gains too."""
    random = np.random.default_rng(seed)
    gains = np.clip(1 + random.normal(0, strength, len(clean)), 0.6, 1.4)
    top = 255 if clean[0].dtype == np.uint8 else int(max(luma.max() for luma in clean))
    damaged = [
        np.clip(np.rint(luma * gain), 0, top).astype(luma.dtype) for luma, gain in zip(clean, gains, strict=True)
    ]
    return Damaged(clean, damaged), gains


def interlace(fields: list[Array], top_first: bool = True) -> Damaged:
    """Weave pictures of twice the rate; clean is the picture of the upper field's time."""
    clean, woven = [], []
    for a, b in zip(fields[0::2], fields[1::2], strict=True):
        top, bottom = (a, b) if top_first else (b, a)
        frame = top.copy()
        frame[1::2] = bottom[1::2]
        clean.append(top)
        woven.append(frame)
    return Damaged(clean, woven)


def pulldown(film: list[Array], pattern: str = "2323", top_first: bool = True) -> tuple[list[Array], list[int]]:
    """Give film frames two or three fields each in turn.

    Returns:
        The woven frames, and for each the number of the film frame that its upper field shows.
    """
    fields = [k for k, _ in enumerate(film) for _ in range(int(pattern[k % len(pattern)]))]
    woven, shown = [], []
    for first, second in zip(fields[0::2], fields[1::2], strict=False):
        top, bottom = (first, second) if top_first else (second, first)
        frame = film[top].copy()
        frame[1::2] = film[bottom][1::2]
        woven.append(frame)
        shown.append(top)
    return woven, shown


def psnr(true: Sequence[Array], made: Sequence[Array], masks: Sequence[Array], peak: float = 255.0) -> float:
    """PSNR in dB over the masked samples of all frames together."""
    total = sum(float(np.sum((a.astype(np.float64) - b)[m] ** 2)) for a, b, m in zip(true, made, masks, strict=True))
    count = sum(int(m.sum()) for m in masks)
    assert count
    return float("inf") if total == 0 else 10 * float(np.log10(peak**2 * count / total))
