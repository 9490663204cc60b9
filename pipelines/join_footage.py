"""Join folders of pictures into one footage folder, each picture once.

    python pipelines/join_footage.py FOOTAGE GATHERED... -o OUT [--most OWNER/REPOSITORY=N ...]

FOOTAGE holds `train/` and `images/`; each GATHERED a `manifest.csv` of the same columns beside its tar files. OUT gets
links to `train/` and to all tar files, and one `images/manifest.csv`. Left out: rows whose licence says non-commercial,
and pictures that another row shows already (difference hash, also of the mirrored picture, 5 of 64 bits apart at most).
--most keeps N pictures of a repository, chosen by a hash of their source.
"""

from __future__ import annotations

import csv
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import cv2
import numpy as np

from videocolor.datasets.held_back import source_share
from videocolor.datasets.pairs.sources import allowed_licence
from videocolor.types import Array

_APART = 5
"""Bits of the difference hash up to which two pictures are one."""
Hashes = tuple[np.uint64, np.uint64]
"""Of a picture, and of its mirror image."""


def difference_hash(gray: Array) -> Hashes:
    """64 bits: whether each of 9x8 cells is darker than its right neighbor; of the picture and of its mirror."""
    small = cv2.resize(gray, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    bits = [np.packbits((one[:, 1:] > one[:, :-1]).ravel()).view(">u8")[0] for one in (small, small[:, ::-1])]
    return np.uint64(bits[0]), np.uint64(bits[1])


def read_rows(folder: Path, prefix: str, out: Path) -> Iterator[tuple[dict[str, str], Hashes]]:
    """(row, its picture's hashes) of a folder of tar files, which are linked into `out` under the prefix."""
    rows: dict[str, dict[str, dict[str, str]]] = {}
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            tar, _, name = row["file"].partition("/")
            rows.setdefault(tar, {})[name] = row
    for tar, named in sorted(rows.items()):
        (out / f"{prefix}{tar}").symlink_to((folder / tar).resolve())
        with tarfile.open(folder / tar) as archive:
            for member in archive:
                row_of, handle_of = named.get(member.name.removeprefix("./")), archive.extractfile(member)
                if row_of is None or handle_of is None:
                    continue
                # A quarter of the size, which JPEG decodes fast, is enough for a hash.
                gray = cv2.imdecode(np.frombuffer(handle_of.read(), np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_4)
                if gray is not None:
                    yield {**row_of, "file": f"{prefix}{row_of['file']}"}, difference_hash(np.asarray(gray))


def join(footage: Path, gathered: tuple[Path, ...], out: Path, most: dict[str, int]) -> Counter[str]:
    """Write the joined folder; returns how many pictures were kept, and why others were not."""
    (out / "images").mkdir(parents=True)
    (out / "train").symlink_to((footage / "train").resolve())
    counts: Counter[str] = Counter()
    rows: list[dict[str, str]] = []
    hashes = np.zeros(0, np.uint64)
    folders = [(footage / "images", ""), *((folder, f"{number}_") for number, folder in enumerate(gathered))]
    for folder, prefix in folders:
        found = sorted(read_rows(folder, prefix, out / "images"), key=lambda pair: source_share(pair[0]["source"]))
        taken: Counter[str] = Counter()
        for row, (own, mirrored) in found:
            repository = row["source"].partition(":")[0]
            if not allowed_licence(row["licence"]):
                counts["non-commercial"] += 1
            elif taken[repository] >= most.get(repository, len(found)):
                counts["enough of the repository"] += 1
            elif prefix and any((np.bitwise_count(hashes ^ one) <= _APART).any() for one in (own, mirrored)):
                counts["shown already"] += 1
            else:
                counts["kept"] += 1
                taken[repository] += 1
                rows.append(row)
                hashes = np.append(hashes, own)
    with (out / "images" / "manifest.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return counts


@click.command(help=__doc__)
@click.argument("footage", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("gathered", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(exists=False, path_type=Path))
@click.option("--most", multiple=True, metavar="OWNER/REPOSITORY=N", help="Keep N pictures of a repository.")
def main(footage: Path, gathered: tuple[Path, ...], output: Path, most: tuple[str, ...]) -> None:
    limits = {name: int(number) for name, _, number in (item.partition("=") for item in most)}
    print(dict(join(footage, gathered, output, limits)))


if __name__ == "__main__":
    main()
