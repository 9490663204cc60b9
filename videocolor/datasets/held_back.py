"""Footage that is never trained on: lists as `pipelines/hold_back.py` writes them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from videocolor.errors import ConfigError
from videocolor.presets import read_yaml

__all__ = ["HeldBack", "read_held_back", "source_share"]


def source_share(source: str) -> float:
    """Position of a source name in [0, 1), uniform and always the same: what the held-back rule goes by."""
    return int.from_bytes(hashlib.sha256(f"videocolor:{source}".encode()).digest()[:8], "big") / 2**64


@dataclass(frozen=True)
class HeldBack:
    """What is never trained on."""

    files: frozenset[str] = frozenset()
    """File names."""
    sources: frozenset[str] = frozenset()
    """Names of origin, as the column `source` of a manifest.csv has them."""
    hashes: frozenset[str] = frozenset()
    """sha256 of files."""
    images_below: float = 0.0
    """Images of tars whose `source_share` is below this are held back, listed or not."""
    prints: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Fingerprints of held-back films, to find near-duplicates of them."""

    def has(self, file: str, source: str, sha256: str = "") -> bool:
        """Whether footage is held back, by its file name (folders do not count), its origin or its bytes."""
        listed = Path(file).name in self.files or source in self.sources or sha256 in self.hashes
        return listed or (".tar/" in file and source_share(source) < self.images_below)


def read_held_back(paths: Sequence[Path]) -> HeldBack:
    """Read lists of held-back footage, together.

    Raises:
        ConfigError: a list is missing or has another form.
    """
    clips: list[dict[str, Any]] = []
    sources: list[str] = []
    share = 0.0
    for path in paths:
        values = read_yaml(path)
        listed, images = values.get("clips") or [], values.get("images") or []
        if not isinstance(listed, list) or not isinstance(images, list) or not all(isinstance(c, dict) for c in listed):
            raise ConfigError(f"{path}: expected `clips` (file, source, sha256) and `images` (a list of names)")
        clips += listed
        sources += map(str, images)
        share = max(share, float(values.get("images_below", 0.0)))
    files, origins, hashes = ({str(c[key]) for c in clips if key in c} for key in ("file", "source", "sha256"))
    return HeldBack(frozenset(files), frozenset([*origins, *sources]), frozenset(hashes), share)
