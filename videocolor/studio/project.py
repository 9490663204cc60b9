"""The project of a studio: one folder, one holder, every change saved, every earlier state kept.

What a person does is a pure function of `videocolor.studio.edits`; `ProjectStore.change` applies it to the state that
the person has seen, and to no other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from videocolor.batch.lock import DriverLock
from videocolor.config import ColorizeConfig
from videocolor.errors import UsageError
from videocolor.files import write_atomically
from videocolor.studio.edits import consistent, recut
from videocolor.studio.filmref import locate, refer_to
from videocolor.studio.history import History
from videocolor.studio.projectdata import (
    FilmRef,
    HintKind,
    Point,
    ProjectData,
    ProjectHint,
    ShotSettings,
    State,
    next_hint_id,
)
from videocolor.studio.projectfolder import (
    CACHE,
    HINTS,
    HISTORY,
    LOCK,
    PROJECT,
    RENDERS,
    SHOTS,
    OpenProject,
    check_new,
    default_folder,
    hint_path,
    image_name,
    listed_in,
    load_state,
    make_folders,
    project_config,
    read_project,
    sweep_broken_off,
    take_list,
    target_name,
)
from videocolor.studio.saving import save_state
from videocolor.studio.shotlist import FrameTimes

__all__ = [
    "FilmRef",
    "FrameTimes",
    "HintKind",
    "OpenProject",
    "Point",
    "ProjectData",
    "ProjectHint",
    "ProjectStore",
    "ShotSettings",
    "StaleRevisionError",
    "State",
    "default_folder",
    "next_hint_id",
    "read_project",
]


class StaleRevisionError(UsageError):
    """The project was changed by somebody else since it was looked at."""


class ProjectStore:
    """A project that is open: nobody else can open it; every method may be called from any thread.

    Made by `create`, `open` or `open_or_create`; a context manager that lets go of the folder.
    """

    def __init__(self, folder: Path, film: Path, state: State, lock: DriverLock) -> None:
        self.folder, self.film, self._state, self._folder_lock = folder, film, state, lock
        self._lock = threading.RLock()
        self._history = History(folder / HISTORY)
        self._index: FrameTimes | None = None
        self._listed: tuple[tuple[int, ...] | None, dict[int, str]] | None = listed_in(folder, state.data.frames)
        """Cuts and notes that stand in shots.yaml; None: not known."""
        self._callbacks: list[Callable[[int], None]] = []
        self._closed = False

    # ---- opening ------------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, folder: Path, film: Path) -> ProjectStore:
        """Make a project. A shots.yaml that lies in the folder already is taken over.

        Raises:
            UsageError: the folder holds a project or other files, or is held by somebody.
            InputError: the film cannot be read; OutputError: the folder cannot be written.
        """
        folder, film = folder.absolute(), film.absolute()
        check_new(folder)
        ref = refer_to(film, folder)
        make_folders(folder)
        state = State(ProjectData(film=ref, target=target_name(film)))
        if (folder / SHOTS).exists():
            state = take_list(state, folder)
        store = cls(folder, film, state, DriverLock(folder / LOCK))
        try:
            sweep_broken_off(folder)
            store._state = store._save(state)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def open(cls, folder: Path, film: Path | None = None) -> ProjectStore:
        """Open a project; a shots.yaml that a person has edited wins over what the project knew.

        Args:
            folder: of the project.
            film: where its film lies now; None: where the project remembers it.

        Raises:
            InputError: there is no project, or its film is missing or another one.
            UsageError: another studio has it open, it names its process; ConfigError: a file of it cannot be used.
        """
        folder = folder.absolute()
        if not (folder / PROJECT).is_file():
            load_state(folder)  # says what is wrong
        lock = DriverLock(folder / LOCK)
        try:
            state, edited = load_state(folder)
            film = locate(state.data.film, film, folder)
            ref = refer_to(film, folder)
            make_folders(folder)
            sweep_broken_off(folder)
            store = cls(folder, film, state, lock)
            if edited:
                store._state = store._next(replace(state, data=state.data.model_copy(update={"film": ref})))
            elif ref != state.data.film or state.data.position not in store._history:
                store._state = store._save(replace(state, data=state.data.model_copy(update={"film": ref})))
        except BaseException:
            lock.__exit__(None, None, None)
            raise
        return store

    @classmethod
    def open_or_create(cls, folder: Path | None, film: Path) -> ProjectStore:
        """The project of a film: opened where there is one, else made.

        Args:
            folder: None: `default_folder(film)`.
            film: the film; a project of another one is refused.

        Raises:
            As `create` and `open`.
        """
        place = default_folder(film) if folder is None else folder
        return cls.open(place, film) if (place / PROJECT).exists() else cls.create(place, film)

    def close(self) -> None:
        """Let go of the folder; nothing can be changed then."""
        with self._lock:
            closed, self._closed = self._closed, True
            if not closed:
                self._folder_lock.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- looking ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """What it is now."""
        with self._lock:
            return self._state

    @property
    def data(self) -> ProjectData:
        """What project.json holds."""
        return self.state.data

    @property
    def cuts(self) -> tuple[int, ...] | None:
        """First frames of all shots; None while nobody has looked through the film."""
        return self.state.cuts

    @property
    def revision(self) -> int:
        """Goes up with every change."""
        return self.state.data.revision

    @property
    def can_undo(self) -> bool:
        """Whether there is an earlier state to go back to."""
        with self._lock:
            return self._state.data.position - 1 in self._history

    @property
    def can_redo(self) -> bool:
        """Whether a state was gone back from."""
        with self._lock:
            return self._state.data.position + 1 in self._history

    @property
    def cache(self) -> Path:
        """A folder for what can be computed again."""
        return self.folder / CACHE

    @property
    def renders(self) -> Path:
        """Where rendered films stand."""
        return self.folder / RENDERS

    @property
    def target(self) -> Path:
        """The rendered film."""
        return self.renders / self.data.target

    def project(self) -> OpenProject:
        """Folder, film and state of this moment."""
        return OpenProject(self.folder, self.film, self.state)

    def config(self) -> ColorizeConfig:
        """What the film is coloured with; whole paths.

        Raises:
            InputError: the picture of a hint is missing; ConfigError: a setting cannot be used.
        """
        return project_config(self.folder, self.state)

    def subscribe(self, callback: Callable[[int], None]) -> Callable[[], None]:
        """Call with the revision whenever the project has changed, from the thread that changed it, until what is
        returned is called."""
        with self._lock:
            self._callbacks.append(callback)

        def end() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return end

    # ---- pictures -----------------------------------------------------------------------------------------------

    def image_path(self, hint: ProjectHint) -> Path:
        """The picture of a hint; see `hint_path`."""
        return hint_path(self.folder, hint)

    def save_image(self, hint_id: str, data: bytes, suffix: str = ".png") -> str:
        """Write the picture of a hint; the name follows from the id and the bytes, so none is ever written over.

        Returns:
            Its name, for `ProjectHint.image`.

        Raises:
            UsageError: no id, or no suffix of a hint; OutputError: it cannot be written.
        """
        name = image_name(hint_id, data, suffix)
        write_atomically(self.folder / HINTS / name, data)
        return name

    def images_in_use(self) -> set[str]:
        """Names of the pictures that this state or one that can be gone back to needs, or a render."""
        from videocolor.studio.requests import requested_images

        with self._lock:
            states = [self._state, *self._history.states()]
        return {hint.image for state in states for hint in state.data.hints} | requested_images(self.renders)

    # ---- changing -----------------------------------------------------------------------------------------------

    def change(self, revision: int, edit: Callable[[State], State]) -> State:
        """Apply an edit and save it.

        Args:
            revision: what the person who asks for it has seen.
            edit: a pure function of the state, see `videocolor.studio.edits`.

        Returns:
            The new state; the old one where the edit changes nothing.

        Raises:
            StaleRevisionError: the project is at another revision.
            UsageError: the edit cannot be made.
            OutputError: it cannot be saved; the project stays as it was.
        """
        with self._lock:
            self._check(revision)
            before = self._state
            new = consistent(edit(before))
            if new == before:
                return before
            if new.cuts != before.cuts and self._index is None:
                raise UsageError("the film is still being looked through; its cuts can be changed when that has ended")
            self._state = self._next(new)
            state = self._state
        self._tell()
        return state

    def undo(self, revision: int) -> State:
        """Go back to the state before; errors as of `change`."""
        return self._go(revision, -1, "undo")

    def redo(self, revision: int) -> State:
        """Go forth again to the state that `undo` left; errors as of `change`."""
        return self._go(revision, 1, "do again")

    def set_cuts(self, starts: Sequence[int], index: FrameTimes) -> State:
        """Take in what was found when the film was looked through. Cuts that the project has already hold.

        Args:
            starts: first frames of all shots, as found.
            index: the film's frames and their times.

        Raises:
            UsageError: a shot of shots.yaml begins beyond the film.
        """
        with self._lock:
            self._index = index
            before = self._state
            known = replace(before, data=before.data.model_copy(update={"frames": index.frames}))
            new = recut(known, starts if before.cuts is None else before.cuts, {})
            changed = (new.data.shots, new.data.hints) != (before.data.shots, before.data.hints)
            if changed:
                new = replace(new, data=new.data.model_copy(update={"revision": before.data.revision + 1}))
            if new != before or self._listed != (new.cuts, new.notes):
                self._state = self._save(new)
            state = self._state
        self._tell()
        return state

    def _check(self, revision: int) -> None:
        now = self._state.data.revision
        if revision != now:
            raise StaleRevisionError(f"the project was changed meanwhile (revision {now}, asked for {revision})")

    def _go(self, revision: int, step: int, what: str) -> State:
        with self._lock:
            self._check(revision)
            now = self._state
            position = now.data.position + step
            if position not in self._history:
                raise UsageError(f"there is nothing to {what}")
            kept = self._history.read(position)
            stays = {"film": now.data.film, "frames": now.data.frames, "position": position}
            data = kept.data.model_copy(update={**stays, "revision": now.data.revision + 1})
            cuts = kept.cuts
            if cuts is None and now.cuts is not None:  # it is older than the end of the first look at the film
                state = recut(State(data), now.cuts)
            elif cuts != now.cuts and self._index is None:
                raise UsageError("the film is still being looked through; cuts can be changed when that has ended")
            else:
                state = consistent(State(data, cuts))
            self._state = state = self._save(state)
        self._tell()
        return state

    def _next(self, state: State) -> State:
        """Save as a new state behind the present one; what was undone is forgotten."""
        now = self._state.data
        update = {"revision": now.revision + 1, "position": now.position + 1}
        saved = self._save(replace(state, data=state.data.model_copy(update=update)))
        self._history.forget_around(saved.data.position)
        return saved

    def _save(self, state: State) -> State:
        """See `save_state`; the list of shots is only written where another one stands there."""
        if self._closed:
            raise UsageError(f"{self.folder}: the project is closed")
        listed = (state.cuts, state.notes)
        writes = state.cuts is not None and self._index is not None and listed != self._listed
        known, self._listed = self._listed, None
        state = save_state(self.folder, self._history, state, self._index if writes else None, self.film.name)
        self._listed = listed if writes else known
        return state

    def _tell(self) -> None:
        with self._lock:
            callbacks, revision = list(self._callbacks), self._state.data.revision
        for callback in callbacks:
            callback(revision)
