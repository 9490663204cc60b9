"""An open project: one folder, one owner, every change saved, every earlier state kept.

Edits are pure functions, see `videocolor.studio.edits`; `ProjectStore.change` applies one only to the state that the
person has seen.
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
from videocolor.studio.edits import consistent, describe_change, recut
from videocolor.studio.errors import StaleRevisionError
from videocolor.studio.filmref import locate, refer_to
from videocolor.studio.history import FrameTimes, History, save_state
from videocolor.studio.projectdata import ProjectData, ProjectHint, State
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
    sweep_broken_off,
    take_list,
    target_name,
)
from videocolor.studio.requests import requested_images

__all__ = ["ProjectStore"]


class ProjectStore:
    """An open project, locked against other processes; safe for threads.

    Made by `create`, `open` or `open_or_create`; a context manager that releases the folder.
    """

    def __init__(self, folder: Path, film: Path, state: State, lock: DriverLock) -> None:
        self.folder, self.film, self._state, self._folder_lock = folder, film, state, lock
        self._lock = threading.RLock()
        self._history = History(folder / HISTORY)
        self._index: FrameTimes | None = None
        self._listed: tuple[tuple[int, ...] | None, dict[int, str]] | None = listed_in(folder, state.data.frames)
        """Cuts and notes in shots.yaml; None: unknown."""
        self._callbacks: list[Callable[[int], None]] = []
        self._closed = False

    # ---- opening ------------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, folder: Path, film: Path) -> ProjectStore:
        """Make a project; a shots.yaml already in the folder is used.

        Raises:
            UsageError: the folder holds a project or other files, or another process has locked it.
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
        """Open a project; a shots.yaml that a person has edited wins over the saved cuts.

        Args:
            folder: of the project.
            film: where its film is now; None: where the project refers to.

        Raises:
            InputError: there is no project, or its film is missing or another one.
            UsageError: another studio has it open; names its process. ConfigError: a file of it cannot be used.
        """
        folder = folder.absolute()
        if not (folder / PROJECT).is_file():
            load_state(folder)  # raises, with the reason
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
        """Open the project of a film, or make it; errors as of `create` and `open`.

        Args:
            folder: None: `default_folder(film)`.
            film: the film; a project of another one is refused.
        """
        place = default_folder(film) if folder is None else folder
        return cls.open(place, film) if (place / PROJECT).exists() else cls.create(place, film)

    def close(self) -> None:
        """Release the folder; later changes fail."""
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

    # ---- reading ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The present state."""
        with self._lock:
            return self._state

    @property
    def data(self) -> ProjectData:
        """The content of project.json."""
        return self.state.data

    @property
    def cuts(self) -> tuple[int, ...] | None:
        """First frames of all shots; None: the film has not been scanned yet."""
        return self.state.cuts

    @property
    def revision(self) -> int:
        """Increases with every change."""
        return self.state.data.revision

    @property
    def can_undo(self) -> bool:
        """Whether there is an earlier state."""
        with self._lock:
            return self._state.data.position - 1 in self._history

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone state."""
        with self._lock:
            return self._state.data.position + 1 in self._history

    def undone(self) -> tuple[str | None, str | None]:
        """Return what `undo` would take back and what `redo` would restore; None: nothing."""
        with self._lock:
            position = self._state.data.position + 1
            again = self._history.read(position).data.made if position in self._history else None
            return (self._state.data.made if self.can_undo else None), again

    @property
    def cache(self) -> Path:
        """Folder of files that can be computed again."""
        return self.folder / CACHE

    @property
    def renders(self) -> Path:
        """Folder of rendered films."""
        return self.folder / RENDERS

    @property
    def target(self) -> Path:
        """The rendered film."""
        return self.renders / self.data.target

    def project(self) -> OpenProject:
        """Return folder, film and present state."""
        return OpenProject(self.folder, self.film, self.state)

    def config(self, *, hints: bool = True) -> ColorizeConfig:
        """Return what the film is colored with, with absolute paths.

        Args:
            hints: include the hints.

        Raises:
            InputError: the picture of a hint is missing; ConfigError: a setting cannot be used.
        """
        return project_config(self.folder, self.state, hints=hints)

    def saturation_at(self, frame: int) -> float:
        """Return the factor on chroma of the shot that holds a frame."""
        state = self.state
        own = state.data.shots.get(state.shot_of(frame))
        return self.config(hints=False).chroma.saturation if own is None or own.saturation is None else own.saturation

    def check_film(self) -> None:
        """Check that the film's file is still the one that was opened, whose frames are known.

        Raises:
            InputError: it is missing, or another one.
        """
        locate(self.data.film, self.film, self.folder)

    def check_revision(self, revision: int) -> None:
        """Check that the project is at a revision.

        Raises:
            StaleRevisionError: it is at another one.
        """
        with self._lock:
            now = self._state.data.revision
        if revision != now:
            raise StaleRevisionError(f"the project has changed meanwhile (revision {now}, requested {revision})")

    def subscribe(self, callback: Callable[[int], None]) -> Callable[[], None]:
        """Call `callback` with the revision after each change, in the thread that made it; return what ends that."""
        with self._lock:
            self._callbacks.append(callback)

        def end() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return end

    # ---- pictures -----------------------------------------------------------------------------------------------

    def image_path(self, hint: ProjectHint) -> Path:
        """Return the path of a hint's picture; see `hint_path`."""
        return hint_path(self.folder, hint)

    def save_image(self, hint_id: str, data: bytes, suffix: str = ".png") -> str:
        """Write the picture of a hint; none is overwritten, as the name follows from id and bytes.

        Returns:
            Its name, for `ProjectHint.image`.

        Raises:
            UsageError: not an id, or not a suffix of hints; OutputError: it cannot be written.
        """
        name = image_name(hint_id, data, suffix)
        write_atomically(self.folder / HINTS / name, data)
        return name

    def images_in_use(self) -> set[str]:
        """Return the names of the pictures that the present state, a kept one or a render needs."""
        with self._lock:
            states = [self._state, *self._history.states()]
        return {hint.image for state in states for hint in state.data.hints} | requested_images(self.renders)

    # ---- changing -----------------------------------------------------------------------------------------------

    def change(self, revision: int, edit: Callable[[State], State]) -> State:
        """Apply an edit and save it.

        Args:
            revision: that the person has seen.
            edit: a pure function of the state, see `videocolor.studio.edits`.

        Returns:
            The new state; the old one where the edit changes nothing.

        Raises:
            StaleRevisionError: the project is at another revision.
            UsageError: the edit cannot be made.
            OutputError: it cannot be saved; the project stays as it was.
        """
        with self._lock:
            self.check_revision(revision)
            before = self._state
            new = consistent(edit(before))
            if new == before:
                return before
            if new.cuts != before.cuts and self._index is None:
                raise UsageError("the film is still being scanned; its cuts can be changed after that")
            self._state = self._next(new)
            state = self._state
        self._notify()
        return state

    def undo(self, revision: int) -> State:
        """Restore the previous state; errors as of `change`."""
        return self._go(revision, -1, "undo")

    def redo(self, revision: int) -> State:
        """Restore the state that `undo` left; errors as of `change`."""
        return self._go(revision, 1, "redo")

    def set_cuts(self, starts: Sequence[int], index: FrameTimes) -> State:
        """Store the result of the scan; cuts that the project already has win.

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
        self._notify()
        return state

    def _go(self, revision: int, step: int, what: str) -> State:
        with self._lock:
            self.check_revision(revision)
            now = self._state
            position = now.data.position + step
            if position not in self._history:
                raise UsageError(f"there is nothing to {what}")
            kept = self._history.read(position)
            stays = {"film": now.data.film, "frames": now.data.frames, "position": position}
            data = kept.data.model_copy(update={**stays, "revision": now.data.revision + 1})
            cuts = kept.cuts
            if cuts is None and now.cuts is not None:  # from before the first scan ended
                state = recut(State(data), now.cuts)
            elif cuts != now.cuts and self._index is None:
                raise UsageError("the film is still being scanned; cuts can be changed after that")
            else:
                state = consistent(State(data, cuts))
            self._state = state = self._save(state)
        self._notify()
        return state

    def _next(self, state: State) -> State:
        """Save as a new state after the present one; forget undone ones."""
        now = self._state.data
        made = describe_change(self._state, state)[:400]
        update = {"revision": now.revision + 1, "position": now.position + 1, "made": made}
        saved = self._save(replace(state, data=state.data.model_copy(update=update)))
        self._history.forget_around(saved.data.position)
        return saved

    def _save(self, state: State) -> State:
        """Save a state; the list of shots is only written where it differs."""
        if self._closed:
            raise UsageError(f"{self.folder}: the project is closed")
        listed = (state.cuts, state.notes)
        writes = state.cuts is not None and self._index is not None and listed != self._listed
        known, self._listed = self._listed, None
        state = save_state(self.folder, self._history, state, self._index if writes else None, self.film.name)
        self._listed = listed if writes else known
        return state

    def _notify(self) -> None:
        with self._lock:
            callbacks, revision = list(self._callbacks), self._state.data.revision
        for callback in callbacks:
            callback(revision)
