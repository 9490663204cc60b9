"""Read the folder of a project: for the studio, and for `videocolor colorize --project`, which changes nothing.

PROJECT/project.json     film, settings, hints, settings of shots
PROJECT/shots.yaml       where shots begin, as `videocolor shots` writes it; edits by hand win
PROJECT/hints/           the pictures of hints
PROJECT/history/         earlier states
PROJECT/renders/         rendered films
PROJECT/cache/           may be deleted
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from videocolor.batch.lock import lock_holder
from videocolor.batch.state import state_folder
from videocolor.config import AssignedHint, ColorizeConfig
from videocolor.errors import ConfigError, InputError, OutputError, UsageError
from videocolor.files import disk_errors
from videocolor.shots.shotlist import ListedShot, read_shots
from videocolor.studio.edits import consistent, recut, set_shot
from videocolor.studio.filmref import find_film
from videocolor.studio.projectdata import (
    HINT_SUFFIXES,
    ProjectData,
    ProjectHint,
    State,
    checked_settings,
    explain,
    read_json,
)

__all__ = [
    "CACHE",
    "HINTS",
    "HISTORY",
    "LOCK",
    "PROJECT",
    "RENDERS",
    "SHOTS",
    "OpenProject",
    "check_new",
    "check_not_rendering",
    "default_folder",
    "hint_path",
    "image_name",
    "listed_in",
    "load_state",
    "make_folders",
    "project_config",
    "project_settings",
    "read_project",
    "shots_digest",
    "sweep_broken_off",
    "take_list",
    "target_name",
]

PROJECT: Final = "project.json"
SHOTS: Final = "shots.yaml"
HINTS: Final = "hints"
HISTORY: Final = "history"
RENDERS: Final = "renders"
CACHE: Final = "cache"
LOCK: Final = ".studio"
_ELSEWHERE: Final = "--project DIR keeps the project elsewhere"
_KNOWN: Final = frozenset({PROJECT, SHOTS, HINTS, HISTORY, RENDERS, CACHE, LOCK})

_OURS: Final = (
    *(r"project\.json", r"shots\.yaml", r"\d{6,}\.json", r"h\d{4,6}-[0-9a-f]{12}\.(png|jpg)"),
    *(r"scan-[0-9a-f]{24}\.npz", r"report\.html"),
)
_BROKEN: Final = re.compile(rf"\.({'|'.join(_OURS)})\.[a-z0-9_]{{8}}|\.comparison\.mp4\.\d+\.part\.mp4")
"""Temporary files of a studio that was killed while it wrote."""


@dataclass(frozen=True)
class OpenProject:
    """A project read from its folder."""

    folder: Path
    film: Path
    state: State
    form: str = ""
    """Folder of renders/ for a form of the film beside the project's own."""

    @property
    def target(self) -> Path:
        """Path of the studio's rendered film."""
        return self.folder / RENDERS / self.form / self.state.data.target

    def settings(self) -> dict[str, Any]:
        """Return what the project sets; see `project_settings`."""
        return project_settings(self.folder, self.state)

    def config(self) -> ColorizeConfig:
        """Return the project's configuration; see `project_config`."""
        return project_config(self.folder, self.state)


def default_folder(film: Path) -> Path:
    """Return the default folder of a film's project: `FILM.videocolor-project` beside it."""
    film = film.absolute()
    return film.with_name(film.name + ".videocolor-project")


def target_name(film: Path) -> str:
    """Return the default name of the rendered film: `FILM_colorized.mkv`."""
    stem = re.sub(r"[/\\\x00-\x1f]", "_", film.stem)
    stem = re.sub(r"^[.\s]+", "", stem) or "film"  # a job file's texts are read without blanks around them
    while len(stem.encode()) > 150:
        stem = stem[:-1]
    return f"{stem}_colorized.mkv"


