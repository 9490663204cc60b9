"""Track the motion in the clips of a pack once, to train on propagated chroma (`videocolor.training.propagated`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from tqdm import tqdm

from videocolor.color import rgb_to_luma
from videocolor.concurrency.processes import Crew
from videocolor.datasets.footage import read_clip
from videocolor.datasets.pack import PART_BYTES, Item, PackReader, PartsWriter
from videocolor.files import write_atomically
from videocolor.motion.flow import FlowEstimator, grid
from videocolor.pipeline.propagated import judge
from videocolor.pipeline.propagation import DRIFT_CORRECTION_EVERY, CoordinateMap
from videocolor.training.propagated import UNIT, deflate
from videocolor.types import Array

__all__ = ["propagate_pack"]

_SHORT: Final = 160
"""Short side of the grid that motion is found on: about a film's working size."""
_START_EVERY: Final = 2.0
"""Seconds between hints."""
_KEEP_EVERY: Final = 0.24
"""Least seconds between frames that are kept of a track."""
_LONGEST: Final = 3.2
_LOST: Final = 0.03
"""Mean confidence below which a track ends (a cut)."""


def propagate_pack(pack: PackReader, root: Path, out: Path, *, processes: int = 2, part_bytes: int = PART_BYTES) -> int:
    """Track the motion in every clip of a pack.

    Args:
        pack: the packed footage.
        root: folder that holds `train/` with the clips.
        out: folder of tracks to write.
        processes: clips at a time.
        part_bytes: size of the folder's files at most.

    Returns:
        How many pairs were written.
    """
    out.mkdir(parents=True, exist_ok=True)
    for pattern in ("index.json", "places.*.bin"):
        for path in out.glob(pattern):
            path.unlink()
    pairs: dict[str, list[list[int]]] = {}
    paths = [root / "train" / item.file for item in pack.clips]
    with PartsWriter(out, "places", part_bytes) as parts, Crew(processes, _one_thread) as pool:
        done = tqdm(pool.map(_propagate_clip, pack.clips, paths), total=len(paths), unit="clip", desc="track")
        for item, tracks in zip(pack.clips, done, strict=True):
            entries = pairs.setdefault(item.file, [])
            for hint, frame, moved, trust in tracks:
                entries.append([hint, frame, *parts.write(deflate(moved, trust)), *trust.shape])
    write_atomically(out / "index.json", json.dumps({"version": 2, "parts": parts.parts, "pairs": pairs}))
    return sum(map(len, pairs.values()))


@dataclass
class _Track:
    """One reference frame, tracked through a clip."""

    hint: int
    start: float
    kept: float
    """Seconds at which it was last kept."""
    picture: Array
    places: CoordinateMap
    age: int = 0
    """Frames."""


def _one_thread() -> None:
    cv2.setNumThreads(1)


def _propagate_clip(item: Item, path: Path) -> list[tuple[int, int, Array, Array]]:
    """(hint number, frame number, int16 displacements, uint8 trust) of one clip."""
    numbers = {time: number for number, time in enumerate(item.times)}
    estimator, before = FlowEstimator("detailed"), None
    tracks: list[_Track] = []
    pairs: list[tuple[int, int, Array, Array]] = []
    started = -np.inf
    for time, rgb in read_clip(path, _SHORT, 1000.0):
        luma = rgb_to_luma(np.moveaxis(rgb.astype(np.float32) / 255, -1, 0), "bt601")
        now = estimator.prepare(np.rint(luma * 255).astype(np.uint8))
        if before is not None:
            motion = estimator.motion(before, now)
            for track in tracks:
                track.places.step(motion)
                track.age += 1
                if track.age % DRIFT_CORRECTION_EVERY == 0:
                    track.places.correct_drift(now, track.picture, estimator)
        before = now
        tracks = [
            track for track in tracks if time - track.start <= _LONGEST and float(track.places.trust.mean()) >= _LOST
        ]
        number = numbers.get(round(time, 4))
        if number is None:
            continue
        for track in tracks:
            if time - track.kept >= _KEEP_EVERY:
                track.kept = time
                pairs.append((track.hint, number, *_packed(track, now)))
        if time - started >= _START_EVERY:
            started = time
            tracks.append(_Track(number, time, time, now, CoordinateMap.identity(*now.shape)))
    return pairs


def _packed(track: _Track, now: Array) -> tuple[Array, Array]:
    places = track.places
    height, width = (side // 2 for side in places.trust.shape)
    moved = places.scaled(height, width) - grid(height, width)
    judged, _ = judge(track.picture, places.at, places.trust, now)  # as films give it to the network
    trust = cv2.resize(judged, (width, height), interpolation=cv2.INTER_AREA)
    return np.rint(moved * UNIT).clip(-32768, 32767).astype(np.int16), np.rint(trust * 255).astype(np.uint8)
