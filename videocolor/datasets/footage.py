"""Choose the footage that may be trained on, and pack it for random access.

Held-back sources never enter a pack; neither do rows whose license says "non-commercial" or "NC", nor
near-duplicates of held-back clips (the same footage redistributed under another name).
"""

from __future__ import annotations

import csv
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from videocolor.datasets.held_back import HeldBack, read_held_back
from videocolor.datasets.pack import PART_BYTES, PackWriter, frame_distance, thumbnail
from videocolor.datasets.pairs.frames import decode_picture, picture_of, shrink_to
from videocolor.datasets.pairs.sources import allowed_licence, expand
from videocolor.errors import InputError
from videocolor.presets import find_preset
from videocolor.types import Array
from videocolor.video import open_video

__all__ = [
    "has_held_back",
    "pack_footage",
    "read_clip",
    "read_images",
    "select_rows",
]

_SAME_FOOTAGE = 0.06
"""Scene-check distance under which two clips count as the same footage."""


def select_rows(manifest: Path, listed: HeldBack, held: bool = False) -> list[dict[str, str]]:
    """Select the rows of a manifest that may be trained on; or, with `held`, the held-back ones.

    Without a manifest, all films and pictures of its folder are rows.
    """
    if manifest.is_file():
        with manifest.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
    else:
        rows = list(_unlisted(manifest.parent))
    rows = [row for row in rows if listed.has(row["file"], row["source"]) == held]
    return rows if held else [row for row in rows if allowed_licence(row["licence"])]


def has_held_back(root: Path, held_back: Sequence[str | Path]) -> bool:
    """Whether any footage of a folder is held back; arguments as of `pack_footage`."""
    listed = read_held_back([find_preset(name, "evaluate") for name in held_back])
    return any(select_rows(root / kind / "manifest.csv", listed, held=True) for kind in ("train", "images"))


def _unlisted(folder: Path) -> Iterator[dict[str, str]]:
    """Rows of the films of a folder, or of the pictures of one that is called `images`."""
    kind = "image" if folder.name == "images" else "film"
    for source in expand([folder])[0] if folder.is_dir() else []:
        if source.kind == kind:
            file = Path(source.name).relative_to(folder).as_posix()
            yield {"file": file, "source": file, "licence": "not stated"}


def read_clip(path: Path, short_side: int, rate: float) -> Iterator[tuple[float, Array]]:
    """Read frames of a clip, about `rate` per second.

    Yields:
        (seconds, (h, w, 3) uint8 R'G'B'), the short side at most `short_side`.
    """
    with open_video(path) as video:
        due = -1.0
        for frame in video:
            seconds = float(frame.seconds)
            if seconds < due - 1e-3:
                continue
            due = seconds + 1.0 / rate
            yield seconds, picture_of(frame, video.info, short_side)


def read_images(root: Path, rows: list[dict[str, str]], short_side: int) -> Iterator[tuple[dict[str, str], Array]]:
    """Read images of a footage folder, in the order of its tar files.

    Yields:
        (row of the manifest, (h, w, 3) uint8 R'G'B'), the short side at most `short_side`.

    Raises:
        InputError: an image is damaged.
    """
    by_tar: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows:
        tar, inside, name = row["file"].partition(".tar/")
        if inside:
            by_tar.setdefault(f"{tar}.tar", {})[name] = row
        else:
            path = root / "images" / row["file"]
            yield row, shrink_to(decode_picture(path.read_bytes(), str(path)), short_side)
    for tar, wanted in sorted(by_tar.items()):
        with tarfile.open(root / "images" / tar) as archive:
            for member in archive:
                row_of = wanted.get(member.name.removeprefix("./"))
                handle = archive.extractfile(member) if row_of is not None else None
                if row_of is None or handle is None:
                    continue
                yield row_of, shrink_to(decode_picture(handle.read(), f"{tar}/{member.name}"), short_side)


def _held_thumbnails(root: Path, files: frozenset[str]) -> Array:
    paths = [root / "train" / file for file in sorted(files) if (root / "train" / file).is_file()]
    thumbs = [thumbnail(rgb) for path in paths for _, rgb in read_clip(path, 64, 1.0)]
    return np.stack(thumbs) if thumbs else np.zeros((0, 16, 16, 3), np.uint8)


def _looks_held(frames: list[tuple[float, Array]], held: Array) -> bool:
    thumbs = np.stack([thumbnail(rgb) for _, rgb in frames])
    near = [float(frame_distance(thumb[None], held).min(initial=1.0)) for thumb in thumbs]
    return min(near) < _SAME_FOOTAGE


def pack_footage(
    root: Path,
    out: Path,
    held_back: Sequence[str | Path],
    *,
    short_side: int = 192,
    rate: float = 4.0,
    held: bool = False,
    jpeg_quality: int | None = 92,
    part_bytes: int = PART_BYTES,
) -> dict[str, object]:
    """Pack the footage that may be trained on; or, with `held`, the held-back footage, to validate on.

    Args:
        root: folder that holds `train/` and `images/`, each with its manifest.csv, or any films and pictures.
        out: folder to write.
        held_back: lists of the files and sources to leave out: names of packaged ones, or YAML files.
        short_side: largest short side kept, in pixels.
        rate: frames a second taken from clips.
        held: pack what is held back instead; such a pack must never be trained on, and says so ("held": true).
        jpeg_quality: of the packed frames; None: not compressed.
        part_bytes: size of the pack's files at most.

    Returns:
        The notes written into the index: counts by licence, what was left out.

    Raises:
        InputError: there is nothing to pack, or a picture is damaged.
        ConfigError: a list of held-back footage is missing or has another form.
    """
    left_out = read_held_back([find_preset(name, "evaluate") for name in held_back])
    clips = select_rows(root / "train" / "manifest.csv", left_out, held)
    images = select_rows(root / "images" / "manifest.csv", left_out, held)
    if not clips and not images:
        raise InputError(f"{root}: nothing to pack in train/ and images/" + (" that is held back" if held else ""))
    writer = PackWriter(out, jpeg_quality=jpeg_quality, part_bytes=part_bytes)
    duplicates = _held_thumbnails(root, left_out.files)
    licences: dict[str, Counter[str]] = {"clip": Counter(), "image": Counter()}
    dropped: list[str] = []
    for row in tqdm(clips, unit="clip", desc="pack"):
        frames = list(read_clip(root / "train" / row["file"], short_side, rate))
        if not frames or (not held and _looks_held(frames, duplicates)):
            dropped.append(row["file"])
            continue
        writer.add(row["file"], row["source"], row["licence"], "clip", frames)
        licences["clip"][row["licence"]] += 1
    pictures = tqdm(read_images(root, images, short_side), total=len(images), unit="image", desc="pack")
    for row, rgb in pictures:
        writer.add(row["file"], row["source"], row["licence"], "image", [(0.0, rgb)])
        licences["image"][row["licence"]] += 1
    notes: dict[str, object] = {
        "held": held,
        "short_side": short_side,
        "rate": rate,
        "licences": {kind: dict(counter.most_common()) for kind, counter in licences.items()},
        "dropped_as_held_back_twins": dropped,
    }
    writer.close(notes)
    return notes