def check_new(folder: Path) -> None:
    """Check that a project can be made here.

    Raises:
        UsageError: the folder holds a project or other files; OutputError: it is no folder.
    """
    if (folder / PROJECT).exists():
        raise UsageError(f"{folder}: holds a project already")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is not a folder; {_ELSEWHERE}")
    strange = sorted(path.name for path in folder.iterdir() if not _is_known(path.name)) if folder.exists() else []
    if strange:
        raise UsageError(f"{folder}: holds other files ({', '.join(strange[:3])}); a project needs its own folder")


def _is_known(name: str) -> bool:
    return name in _KNOWN or _BROKEN.fullmatch(name) is not None


def sweep_broken_off(folder: Path) -> None:
    """Delete temporary files of killed studios; call only while holding the project's lock."""
    for place in (folder, *(folder / name for name in (HINTS, HISTORY, CACHE, RENDERS))):
        with suppress(OSError):  # harmless
            for path in [path for path in place.iterdir() if _BROKEN.fullmatch(path.name)]:
                path.unlink()


def make_folders(folder: Path) -> None:
    """Make a project's folders.

    Raises:
        OutputError: they cannot be made.
    """
    try:
        for name in (HINTS, HISTORY, RENDERS, CACHE):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror or error}); {_ELSEWHERE}") from error


def read_project(folder: Path) -> OpenProject:
    """Read a project without changing it.

    Raises:
        InputError: there is none in the folder, or its film is missing or has changed.
        ConfigError: project.json or shots.yaml cannot be used; names the file.
    """
    folder = folder.absolute()
    state, _ = load_state(folder)
    return OpenProject(folder, find_film(state.data.film, folder), state)


def check_not_rendering(project: OpenProject) -> None:
    """Check that the studio is not writing the project's own film.

    Raises:
        UsageError: it is; names the process.
    """
    with disk_errors(project.target):
        project.target.parent.mkdir(exist_ok=True)
    holder = lock_holder(state_folder(project.target.parent))
    if holder is not None:
        raise UsageError(f"{project.target}: is being rendered by {holder}; wait, or name another OUTPUT")


def load_state(folder: Path) -> tuple[State, bool]:
    """Read the state, and whether a person has edited shots.yaml.

    Raises:
        InputError: there is no project; ConfigError: a file of it cannot be used.
    """
    path = folder / PROJECT
    if not path.is_file():
        raise InputError(f"{folder}: holds no project (no {PROJECT}); `videocolor studio FILM --project DIR` makes one")
    values = read_json(path)
    version = values.get("videocolor_project") if isinstance(values, dict) else None
    if isinstance(version, int) and version > 1:
        raise ConfigError(f"{path}: was written by a newer videocolor (format {version}); update this one")
    try:
        data = ProjectData.model_validate(values)
        checked_settings(data.settings)
    except ValidationError as error:
        raise ConfigError(f"{path}: cannot be used: {explain(error)}; earlier states are in {HISTORY}/") from error
    except UsageError as error:
        raise ConfigError(f"{path}: cannot be used: {error}") from error
    digest = shots_digest(folder)
    if not digest:
        return consistent(State(data)), False
    if digest != data.shots_sha256:
        return take_list(State(data, _cuts_before(folder, data)), folder), True
    starts = tuple(shot.start for shot in _listed(folder / SHOTS, digest, data.frames))
    return consistent(State(data, starts)), False


def take_list(state: State, folder: Path) -> State:
    """Return the state with the shots and notes of the edited shots.yaml.

    Raises:
        ConfigError: the list cannot be used; names the line.
    """
    listed = _listed(folder / SHOTS, shots_digest(folder), state.data.frames)
    state = recut(state, [shot.start for shot in listed])
    for shot in listed:
        note = (shot.note or "")[:2000]
        if note != state.notes.get(shot.start, ""):
            state = set_shot(state, shot.start, note=note)
    return state


def _cuts_before(folder: Path, data: ProjectData) -> tuple[int, ...] | None:
    """Return where shots began before a person edited the list; None: unknown."""
    path = folder / HISTORY / f"{data.position:06d}.json"
    try:
        cuts = read_json(path).get("cuts")
        return None if cuts is None else tuple(int(start) for start in cuts)
    except (ConfigError, AttributeError, TypeError, ValueError):
        return None  # no history: settings stay with their frames


