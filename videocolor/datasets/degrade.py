"""Degrade the gray of a modern frame to that of old film: for the network's input, never for the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from videocolor.color import LUMA_WEIGHTS, to_display, to_linear
from videocolor.types import Array

__all__ = ["LIGHT", "Archival", "age", "gray_of", "harsh", "old_film", "orthochromatic"]

_ORTHO: Final = np.array([[0.02, 0.53, 0.45]], np.float32)
"""Weights of linear red, green and blue of an orthochromatic emulsion, blind beyond about 580 nm."""


@dataclass(frozen=True)
class Archival:
    """Probability of each kind of degradation, 0..1."""

    orthochromatic: float = 0.25
    """Red seen as dark."""
    fading: float = 0.5
    """Contrast lost, blacks lifted, gamma changed."""
    flicker: float = 0.4
    """Exposure wrong by up to 15 %, unevenly over the frame."""
    blur: float = 0.4
    """A soft lens, or a copy of a copy."""
    grain: float = 0.6
    """Strongest in the middle tones."""
    scratches: float = 0.25
    """Thin vertical lines, bright or dark, and specks of dust."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} = {value}: expected a probability, 0..1")


LIGHT: Final = Archival(orthochromatic=0.0, fading=0.5, flicker=0.0, blur=0.5, grain=0.6, scratches=0.0)
"""What the trainers' samples get: no more than tones, blur and grain."""


def orthochromatic(rgb: Array) -> Array:
    """Convert to gray as an orthochromatic emulsion does; grays stay the same.

    Args:
        rgb: (h, w, 3) float32 R'G'B' in 0..1 (sRGB transfer, IEC 61966-2-1).

    Returns:
        (h, w) float32 in 0..1.
    """
    return np.asarray(np.clip(to_display(cv2.transform(to_linear(rgb), _ORTHO)), 0, 1), np.float32)


def gray_of(rgb: Array, rng: np.random.Generator, ortho: float = 0.1) -> Array:
    """Convert to gray by randomly chosen weights: orthochromatic, or BT.601 and BT.709 equally often.

    Args:
        rgb: (h, w, 3) uint8.
        rng: decides.
        ortho: probability of an orthochromatic emulsion, 0..1.

    Returns:
        (h, w) float32 in 0..1.
    """
    scaled = rgb.astype(np.float32) * np.float32(1 / 255)
    kind = rng.choice(3, p=((1 - ortho) / 2, (1 - ortho) / 2, ortho))
    if kind == 2:
        return orthochromatic(scaled)
    return np.asarray(cv2.transform(scaled, np.array([LUMA_WEIGHTS["bt601" if kind == 0 else "bt709"]], np.float32)))


def age(rgb: Array, luma: Array, settings: Archival, rng: np.random.Generator) -> Array:
    """Degrade a frame to the gray of old film.

    Args:
        rgb: (h, w, 3) float32 R'G'B' in 0..1: the frame, for the emulsion's response.
        luma: (h, w) float32 in 0..1: its luma, used where the emulsion sees all colors.
        settings: probabilities.
        rng: decides; the same generator state gives the same film.

    Returns:
        (h, w) float32 in 0..1.
    """
    return old_film(orthochromatic(rgb) if rng.random() < settings.orthochromatic else luma, rng, settings)


def harsh(gray: Array, rng: np.random.Generator) -> Array:
    """Raise the contrast as a copy of a copy has it: shadows are crushed, highlights burn out.

    Args:
        gray: (h, w) float32 in 0..1.
        rng: decides.

    Returns:
        (h, w) float32 in 0..1.
    """
    gain, middle = rng.uniform(1.0, 1.8), rng.uniform(0.3, 0.6)
    return np.asarray(np.clip((gray - np.float32(middle)) * np.float32(gain) + np.float32(0.5), 0, 1))


def old_film(gray: Array, rng: np.random.Generator, settings: Archival = LIGHT) -> Array:
    """Degrade a gray frame; `age` also chooses the emulsion's response.

    Args:
        gray: (h, w) float32 in 0..1.
        rng: decides.
        settings: probabilities.

    Returns:
        (h, w) float32 in 0..1.
    """
    chances = rng.random(5)
    if chances[0] < settings.fading:
        gray = _fade(gray, rng)
    if chances[1] < settings.flicker:
        gray = _flicker(gray, rng)
    if chances[2] < settings.blur:
        # Strength goes with the picture's size, as a lens's does.
        gray = cv2.GaussianBlur(gray, (0, 0), float(rng.uniform(0.4, 1.5)) * max(1.0, min(gray.shape) / 256))
    if chances[3] < settings.grain:
        gray = _grain(gray, rng)
    if chances[4] < settings.scratches:
        gray = _scratch(gray, rng)
    return np.asarray(np.clip(gray, 0, 1), np.float32)


def _fade(gray: Array, rng: np.random.Generator) -> Array:
    low, high, gamma = rng.uniform(0.0, 0.18), rng.uniform(0.7, 1.0), rng.uniform(0.7, 1.4)
    return np.asarray(np.float32(low) + np.clip(gray, 0, 1) ** np.float32(gamma) * np.float32(high - low))


def _flicker(gray: Array, rng: np.random.Generator) -> Array:
    knots = rng.uniform(-0.05, 0.05, (2, 2)).astype(np.float32) + np.float32(1 + rng.uniform(-0.1, 0.1))
    return np.asarray(gray * cv2.resize(knots, gray.shape[::-1], interpolation=cv2.INTER_LINEAR))


def _grain(gray: Array, rng: np.random.Generator) -> Array:
    white = rng.standard_normal(gray.shape, dtype=np.float32)
    soft = cv2.GaussianBlur(white, (0, 0), float(rng.uniform(0.3, 0.9)))
    noise = soft * np.float32(rng.uniform(0.01, 0.06) / max(float(soft.std()), 1e-6))
    tone = np.clip(gray, 0, 1)
    return np.asarray(gray + noise * (np.float32(0.4) + np.float32(2.4) * tone * (1 - tone)))


def _scratch(gray: Array, rng: np.random.Generator) -> Array:
    height, width = gray.shape
    marked = gray.copy()
    for _ in range(int(rng.integers(1, 5))):
        rows = np.arange(*sorted(rng.integers(0, height + 1, 2)))
        columns = rng.uniform(0, width) + np.cumsum(rng.uniform(-0.15, 0.15, len(rows)))
        columns = np.clip(columns, 0, width - 1).astype(int)
        tone, strength = np.float32(rng.random() < 0.6), np.float32(rng.uniform(0.3, 0.9))
        marked[rows, columns] += (tone - marked[rows, columns]) * strength
    for _ in range(int(rng.integers(0, 8))):
        center = (int(rng.integers(width)), int(rng.integers(height)))
        axes = tuple(int(v) for v in rng.integers(1, max(2, min(height, width) // 60) + 1, 2))
        cv2.ellipse(marked, center, axes, float(rng.uniform(0, 180)), 0, 360, float(rng.random() < 0.5), -1)
    return marked
