"""What each render was requested with, one small file each, to find the shots that a later change concerns.

PROJECT/renders/.requests/ID.json               ID: the batch's hash of the film's settings (`settings_id`)
PROJECT/renders/.requests/shots-ID.yaml         the cuts at that time; the project's own list may change meanwhile
PROJECT/renders/.requests/receipts/FILM.json    receipt of a finished film; the batch deletes its own at the next start
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from videocolor.batch.receipts import Receipt, read_receipt
from videocolor.config import ColorizeConfig
from videocolor.errors import ConfigError
from videocolor.files import disk_errors, write_atomically
from videocolor.fingerprint import assigned_in, digest, settings_of
from videocolor.studio.projectdata import State, read_json
from videocolor.studio.projectfolder import OpenProject, assigned_hints
from videocolor.version import __version__

__all__ = ["AskedShot", "Change", "Request", "changed_shots", "request_of", "requested_images", "requests_folder"]

_KEPT: Final = 8
"""Requests that are kept beside that of the finished film."""


@dataclass(frozen=True)
class AskedShot:
    """What a shot's colors depend on, beside film and settings."""

    start: int
    end: int
    """Exclusive."""
    hints: tuple[str, ...]
    """Picture of each hint, with the frame of this shot that it was painted on."""
    saturation: float


@dataclass(frozen=True)
class Request:
    """A requested render."""

    id: str
    """The batch's hash of its settings; empty: not requested yet."""
    number: int
    """Increasing."""
    revision: int
    """Of the project."""
    name: str
    """Of the film in the batch."""
    target: str
    """Name of the film in renders/."""
    mode: str
    """`whole`, or `shots`: some shots of a finished film are colored again."""
    whole: str
    """Hash of all that concerns every shot."""
    shots: tuple[AskedShot, ...]
    """Empty: the film had not been scanned yet."""
    images: tuple[str, ...]
    """Files in hints/."""

    def write(self, renders: Path) -> None:
        """Write the request.

        Raises:
            OutputError: it cannot be written.
        """
        folder = requests_folder(renders)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / f"{self.id}.json", json.dumps(asdict(self), ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, renders: Path, request_id: str) -> Request | None:
        """Read a request by its id; None: missing or unreadable."""
        try:
            data = read_json(requests_folder(renders) / f"{request_id}.json")
            shots = tuple(AskedShot(s["start"], s["end"], tuple(s["hints"]), s["saturation"]) for s in data["shots"])
            return cls(**{**data, "shots": shots, "images": tuple(data["images"])})
        except (ConfigError, KeyError, TypeError):
            return None


@dataclass(frozen=True)
class Change:
    """The difference of two requests; present numbers of shots, from 0."""

    shots: tuple[int, ...]
    """Shots that would change."""
    reused: tuple[int, ...]
    """Those among them whose colors other shots may reuse."""
    everything: bool
    """The change concerns every shot."""


def requests_folder(renders: Path) -> Path:
    """Return the folder of the requests."""
    return renders / ".requests"


def latest_request(renders: Path) -> Request | None:
    """Return the latest request; None: there is none."""
    return max(_requests(renders), key=lambda request: request.number, default=None)


def forget_requests(renders: Path, kept: Collection[str]) -> None:
    """Delete old requests, except those whose ids are in `kept`."""
    for request in sorted(_requests(renders), key=lambda request: request.number)[:-_KEPT]:
        if request.id not in kept:
            (requests_folder(renders) / f"{request.id}.json").unlink(missing_ok=True)


def requested_images(renders: Path) -> set[str]:
    """Return the names of the hint pictures of all requests, those of other forms of the film, too."""
    folders = [renders, *(path.parent for path in renders.glob("*/.requests"))]
    return {image for folder in folders for request in _requests(folder) for image in request.images}


def _requests(renders: Path) -> list[Request]:
    paths = requests_folder(renders).glob("*.json")
    return [request for path in paths if (request := Request.read(renders, path.stem))]


def keep_receipt(renders: Path, name: str) -> None:
    """Keep the batch's receipt of a film; the batch deletes it at the next start, before the film is replaced.

    Raises:
        OutputError: it cannot be written.
    """
    receipt = read_receipt(renders, name)
    if receipt is None:
        return
    path = _kept_receipt(renders, Path(receipt.target))
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(asdict(receipt), ensure_ascii=False) + "\n")


