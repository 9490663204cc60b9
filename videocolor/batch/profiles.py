"""BagIt profiles (bagit-profiles 1.3, a JSON file): what an archive asks of a package; and packages as tar files."""

from __future__ import annotations

import glob
import json
import os
import tarfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from videocolor.batch.settings import ArchiveSettings
from videocolor.errors import OutputError, UsageError
from videocolor.files import disk_errors, file_digests, part_name

__all__ = ["BagStyle", "bag_style", "missing_facts", "write_tar"]

_VERSIONS: Final = ("0.97", "1.0")
"""What we write, the most readable first."""
_MADE: Final = {
    "bagging-date",
    "payload-oxum",
    "bag-software-agent",
    "external-description",
    "bagit-profile-identifier",
}
"""Lines of bag-info.txt that every package of ours has."""
_TAGS: Final = {"bagit.txt", "bag-info.txt"}


@dataclass(frozen=True)
class BagStyle:
    """How packages are written."""

    algorithms: tuple[str, ...] = ("sha256",)
    """Of the manifests."""
    version: str = "0.97"
    """Of BagIt."""
    profile: str | None = None
    """Its identifier."""
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the profile says of the lines of bag-info.txt."""


def bag_style(settings: ArchiveSettings) -> BagStyle:
    """Return how packages are to be written.

    Raises:
        UsageError: the profile cannot be read, or asks for what is not made here or not asked for.
    """
    algorithms: tuple[str, ...] = tuple(dict.fromkeys(settings.bag_algorithms))
    if settings.bag_profile is None:
        return BagStyle(algorithms)
    path = Path(settings.bag_profile)
    data = _profile(path)

    def words(key: str) -> tuple[str, ...]:
        return tuple(str(word) for word in data.get(key) or ())

    required = [name.lower() for name in (*words("Manifests-Required"), *words("Tag-Manifests-Required"))]
    algorithms = tuple(dict.fromkeys((*required, *(algorithms if not required else ()))))
    allowed = [name.lower() for name in words("Manifests-Allowed")] or algorithms
    version = next((v for v in _VERSIONS if v in (words("Accept-BagIt-Version") or _VERSIONS)), None)
    tar = {"required": True, "forbidden": False}.get(str(data.get("Serialization")), settings.bag_tar)
    known, tags = {"md5", "sha1", "sha256", "sha512"}, set(words("Tag-Files-Required"))
    problems = {
        f"manifests of {', '.join(algorithms)} are not all among {', '.join(sorted(known))}": set(algorithms) <= known,
        f"it allows only {', '.join(allowed)}": set(algorithms) <= set(allowed),
        f"it accepts no BagIt {' or '.join(_VERSIONS)}": version is not None,
        f"it asks for the files {', '.join(tags)}": tags <= _TAGS,
        f"its Serialization asks for archive.bag_tar={str(tar).lower()}": tar == settings.bag_tar,
    }
    for problem, well in problems.items():
        if not well:
            raise UsageError(f"archive.bag_profile {path}: {problem}")
    name = str(data["BagIt-Profile-Info"]["BagIt-Profile-Identifier"])
    return BagStyle(algorithms, str(version), name, data.get("Bag-Info") or {})


def _profile(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not data["BagIt-Profile-Info"]["BagIt-Profile-Identifier"]:
            raise ValueError("BagIt-Profile-Identifier is empty")
    except OSError as error:
        raise UsageError(f"archive.bag_profile {path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"archive.bag_profile {path}: is no BagIt profile ({error!r})") from error
    return dict(data)


def missing_facts(style: BagStyle, info: Mapping[str, str], more: Collection[str] = ()) -> list[str]:
    """Return what a profile asks of bag-info.txt that these lines do not have.

    Args:
        style: with the profile.
        info: label to text.
        more: labels that are known to follow.
    """
    found = {label.lower(): text for label, text in info.items()}
    later = _MADE | {label.lower() for label in more}
    problems = []
    for label, asked in style.facts.items():
        text = found.get(label.lower())
        if text is None and asked.get("required") and label.lower() not in later:
            problems.append(f"{label} is required")
        if text is not None and asked.get("values") and text not in asked["values"]:
            problems.append(f"{label} must be {' or '.join(map(str, asked['values']))}, not {text}")
    return problems


def write_tar(bag: Path) -> Path:
    """Write `OUTPUT.bag.tar` beside a bag, with the bag's folder in it, and read it back.

    Raises:
        OutputError: it cannot be written, or was damaged when it was read back.
    """
    path = bag.with_name(f"{bag.name}.tar")
    part = part_name(path)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part{path.suffix}"):  # of a run that was killed
        left.unlink(missing_ok=True)
    names = sorted(file.relative_to(bag.parent).as_posix() for file in bag.rglob("*") if file.is_file())
    try:
        with disk_errors(path), part.open("wb") as out:
            with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for name in names:
                    tar.add(bag.parent / name, name, recursive=False, filter=_anonymous)
            out.flush()
            os.fsync(out.fileno())
        with disk_errors(path), tarfile.open(part) as tar:
            for name in names:
                inside = tar.extractfile(name)
                if inside is None or file_digests(inside, ("sha256",)) != _digests(bag.parent / name):
                    raise OutputError(f"{path}: {name} was written and is damaged")
        with disk_errors(path):
            part.replace(path)
    except tarfile.TarError as error:
        raise OutputError(f"{path}: was written and is damaged: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _digests(path: Path) -> dict[str, str]:
    with path.open("rb") as data:
        return file_digests(data, ("sha256",))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who has made a file here: hard links become files of their own."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
