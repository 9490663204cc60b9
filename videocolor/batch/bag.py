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

from videocolor.batch.qc import check_tools
from videocolor.batch.settings import ArchiveSettings
from videocolor.errors import InputError, OutputError, UsageError
from videocolor.files import disk_errors, file_sha256
from videocolor.version import __version__
from videocolor.video import sync_folder

__all__ = ["bag_problems", "check_archive", "has_info", "settle_bag", "write_bag"]

_DECLARATION: Final = "BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n"


def check_archive(settings: ArchiveSettings) -> None:
    """Check before a batch that what is asked for can be made here.

    Raises:
        UsageError: the extra `archive`, or another tool, is not installed.
    """
    check_tools(settings)
    if settings.bag and importlib.util.find_spec("bagit") is None:
        raise UsageError("archive.bag needs bagit: pip install 'videocolor[archive]'")


def write_bag(
    folder: Path, files: Mapping[Path, str | None], info: Mapping[str, str], *, replace: bool = False
) -> Path:
    """Package files; the bag is written beside its place, checked, and renamed.

    Payload files are hard links of the originals if the disk supports them, else copies: an original that is changed
    in place later breaks the bag, which `bag_problems` finds.

    Args:
        folder: the bag.
        files: file to its sha256, or None if unknown; names must differ.
        info: lines of bag-info.txt; Bagging-Date, Payload-Oxum and Bag-Software-Agent are added.
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
            _fill(part, files, info)
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


def _fill(part: Path, files: Mapping[Path, str | None], info: Mapping[str, str]) -> None:
    (part / "data").mkdir()
    lines, total = [], 0
    for file, known in sorted(files.items(), key=lambda item: item[0].name):
        inside = part / "data" / file.name
        _link_or_copy(file, inside)
        total += inside.stat().st_size
        lines.append(f"{known or file_sha256(inside)}  data/{_encoded(file.name)}\n")
    tags = {
        **info,
        "Bagging-Date": datetime.now(UTC).date().isoformat(),
        "Payload-Oxum": f"{total}.{len(files)}",
        "Bag-Software-Agent": f"videocolor {__version__}",
    }
    texts = {
        "bagit.txt": _DECLARATION,
        "bag-info.txt": "".join(_info_lines(tags)),
        "manifest-sha256.txt": "".join(lines),
    }
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    texts["tagmanifest-sha256.txt"] = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
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
