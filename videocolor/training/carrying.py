"""Follow the motion in the footage of a pack, once, for training on carried chroma (`videocolor.training.carried`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from tqdm import tqdm

from videocolor.arrival import LONG_AGO, scaled_places, told
from videocolor.carry import RELOCK_EVERY, Places
from videocolor.color import rgb_to_luma
from videocolor.flow import FlowEstimator, grid
from videocolor.pairs.pack import read_clip
from videocolor.pairs.store import PART_BYTES, Item, PackReader, PartsWriter
from videocolor.report import write_whole
from videocolor.sighting import Sight, share_of_texture, sighted
from videocolor.training.carried import UNIT, deflate
from videocolor.types import Array

__all__ = ["carry_pack"]

_SHORT: Final = 160
"""Short side of the grid that motion is found on: about a film's working size."""
_START_EVERY: Final = 2.0
"""Seconds between hints."""
_LOOK_EVERY: Final = 0.24
"""Seconds between frames that are kept of a hint's way, at least."""
_LONGEST: Final = 3.2
_LOST: Final = 0.03
"""Mean trust under which a hint's way is given up (a cut)."""
_SEARCHED: Final = 2
"""Other frames of its clip that a kept frame is searched for in."""
_APART: Final = 2
"""Kept frames between the two, at least."""
_SEEN: Final = 0.05
"""Share of a frame's texture that must be found, as `videocolor.carry` asks for."""

_Pair = tuple[int, int, Array, Array]
"""Hint number, frame number, int16 displacements, uint8 trust."""


def carry_pack(pack: PackReader, root: Path, out: Path, *, processes: int = 2, part_bytes: int = PART_BYTES) -> int:
    """Follow the motion in every clip of a pack.

    Args:
        pack: the packed footage.
        root: folder that holds `train/` with the clips.
        out: folder to write.
        processes: clips at a time.
        part_bytes: size of the folder's files at most.

    Returns:
        How many pairs were written.
    """
    out.mkdir(parents=True, exist_ok=True)
    for pattern in ("index.json", "places.bin", "places.*.bin"):
        for path in out.glob(pattern):
            path.unlink()
    pairs: dict[str, list[list[int]]] = {}
    found: dict[str, list[list[int]]] = {}
    paths = [root / "train" / item.file for item in pack.clips]
    with PartsWriter(out, "places", part_bytes) as parts, _pool(processes) as pool:
        done = tqdm(pool.map(_carry_clip, pack.clips, paths), total=len(paths), unit="clip", desc="carry")
        for item, both in zip(pack.clips, done, strict=True):
            for entries, ways in zip((pairs, found), both, strict=True):
                entries[item.file] = [
                    [hint, frame, *parts.write(deflate(moved, trust)), *trust.shape]
                    for hint, frame, moved, trust in ways
                ]
    write_whole(out / "index.json", json.dumps({"version": 2, "parts": parts.parts, "pairs": pairs, "found": found}))
    return sum(map(len, [*pairs.values(), *found.values()]))


@dataclass
class _Way:
    """One hint on its way through a clip."""

    hint: int
    start: float
    kept: float
    """When its places were last written."""
    picture: Array
    places: Places
    age: int = 0
    """Frames."""


def _pool(processes: int) -> ProcessPoolExecutor:
    # Spawned, for a forked child of a process with threads may wait for ever on a lock that nobody holds there.
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_one_thread)


def _one_thread() -> None:
    cv2.setNumThreads(1)


def _carry_clip(item: Item, path: Path) -> tuple[list[_Pair], list[_Pair]]:
    """What motion carried on in one clip, and what was found in it."""
    numbers = {time: number for number, time in enumerate(item.times)}
    estimator, before = FlowEstimator("detailed"), None
    ways: list[_Way] = []
    pairs: list[_Pair] = []
    kept: dict[int, Sight] = {}
    started = -np.inf
    for time, rgb in read_clip(path, _SHORT, 1000.0):
        luma = rgb_to_luma(np.moveaxis(rgb.astype(np.float32) / 255, -1, 0), "bt601")
        now = estimator.prepare(np.rint(luma * 255).astype(np.uint8))
        if before is not None:
            motion = estimator.motion(before, now)
            for way in ways:
                way.places.step(motion)
                way.age += 1
                if way.age % RELOCK_EVERY == 0:
                    way.places.relock(now, way.picture, estimator)
        before = now
        ways = [way for way in ways if time - way.start <= _LONGEST and float(way.places.trust.mean()) >= _LOST]
        number = numbers.get(round(time, 4))
        if number is None:
            continue
        kept[number] = Sight(now)
        for way in ways:
            if time - way.kept >= _LOOK_EVERY:
                way.kept = time
                pairs.append((way.hint, number, *_packed(way.places.at, way.places.trust)))
        if time - started >= _START_EVERY:
            started = time
            ways.append(_Way(number, time, time, now, Places(*now.shape)))
    return pairs, _found(kept, estimator, item.first)


def _found(kept: Mapping[int, Sight], estimator: FlowEstimator, seed: int) -> list[_Pair]:
    """Search for a clip's frames in others of it, before and after them, as films do for hints without a time."""
    rng = np.random.default_rng(seed)
    pairs: list[_Pair] = []
    for number, frame in kept.items():
        others = np.array([other for other in kept if abs(other - number) >= _APART], np.int64)
        for hint in rng.permutation(others)[:_SEARCHED]:
            at, trust = sighted(frame, kept[int(hint)], estimator)
            if share_of_texture(frame, trust) >= _SEEN:
                pairs.append((int(hint), number, *_packed(at, told(trust, LONG_AGO))))
    return pairs


def _packed(at: Array, trust: Array) -> tuple[Array, Array]:
    height, width = (side // 2 for side in trust.shape)
    moved = scaled_places(at, height, width) - grid(height, width)
    trust = cv2.resize(trust, (width, height), interpolation=cv2.INTER_AREA)
    return np.rint(moved * UNIT).clip(-32768, 32767).astype(np.int16), np.rint(trust * 255).astype(np.uint8)
