"""What was asked for when a film was rendered, a small file each: which shots a later change concerns follows from it.

PROJECT/renders/.requests/ID.json           ID: the batch's hash of the film's settings (`settings_id`)
PROJECT/renders/.requests/shots-ID.yaml     where shots began then; the project's own list may change meanwhile
PROJECT/renders/.requests/receipts/FILM.json    receipt of a finished film: the batch drops its own when another begins
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from videocolor.batch.state import Receipt, read_receipt
from videocolor.errors import ConfigError, HintError
from videocolor.files import disk_errors, write_atomically
from videocolor.studio.history import read_json
from videocolor.studio.projectdata import State
from videocolor.studio.projectfolder import HINTS, OpenProject
from videocolor.version import __version__

__all__ = ["AskedShot", "Change", "Request", "changed_shots", "request_of", "requested_images", "requests_folder"]

_KEPT: Final = 8
"""Requests that are kept beside the one that the finished film was made for."""
_NO_SAMPLES: Final = (
    *("output.overwrite", "output.sidecar", "output.report", "output.resume", "output.keep_shards"),
    *("model.device", "model.threads", "shots.shard", "shots.max_shard", "shots.detector"),
    *("hints.min_similarity", "chroma.saturation"),
)
"""Settings that change no sample of a shot whose frames and hints are given; saturation is compared shot by shot."""


@dataclass(frozen=True)
class AskedShot:
    """What a shot's colours followed from, beside the film and its settings."""

    start: int
    end: int
    """Behind its last frame."""
    hints: tuple[str, ...]
    """Picture of each hint, with the frame that it is in this shot."""
    saturation: float


@dataclass(frozen=True)
class Request:
    """A film that was to be rendered."""

    id: str
    """Of its settings, as the batch knows them; empty: not asked for yet."""
    number: int
    """Counts up."""
    revision: int
    """Of the project."""
    name: str
    """Of the film in the batch."""
    target: str
    """Name of the film in renders/."""
    mode: str
    """`whole`, or `shots`: some of a finished film are coloured again."""
    whole: str
    """Hash of what all shots have in common."""
    shots: tuple[AskedShot, ...]
    """Empty: nobody had looked through the film yet."""
    images: tuple[str, ...]
    """Pictures of hints in hints/."""

    def write(self, renders: Path) -> None:
        """Keep it; the oldest ones are forgotten.

        Raises:
            OutputError: it cannot be written.
        """
        folder = requests_folder(renders)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / f"{self.id}.json", json.dumps(asdict(self), ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, renders: Path, request_id: str) -> Request | None:
        """A request by its id; None where there is none that can be read."""
        try:
            data = read_json(requests_folder(renders) / f"{request_id}.json")
            shots = tuple(AskedShot(s["start"], s["end"], tuple(s["hints"]), s["saturation"]) for s in data["shots"])
            return cls(**{**data, "shots": shots, "images": tuple(data["images"])})
        except (ConfigError, KeyError, TypeError):
            return None


@dataclass(frozen=True)
class Change:
    """What differs between two requests; numbers of shots from 0, as they are now."""

    shots: tuple[int, ...]
    """Whose picture would be another one."""
    lenders: tuple[int, ...]
    """Those among them whose colours others may take up."""
    everything: bool
    """Something has changed that all shots have in common."""


def requests_folder(renders: Path) -> Path:
    """Where requests lie."""
    return renders / ".requests"


def latest_request(renders: Path) -> Request | None:
    """The last one."""
    found = [
        request for path in requests_folder(renders).glob("*.json") if (request := Request.read(renders, path.stem))
    ]
    return max(found, key=lambda request: request.number, default=None)


def forget_requests(renders: Path, kept: Collection[str]) -> None:
    """Forget old requests, but for those of these ids."""
    found = [
        request for path in requests_folder(renders).glob("*.json") if (request := Request.read(renders, path.stem))
    ]
    for request in sorted(found, key=lambda request: request.number)[:-_KEPT]:
        if request.id not in kept:
            (requests_folder(renders) / f"{request.id}.json").unlink(missing_ok=True)


def requested_images(renders: Path) -> set[str]:
    """Names of the pictures of hints that films were rendered with, or are being."""
    found: set[str] = set()
    for path in requests_folder(renders).glob("*.json"):
        request = Request.read(renders, path.stem)
        found |= set() if request is None else set(request.images)
    return found


