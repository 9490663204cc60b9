"""Images as films: patterns (`frame_%05d.png`), folders, and TIFF files of many pages."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

from videocolor.errors import InputError, NoVideoError
from videocolor.video.tiff import TIFF_SUFFIXES, tiff_pages

__all__ = [
    "IMAGE_SUFFIXES",
    "ImageSequence",
    "check_name",
    "find_sequence",
    "is_pattern",
    "is_sequence",
    "sequence_files",
]

IMAGE_SUFFIXES = frozenset(
    {
        *(
            *TIFF_SUFFIXES,
            ".dpx",
            ".exr",
            ".png",
            ".jpg",
            ".jpeg",
            ".jpe",
            ".jfif",
            ".jp2",
            ".j2k",
            ".j2c",
            ".jpc",
            ".bmp",
            ".webp",
        ),
        *(".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".tga", ".sgi", ".ras", ".sun", ".qoi"),
    }
)
_PATTERN = re.compile(r"%0?\d*d")
_NUMBER = re.compile(r"(\d+)(?=\D*$)")


@dataclass(frozen=True)
class ImageSequence:
    """Images in the order of their numbers."""

    files: tuple[Path, ...]
    ticks: tuple[int, ...]
    """Time of each image in frames, counted from the first: a missing number leaves its time empty."""
    first_number: int
    warnings: tuple[str, ...]
    pages: tuple[int, ...] = ()
    """Which page of its file each image is; empty: each is the only one."""

    def images(self) -> Iterator[tuple[int, Path, int]]:
        """Yield time, file and page of each image."""
        return zip(self.ticks, self.files, self.pages or (0,) * len(self.files), strict=True)


def check_name(path: Path) -> None:
    """Refuse a path whose bytes are not UTF-8: plans, receipts and reports, which are text, could not name it.

    Raises:
        InputError: it is such a path.
    """
    name = os.fsencode(path)
    try:
        name.decode()
    except UnicodeDecodeError as error:
        shown = name.decode(errors="backslashreplace")
        raise InputError(f"{shown}: the name is not UTF-8 (byte {name[error.start]:#x}); rename it") from error


def is_pattern(path: Path) -> bool:
    """Tell whether a path names many images by a number pattern such as `%05d`."""
    return _PATTERN.search(path.name) is not None and not path.is_file()


def is_sequence(path: Path) -> bool:
    """Tell whether a path means several images: a folder, or a number pattern."""
    return path.is_dir() or is_pattern(path)


def find_sequence(path: Path) -> ImageSequence | None:
    """List the images of a pattern, a folder or a TIFF of several pages.

    Args:
        path: A number pattern, a folder, or a file.

    Returns:
        The images, or None where `path` is an ordinary file.

    Raises:
        InputError: The folder is missing or unreadable.
        NoVideoError: No image matches.
    """
    if is_pattern(path):
        return _all_pages(_numbered(path, _matching(path)))
    if path.is_dir():
        return _all_pages(_folder(path))
    if not path.is_file():
        return None
    reel = _all_pages(ImageSequence((path,), (0,), 1, ()))
    return reel if reel.pages else None


def _all_pages(sequence: ImageSequence) -> ImageSequence:
    """Make one image of every page of TIFFs; a missing file leaves one time empty."""
    tiffs = sequence.files[0].suffix.lower() in TIFF_SUFFIXES
    counts = [len(tiff_pages(file)[0]) if tiffs else 1 for file in sequence.files]
    if sum(counts) == len(counts):
        return sequence
    before = [total - count for total, count in zip(accumulate(counts), counts, strict=True)]
    images = [
        (file, tick + first - place + page, page)
        for place, (file, tick, first, count) in enumerate(
            zip(sequence.files, sequence.ticks, before, counts, strict=True)
        )
        for page in range(count)
    ]
    files, ticks, pages = zip(*images, strict=True)
    return ImageSequence(files, ticks, 1, sequence.warnings, pages)


def _listing(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder) if entry.is_file() and entry.name[0] != "."]
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}") from error


def _matching(path: Path) -> list[tuple[int, Path]]:
    head, tail = _PATTERN.split(path.name, maxsplit=1)
    width = re.search(r"%0?(\d*)d", path.name)
    digits = int(width.group(1) or 1) if width else 1
    exact = re.compile(re.escape(head) + rf"(\d{{{digits},}})" + re.escape(tail))
    found = [(m, file) for file in _listing(path.parent) if (m := exact.fullmatch(file.name))]
    return sorted((int(m.group(1)), file) for m, file in found)


def _folder(path: Path) -> ImageSequence:
    images = [file for file in _listing(path) if file.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        found = Counter(file.suffix.lower() or file.name for file in _listing(path))
        seen = ", ".join(f"{count} {kind}" for kind, count in found.most_common(5)) or "it is empty"
        raise NoVideoError(f"{path}: the folder holds no PNG, TIFF, DPX, JPEG or other images that are read ({seen})")
    kinds = Counter(file.suffix.lower() for file in images)
    kind = max(sorted(kinds), key=lambda suffix: kinds[suffix])
    images = [file for file in images if file.suffix.lower() == kind]
    numbers = [_NUMBER.search(file.stem) for file in images]
    stems = {_NUMBER.sub("#", file.stem) for file in images}
    others = tuple(f"{path}: {n} {suffix} files are left out" for suffix, n in sorted(kinds.items()) if suffix != kind)
    if all(numbers) and len(stems) == 1:
        pairs = sorted((int(m.group(1)), file) for m, file in zip(numbers, images, strict=True) if m)
        return _numbered(path, pairs, others)
    ordered = sorted(images, key=_natural)
    note = (f"{path}: the names are not one numbered sequence; taken in natural order",) if len(images) > 1 else ()
    return ImageSequence(tuple(ordered), tuple(range(len(ordered))), 1, others + note)


def _natural(file: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", file.name)
    return [(1, int(p), p) if p.isdigit() else (0, 0, p.lower()) for p in parts]


def _numbered(path: Path, pairs: list[tuple[int, Path]], warnings: tuple[str, ...] = ()) -> ImageSequence:
    if not pairs:
        raise NoVideoError(f"{path}: no image matches this pattern")
    numbers = [number for number, _ in pairs]
    files = tuple(file for _, file in pairs)
    if len(set(numbers)) < len(numbers):
        note = f"{path}: some numbers occur twice; taken in natural order"
        return ImageSequence(files, tuple(range(len(files))), numbers[0], (*warnings, note))
    numbers, files = _unwrapped(numbers, files)
    if files[0] != pairs[0][1]:
        warnings = (*warnings, f"{path}: the counter runs over; the film begins with {files[0].name}")
    missing = [(a + 1, b - 1) for a, b in pairwise(numbers) if b - a > 1]
    count = sum(b - a + 1 for a, b in missing)
    if count > len(numbers):  # dates or time codes rather than a count of frames
        note = f"{path}: the numbers leap; taken in their order without gaps"
        return ImageSequence(files, tuple(range(len(files))), numbers[0], (*warnings, note))
    if missing:
        spans = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in missing[:10])
        more = ", ..." if len(missing) > 10 else ""
        warnings = (*warnings, f"{path}: {count} images are missing ({spans}{more}); their time stays empty")
    return ImageSequence(files, tuple(n - numbers[0] for n in numbers), numbers[0], warnings)


def _unwrapped(numbers: list[int], files: tuple[Path, ...]) -> tuple[list[int], tuple[Path, ...]]:
    """Order images whose counter ran over, as from 9999 to 0000: those before the only gap come last.

    A gap of less than half of the counter's numbers is taken for missing images.
    """
    nines = str(numbers[-1])
    gaps = [place for place, (a, b) in enumerate(pairwise(numbers), 1) if b - a > 1]
    if numbers[0] or set(nines) != {"9"} or len(nines) < 2 or len(gaps) != 1:
        return numbers, files
    first = gaps[0]
    if 2 * (numbers[first] - numbers[first - 1]) < 10 ** len(nines):
        return numbers, files
    return numbers[first:] + [10 ** len(nines) + n for n in numbers[:first]], files[first:] + files[:first]


def sequence_files(path: Path) -> tuple[Path, ...] | None:
    """List the files of an image sequence in order; None where the path is a file."""
    sequence = find_sequence(path) if is_sequence(path) else None
    return None if sequence is None else tuple(dict.fromkeys(sequence.files))
