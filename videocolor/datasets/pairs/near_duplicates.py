"""Near-duplicate sources: one film under two names belongs into one split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import cv2
import numpy as np

from videocolor.types import Array

__all__ = ["PrintCollector", "fingerprint", "group_twins"]

_SIDE: Final = 32
_KEEP: Final = 8
_FLAT: Final = 6.0
"""Spread of luma (8-bit levels) under which a picture has no fingerprint: black, fog, a title card's ground."""
_MOST: Final = 48
"""Fingerprints kept of one film."""
_SHARE: Final = 0.34
"""Share of the shorter film's fingerprints that must be found in the other."""
_BLOCK: Final = 2**22
"""Comparisons made at once: 32 MB of differences, whatever the number of fingerprints."""


def fingerprint(luma: Array) -> int | None:
    """Perceptual hash of a picture (pHash: Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions,
    2010): the signs, against their median, of the 8x8 lowest frequencies of a 32x32 thumbnail, without the mean.

    Args:
        luma: (h, w) uint8.

    Returns:
        64 bits, of which two versions of one picture share nearly all; None for a flat picture.
    """
    small = cv2.resize(luma, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    if float(small.std()) < _FLAT:
        return None
    low = cv2.dct(small)[:_KEEP, :_KEEP].ravel()
    bits = low > np.median(low[1:])
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


class PrintCollector:
    """Fingerprints of a film of unknown length, evenly spread: when full, every second one goes."""

    def __init__(self) -> None:
        self.prints: list[int] = []
        self._step = 0.5
        self._due = float("-inf")

    def push(self, seconds: float, luma: Array) -> None:
        """Look at a frame where one is due.

        Args:
            seconds: presentation time.
            luma: (h, w) uint8.
        """
        if seconds < self._due:
            return
        self._due = seconds + self._step
        value = fingerprint(luma)
        if value is None or (self.prints and self.prints[-1] == value):
            return
        self.prints.append(value)
        if len(self.prints) > _MOST:
            self.prints = self.prints[::2]
            self._step *= 2


def group_twins(prints: Mapping[str, Sequence[int]], bits: int) -> list[set[str]]:
    """Groups of two and more sources that show the same footage.

    Two sources are twins if at least a third of the shorter one's fingerprints have a partner in the other within
    `bits` bits. Twins of twins are in one group. Mirrored copies are not found. Every fingerprint is
    compared with every other one: ten thousand take a second, a million hours.

    Args:
        prints: source -> fingerprints; sources without any have no twin.
        bits: Hamming distance, 0..64.

    Returns:
        The groups, sorted by their first member.
    """
    names = sorted(name for name, values in prints.items() if values)
    owner = np.concatenate([np.full(len(prints[name]), i) for i, name in enumerate(names)] or [np.zeros(0, int)])
    values = np.array([value for name in names for value in prints[name]], np.uint64)
    found: dict[tuple[int, int], set[int]] = {}
    rows = max(1, _BLOCK // max(1, len(values)))
    for start in range(0, len(values), rows):
        near = np.bitwise_count(values[start : start + rows, None] ^ values[None, :]) <= bits
        for row, column in zip(*np.nonzero(near), strict=True):
            a, b = int(owner[start + row]), int(owner[column])
            if a != b:
                found.setdefault((a, b), set()).add(start + int(row))
    parent = list(range(len(names)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    for (a, b), matched in found.items():
        count = len(prints[names[a]])
        shorter = count <= len(prints[names[b]])
        if shorter and len(matched) >= max(1, _SHARE * count):
            parent[root(a)] = root(b)
    groups: dict[int, set[str]] = {}
    for index, name in enumerate(names):
        groups.setdefault(root(index), set()).add(name)
    return sorted((group for group in groups.values() if len(group) > 1), key=min)