def keep_receipt(renders: Path, name: str) -> None:
    """Keep the batch's receipt of a film: it drops it when the film is begun anew, though the film stands until the new
    one is whole.

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
    """The receipt of the finished film that stands under a name: the batch's, else the one that was kept."""
    try:
        found = target.stat()
    except OSError:
        return None
    receipt = read_receipt(renders, name)
    # Names alone are compared: the whole path is another one after a move.
    if receipt is not None and (Path(receipt.target).name, receipt.target_bytes) == (target.name, found.st_size):
        return receipt
    try:
        kept = Receipt.from_dict(read_json(_kept_receipt(renders, target)))
    except (ConfigError, KeyError, TypeError):
        return None
    # A render that was killed just behind its end has put another film there, perhaps of as many bytes.
    return kept if (kept.target_bytes, kept.target_mtime_ns) == (found.st_size, found.st_mtime_ns) else None


def _kept_receipt(renders: Path, target: Path) -> Path:
    return requests_folder(renders) / "receipts" / f"{target.name}.json"


def frozen_list(renders: Path, state: State) -> Path | None:
    """A list of the shots as they are now, which no later edit touches; None while they are not known.

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
    """What a render of the project as it is now would be asked for; `id`, `number`, `name` and `mode` are left open."""
    state, data = project.state, project.state.data
    hints = [hint for hint in data.hints if hint.enabled and (hint.shots or hint.frame is not None)]
    usual = data.settings.get("chroma.saturation", 1.0)
    told: dict[int, list[str]] = {}
    for hint in hints:
        frame = hint.frame if hint.kind in ("painted", "points") else None
        own = None if frame is None else state.shot_of(frame)
        for start in hint.shots:
            told.setdefault(start, []).append(f"{hint.image} {frame}" if start == own else hint.image)
    shots = []
    cuts = state.cuts or ()
    for start, end in zip(cuts, [*cuts[1:], data.frames or 0], strict=False):
        mine = data.shots[start].saturation if start in data.shots else None
        shots.append(AskedShot(start, end, tuple(told.get(start, ())), _number(usual if mine is None else mine)))
    images = tuple(hint.image for hint in hints)
    return Request("", 0, data.revision, "", data.target, "", _whole(project), tuple(shots), images)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 1.0


def _whole(project: OpenProject) -> str:
    data = project.state.data
    painted = any(
        hint.enabled and hint.kind == "painted" and _covers_all(project.folder / HINTS / hint.image)
        for hint in data.hints
    )
    facts: dict[str, Any] = {key: value for key, value in data.settings.items() if key not in _NO_SAMPLES}
    weights = Path(str(data.settings.get("model.name", "")))
    if weights.is_file():
        facts["weights"] = [weights.stat().st_size, weights.stat().st_mtime_ns]
    # The network sees a larger picture wherever some frame of the film is painted.
    whole = [__version__, data.film.bytes, data.film.ends, data.target, painted, facts]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=4096)
def _covers_all(image: Path) -> bool:
    """Whether a picture is painted everywhere; names of pictures change with their contents."""
    from videocolor.hints.plan import load_hint

    try:
        return load_hint(None, image).mask is None
    except HintError:
        return True  # whoever renders will say what is wrong with it


def changed_shots(now: Request, then: Request, returns: Mapping[int, int]) -> Change:
    """Which shots would get another picture than the film that was rendered has.

    Shots that borrow colours are found as far as the rendered film's record tells; which shot returns to which may be
    another question after hints have come or gone, and only who looks at the film can answer it.

    Args:
        now: what would be asked for.
        then: what the film was made for.
        returns: first frame of a shot of that film -> first frame of the shot that lent it its colours.
    """
    everything = tuple(range(len(now.shots)))
    if now.whole != then.whole or not now.shots or not then.shots:
        return Change(everything, everything, True)
    before = {shot.start: shot for shot in then.shots}
    lend = set(before) - {shot.start for shot in now.shots}
    """First frames of shots that lend other colours than before, or none."""
    changed: set[int] = set()
    for number, shot in enumerate(now.shots):
        was = before.get(shot.start)
        if was is None or (was.end, was.hints) != (shot.end, shot.hints):
            lend.add(shot.start)
            changed.add(number)
        elif was.saturation != shot.saturation:
            changed.add(number)
    lenders = tuple(number for number, shot in enumerate(now.shots) if shot.start in lend)
    for number, shot in enumerate(now.shots):
        if not shot.hints and returns.get(shot.start) in lend:
            changed.add(number)
    return Change(tuple(sorted(changed)), lenders, len(changed) == len(now.shots))


def returns_of(shots: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """First frames of shots that borrowed colours -> of those that lent them, from a film's record."""
    starts = {shot["index"]: shot["start"] for shot in shots}
    return {shot["start"]: starts[shot["reuses"]] for shot in shots if shot.get("reuses") in starts}


def numbered(request: Request, before: Request | None, **values: Any) -> Request:
    """The request that comes after another one."""
    return replace(request, number=1 if before is None else before.number + 1, **values)
