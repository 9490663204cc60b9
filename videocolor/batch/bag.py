"""BagIt packages (RFC 8493, written as version 0.97, which the common tools read): files with their sha256.

Not written by the library `bagit`, which changes the working directory of the process, moves its input, and reads every
byte once more; the library checks what was written.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from videocolor.batch.profiles import BagStyle, bag_style
from videocolor.batch.qc import check_tools
from videocolor.batch.settings import ArchiveSettings
from videocolor.errors import InputError, OutputError, UsageError
from videocolor.files import disk_errors, file_digests
from videocolor.version import __version__
from videocolor.video import sync_folder

__all__ = ["bag_problems", "check_archive", "has_info", "settle_bag", "write_bag"]

_DECLARATION: Final = "BagIt-Version: {}\nTag-File-Character-Encoding: UTF-8\n"


def check_archive(settings: ArchiveSettings) -> None:
    """Check before a batch that what is asked for can be made here.

    Raises:
        UsageError: the extra `archive`, or another tool, is not installed, or the profile cannot be followed.
    """
    check_tools(settings)
    if settings.bag:
        bag_style(settings)
    elif settings.bag_tar:
        raise UsageError("archive.bag_tar needs archive.bag")
    if settings.bag and importlib.util.find_spec("bagit") is None:
        raise UsageError("archive.bag needs bagit: pip install 'videocolor[archive]'")


def write_bag(
    folder: Path,
    files: Mapping[Path, str | None],
    info: Mapping[str, str],
    style: BagStyle | None = None,
    *,
    replace: bool = False,
) -> Path:
    """Package files; the bag is written beside its place, checked, and renamed.

    Payload files are hard links of the originals if the disk supports them, else copies: an original that is changed
    in place later breaks the bag, which `bag_problems` finds.

    Args:
        folder: the bag.
        files: file to its sha256, or None if unknown; names must differ.
        info: lines of bag-info.txt; Bagging-Date, Payload-Oxum and Bag-Software-Agent are added.
        style: manifests and version; None: sha256 alone.
        replace: replace an existing bag.

    Raises:
        UsageError: `bagit` is not installed, or two files have one name.
        InputError: a file cannot be read.
        OutputError: the bag exists, cannot be written, or was damaged when it was read back.
    """
    settle_bag(folder)
    if folder.exists() and not replace:
        raise OutputError(f"{folder}: exists; remove it, or overwrite")
    names = [file.name for file in files]
    if len(set(names)) < len(names):
        raise UsageError(f"{folder}: two files of one name cannot be in one package: {', '.join(sorted(names))}")
    part, before = _beside(folder)
    try:
        with disk_errors(folder):
            part.mkdir()
            _fill(part, files, info, style or BagStyle())
        problems = bag_problems(part)
        if problems:
            raise OutputError(f"{folder}: was written and is damaged: {'; '.join(problems)}")
        with disk_errors(folder):
            if folder.exists():
                os.replace(folder, before)
            os.replace(part, folder)
            sync_folder(folder.parent)
    finally:
        settle_bag(folder)
    return folder


def settle_bag(folder: Path) -> None:
    """Remove what a `write_bag` that was killed has left beside a bag, and put the earlier bag back if there is none.

    Raises:
        OutputError: the folder cannot be written.
    """
    part, before = _beside(folder)
    with disk_errors(folder):
        if before.exists() and not folder.exists():
            os.replace(before, folder)
        for left in (part, before):
            if left.exists():
                shutil.rmtree(left)


def _beside(folder: Path) -> tuple[Path, Path]:
    """Return the names of a bag while it is written, and of the one that it replaces."""
    return folder.with_name(f".{folder.name}.part"), folder.with_name(f".{folder.name}.before")


def _fill(part: Path, files: Mapping[Path, str | None], info: Mapping[str, str], style: BagStyle) -> None:
    (part / "data").mkdir()
    lines: dict[str, list[str]] = {algorithm: [] for algorithm in style.algorithms}
    total = 0
    for file, known in sorted(files.items(), key=lambda item: item[0].name):
        inside = part / "data" / file.name
        _link_or_copy(file, inside)
        total += inside.stat().st_size
        if style.version != "0.97" and "%" in file.name:
            raise OutputError(f"{file}: tools disagree on a % in a package of BagIt {style.version}; rename the reel")
        for algorithm, digest in _digests(inside, style, known).items():
            lines[algorithm].append(f"{digest}  data/{_encoded(file.name)}\n")
    tags = {
        **info,
        "Bagging-Date": datetime.now(UTC).date().isoformat(),
        "Payload-Oxum": f"{total}.{len(files)}",
        "Bag-Software-Agent": f"videocolor {__version__}",
    }
    texts = {
        "bagit.txt": _DECLARATION.format(style.version),
        "bag-info.txt": "".join(_info_lines(tags)),
        **{f"manifest-{algorithm}.txt": "".join(entries) for algorithm, entries in lines.items()},
    }
    texts |= {f"tagmanifest-{algorithm}.txt": _tag_manifest(texts, algorithm) for algorithm in style.algorithms}
    for name, text in texts.items():
        with (part / name).open("w", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
    sync_folder(part / "data")
    sync_folder(part)


def _info_lines(info: Mapping[str, str]) -> list[str]:
    return [f"{name}: {' '.join(str(value).split())}\n" for name, value in info.items()]


def has_info(folder: Path, info: Mapping[str, str]) -> bool:
    """Return whether the bag-info.txt of a bag has these lines; False, too, where it cannot be read."""
    try:
        lines = (folder / "bag-info.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError):
        return False
    return set(_info_lines(info)) <= set(lines)


def _tag_manifest(texts: Mapping[str, str], algorithm: str) -> str:
    digests = {name: hashlib.new(algorithm, text.encode()).hexdigest() for name, text in texts.items()}
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items())


def _digests(file: Path, style: BagStyle, sha256: str | None) -> dict[str, str]:
    if style.algorithms == ("sha256",) and sha256:
        return {"sha256": sha256}
    with file.open("rb") as data:
        return file_digests(data, style.algorithms)


def _link_or_copy(file: Path, inside: Path) -> None:
    if not file.is_file():
        raise InputError(f"{file}: is missing, so it cannot be packaged")
    try:
        os.link(file, inside)
    except OSError:  # another disk, or a file system without hard links
        shutil.copy2(file, inside)
        with inside.open("rb") as copied:
            os.fsync(copied.fileno())


def _encoded(name: str) -> str:
    """Encode a name for manifests, which can hold only Unicode."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise OutputError(f"{name!r}: the name is not Unicode, as a package needs it; rename it") from error
    return name.replace("\r", "%0D").replace("\n", "%0A")


def bag_problems(folder: Path) -> list[str]:
    """Return what is wrong with a bag; empty: it is complete and no byte has changed.

    Raises:
        UsageError: `bagit` is not installed.
    """
    try:
        import bagit
    except ModuleNotFoundError as error:
        raise UsageError("packages need bagit: pip install 'videocolor[archive]'") from error
    _keep_quiet()
    try:
        bagit.Bag(str(folder)).validate(processes=1)
    except bagit.BagValidationError as error:
        return [_short(detail, folder) for detail in error.details] or [_short(error, folder)]
    except (bagit.BagError, OSError, UnicodeDecodeError) as error:
        return [_short(error, folder)]
    return []


def _short(what: object, folder: Path) -> str:
    return re.sub(r"\s+", " ", str(what)).replace(f"{folder}/", "").strip()


def _keep_quiet() -> None:
    """Silence the library's log: it logs each problem that it raises."""
    logger = logging.getLogger("bagit")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.propagate = False