def receipt_of(renders: Path, name: str, target: Path) -> Receipt | None:
    """Return the receipt of a finished film: the batch's, else the one that was kept."""
    try:
        found = target.stat()
    except OSError:
        return None
    receipt = read_receipt(renders, name)
    # Only names are compared: the path changes when the project moves.
    if receipt is not None and (Path(receipt.target).name, receipt.target_bytes) == (target.name, found.st_size):
        return receipt
    try:
        kept = Receipt.from_dict(read_json(_kept_receipt(renders, target)))
    except (ConfigError, KeyError, TypeError, ValueError):
        return None
    # A render killed just after its end has left another film, perhaps of equal size.
    return kept if (kept.target_bytes, kept.target_mtime_ns) == (found.st_size, found.st_mtime_ns) else None


def _kept_receipt(renders: Path, target: Path) -> Path:
    return requests_folder(renders) / "receipts" / f"{target.name}.json"


def frozen_list(renders: Path, state: State) -> Path | None:
    """Write a list of the present shots that no later edit changes; None while they are not known.

    Raises:
        OutputError: it cannot be written.
    """
    if state.cuts is None:
        return None
    text = "shots:\n" + "".join(f"- {{frame: {start}}}\n" for start in state.cuts)
    path = requests_folder(renders) / f"shots-{hashlib.sha256(text.encode()).hexdigest()[:16]}.yaml"
    if not path.exists():
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    return path


def request_of(project: OpenProject) -> Request:
    """Return the request of the present project; `id`, `number`, `name` and `mode` are empty."""
    state, data = project.state, project.state.data
    assigned = assigned_hints(project.folder, state)
    default = data.settings.get("chroma.saturation", 1.0)
    shots = []
    cuts = state.cuts or ()
    for start, end in zip(cuts, [*cuts[1:], data.frames or 0], strict=False):
        mine = data.shots[start].saturation if start in data.shots else None
        hints = [name if frame is None else f"{name} {frame}" for name, frame in assigned_in(assigned, start, end)]
        shots.append(AskedShot(start, end, tuple(hints), _number(default if mine is None else mine)))
    images = tuple(Path(hint.image).name for hint in assigned)
    return Request("", 0, data.revision, "", data.target, "", _whole(project), tuple(shots), images)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 1.0


def _whole(project: OpenProject) -> str:
    data = project.state.data
    facts = settings_of(ColorizeConfig.load(None, (), data.settings), "color", "encoding")
    files = [Path(str(data.settings.get(key, ""))) for key in ("model.name", "model.automatic")]
    if weights := [[path.stat().st_size, path.stat().st_mtime_ns] for path in files if path.is_file()]:
        facts["weights"] = weights
    return digest(__version__, data.film.bytes, data.film.ends, data.target, facts)


def changed_shots(now: Request, then: Request, returns: Mapping[int, int]) -> Change:
    """Find the shots that would differ from the rendered film.

    Recurring shots are taken from the film's record; they may differ after hints were added or removed, which only the
    render finds out.

    Args:
        now: the present request.
        then: the request of the film.
        returns: first frame of a recurring shot of that film -> first frame of its reference shot.
    """
    everything = tuple(range(len(now.shots)))
    if now.whole != then.whole or not now.shots or not then.shots:
        return Change(everything, everything, True)
    before = {shot.start: shot for shot in then.shots}
    lend = set(before) - {shot.start for shot in now.shots}  # reference shots whose colors have changed
    changed: set[int] = set()
    for number, shot in enumerate(now.shots):
        was = before.get(shot.start)
        if was is None or (was.end, was.hints) != (shot.end, shot.hints):
            lend.add(shot.start)
            changed.add(number)
        elif was.saturation != shot.saturation:
            changed.add(number)
    reused = tuple(number for number, shot in enumerate(now.shots) if shot.start in lend)
    for number, shot in enumerate(now.shots):
        if not shot.hints and returns.get(shot.start) in lend:
            changed.add(number)
    return Change(tuple(sorted(changed)), reused, len(changed) == len(now.shots))


def returns_of(shots: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Map first frames of recurring shots to those of their reference shots, from a film's record."""
    starts = {shot["index"]: shot["start"] for shot in shots}
    return {shot["start"]: starts[shot["reuses"]] for shot in shots if shot.get("reuses") in starts}


def numbered(request: Request, before: Request | None, **values: Any) -> Request:
    """Return the request with the next number."""
    return replace(request, number=1 if before is None else before.number + 1, **values)
