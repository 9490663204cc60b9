"""Track the motion in the clips of a pack once, to train on propagated chroma (`videocolor.training.propagated`)."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from tqdm import tqdm

from videocolor.color import rgb_to_luma
from videocolor.concurrency.processes import Crew
from videocolor.datasets.pack import PART_BYTES, Item, PackReader, PartsWriter
from videocolor.datasets.pairs.reading import read_film
from videocolor.files import disk_errors, file_sha256, write_atomically
from videocolor.motion.flow import FlowEstimator, grid
from videocolor.pipeline.propagated import judge
from videocolor.pipeline.propagation import DRIFT_CORRECTION_EVERY, CoordinateMap
from videocolor.training.propagated import TRACKS, UNIT, deflate
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


def propagate_pack(
    folder: Path,
    films: Mapping[str, Path],
    *,
    processes: int = 2,
    part_bytes: int = PART_BYTES,
    quiet: bool = False,
) -> int:
    """Track the motion in every clip of a pack, into PACK/tracks; finished clips stay as they are.

    Args:
        folder: the pack.
        films: film of each clip, by the name of its item.
        processes: clips at a time.
        part_bytes: size of a file at most.
        quiet: show no bar.

    Returns:
        How many pairs there are.
    """
    pack, out, sha256 = PackReader(folder), folder / TRACKS, file_sha256(folder / "index.json")
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        index = json.loads((out / "index.json").read_text(encoding="utf-8"))
        if index["pack"] == sha256:
            return sum(map(len, index["pairs"].values()))
    with disk_errors(out):
        for path in out.glob("index.json"):
            path.unlink()
        finished = _track_clips(pack, films, out / f"clips.{sha256[:12]}", processes, quiet)
        pairs: dict[str, list[list[int]]] = {}
        with PartsWriter(out, "places", part_bytes) as parts:
            for item, path in zip(pack.clips, finished, strict=True):
                pairs[item.file] = [[*row[:2], *parts.write(data), *row[2:]] for row, data in _read_clip(path)]
        index = {"version": 2, "pack": sha256, "parts": parts.parts, "pairs": pairs}
        write_atomically(out / "index.json", json.dumps(index))
        for work in out.glob("clips.*"):
            shutil.rmtree(work)
    return sum(map(len, pairs.values()))


def _track_clips(pack: PackReader, films: Mapping[str, Path], work: Path, processes: int, quiet: bool) -> list[Path]:
    """Write a file for each clip, so that work that was stopped goes on with the next one."""
    work.mkdir(parents=True, exist_ok=True)
    files = [work / f"{number}.npz" for number in range(len(pack.clips))]
    left = [(item, films[item.file], file) for item, file in zip(pack.clips, files, strict=True) if not file.exists()]
    with Crew(processes, _one_thread) as pool:
        tracked = (
            pool.map(_propagate_clip, *zip(*[(item, film) for item, film, _ in left], strict=True)) if left else []
        )
        bar = tqdm(tracked, total=len(left), unit="clip", desc="track", disable=quiet or None, leave=False)
        for (_, _, file), tracks in zip(left, bar, strict=True):
            rows = [(hint, frame, *trust.shape) for hint, frame, _, trust in tracks]
            data = [deflate(moved, trust) for _, _, moved, trust in tracks]
            content = io.BytesIO()
            np.savez(
                content,
                rows=np.asarray(rows, np.int64).reshape(-1, 4),
                lengths=np.asarray([len(piece) for piece in data], np.int64),
                data=np.frombuffer(b"".join(data), np.uint8),
            )
            write_atomically(file, content.getvalue())
    return files


def _read_clip(file: Path) -> Iterator[tuple[list[int], bytes]]:
    """Yield (hint, frame, height, width) and the deflated track of a clip's tracks."""
    with np.load(file, allow_pickle=False) as content:
        data, end = content["data"].tobytes(), 0
        for row, length in zip(content["rows"].tolist(), content["lengths"].tolist(), strict=True):
            yield row, data[end : end + length]
            end += length


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
    for time, rgb in read_film(path, _SHORT):
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
