"""Pictures of a footage folder that may be trained on."""

from __future__ import annotations

import csv
import tarfile
from collections.abc import Iterator
from pathlib import Path

from videocolor.datasets.held_back import HeldBack
from videocolor.datasets.pairs.frames import decode_picture, shrink_to
from videocolor.datasets.pairs.sources import allowed_licence, expand
from videocolor.types import Array

__all__ = [
    "read_images",
    "select_rows",
]


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


def _unlisted(folder: Path) -> Iterator[dict[str, str]]:
    """Rows of the films of a folder, or of the pictures of one that is called `images`."""
    kind = "image" if folder.name == "images" else "film"
    for source in expand([folder])[0] if folder.is_dir() else []:
        if source.kind == kind:
            file = Path(source.name).relative_to(folder).as_posix()
            yield {"file": file, "source": file, "licence": "not stated"}


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