def image_name(hint_id: str, data: bytes, suffix: str) -> str:
    """Return the file name of a hint's picture, from its id and bytes.

    Raises:
        UsageError: not an id, or not a suffix of hints.
    """
    if re.fullmatch(r"h\d{4,6}", hint_id) is None or suffix not in HINT_SUFFIXES:
        raise UsageError(f"{hint_id}{suffix}: expected an id such as h0001 and {' or '.join(HINT_SUFFIXES)}")
    return f"{hint_id}-{hashlib.sha256(data).hexdigest()[:12]}{suffix}"


def hint_path(folder: Path, hint: ProjectHint) -> Path:
    """Return the path of a hint's picture.

    Raises:
        InputError: it is a link, which might lead out of the project.
    """
    path = folder / HINTS / hint.image
    if path.is_symlink() or path.parent.is_symlink():
        raise InputError(f"{path}: is a link; the pictures of a project must be in its own folder")
    return path


def listed_in(folder: Path, frames: int | None) -> tuple[tuple[int, ...], dict[int, str]] | None:
    """Read first frames and notes from shots.yaml; None: missing or unusable."""
    try:
        listed = _listed(folder / SHOTS, shots_digest(folder), frames)
    except (ConfigError, InputError):
        return None
    return tuple(shot.start for shot in listed), {shot.start: shot.note for shot in listed if shot.note}


@lru_cache(maxsize=4)
def _listed(path: Path, _digest: str, frames: int | None) -> tuple[ListedShot, ...]:
    """Read a list of shots, cached by digest: 2,000 shots take a second to parse."""
    return tuple(read_shots(path, frames=frames))


def shots_digest(folder: Path) -> str:
    """Return the sha256 of shots.yaml; empty: there is none.

    Raises:
        InputError: it cannot be read.
    """
    path = folder / SHOTS
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def project_settings(
    folder: Path, state: State, shots_file: Path | None = None, *, hints: bool = True
) -> dict[str, Any]:
    """Return what the project sets of `ColorizeConfig`: dotted key to plain value, absolute paths.

    Args:
        folder: of the project.
        state: its state.
        shots_file: list of the shots; None: the project's shots.yaml.
        hints: include the hints.

    Raises:
        InputError: the picture of a hint is missing.
    """
    data = state.data
    settings: dict[str, Any] = dict(data.settings)
    if state.cuts is not None:
        settings["shots.file"] = str(shots_file or folder / SHOTS)
    assigned = assigned_hints(folder, state) if hints else ()
    for hint in assigned:
        if not Path(hint.image).is_file():
            raise InputError(f"{hint.image}: the picture of a hint is missing; restore it, or remove the hint")
    if assigned:
        settings["hints.assigned"] = [hint.model_dump(mode="json") for hint in assigned]
    by_shot = [
        {"frame": start, "saturation": shot.saturation}
        for start, shot in sorted(data.shots.items())
        if shot.saturation is not None
    ]
    if by_shot:
        settings["chroma.by_shot"] = by_shot
    return settings


def assigned_hints(folder: Path, state: State) -> tuple[AssignedHint, ...]:
    """Return the enabled hints of a project as its configuration has them; their pictures may be missing."""
    found = []
    for hint in state.data.hints:
        frame = hint.frame if hint.kind in ("painted", "points") else None
        own = None if frame is None else state.shot_of(frame)
        further = tuple(start for start in hint.shots if start != own)
        if hint.enabled and (frame is not None or further):
            marks = tuple(point.as_mark() for point in hint.points)
            found.append(AssignedHint(image=str(hint_path(folder, hint)), frame=frame, shots=further, marks=marks))
    return tuple(found)


def project_config(folder: Path, state: State, *, hints: bool = True) -> ColorizeConfig:
    """Return the configuration of a project, for the studio and for `colorize --project`.

    Raises:
        InputError: the picture of a hint is missing; ConfigError: a setting cannot be used.
    """
    return ColorizeConfig.load(None, (), project_settings(folder, state, hints=hints))
