"""Keyframes colored by a command of the user's, checked, recorded, and continued where a run was stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final

import numpy as np

from videocolor.config import ColorizeConfig
from videocolor.errors import HintError, OutputError, ProgramError, UsageError
from videocolor.events import Observer, RunLog, ignore
from videocolor.files import disk_errors, file_sha256, plain, write_atomically
from videocolor.hints.align import align_painted
from videocolor.hints.files import CHOICES, PROGRAM_RECORD, frame_to_luma, load_hint, read_program_record
from videocolor.images import encode_image
from videocolor.keyframes.choose import PER_SHOT, chosen_keyframes
from videocolor.keyframes.program import Program, Runner
from videocolor.types import Array, Frame
from videocolor.version import __version__

__all__ = ["color_keyframes"]

_GRAY: Final = "gray"
"""Folder in `CHOICES` of the pictures that the program receives."""


def color_keyframes(
    film: str | Path,
    folder: str | Path,
    program: Program,
    config: ColorizeConfig | None = None,
    *,
    per_shot: int = PER_SHOT,
    observer: Observer = ignore,
) -> list[Path]:
    """Let a program color the frames that explain a film; `colorize --hints FOLDER` takes them back.

    A picture must show its frame (`videocolor.hints.align`), else it is made again, and at last the run fails; what is
    finished stays, and the same call goes on from there. A picture in the folder that is not the program's is kept.
    choices/program.json records the command, what it says of itself, the sha256 of its files and of the pictures.

    Args:
        film: film, image sequence or still.
        folder: where the pictures go; made if missing.
        program: the command.
        config: as of `write_keyframes`; with output.overwrite, pictures of another command are made again.
        per_shot: most frames of a shot.
        observer: receives progress, notes and warnings.

    Returns:
        The pictures, in film order.

    Raises:
        ProgramError: the program failed for a frame, each time it was tried.
        UsageError: the folder holds pictures of another command.
        InputError, OutputError: the film cannot be read, the folder cannot be written.
    """
    film, folder, config, log = Path(film), Path(folder), config or ColorizeConfig(), RunLog(observer)
    for needed in (folder, folder / CHOICES / _GRAY):
        with disk_errors(needed):
            needed.mkdir(parents=True, exist_ok=True)
    record = _Record.open(folder, program, overwrite=config.output.overwrite)
    paths = []
    with Runner(program) as runner:
        for name, frame in chosen_keyframes(film, config, "medoid", per_shot, log):
            path, luma = folder / name, frame_to_luma(frame)
            gray = folder / CHOICES / _GRAY / name
            write_atomically(gray, encode_image(np.repeat(np.rint(luma * 255).astype(np.uint8)[..., None], 3, axis=2)))
            if path.is_file() and not record.is_outdated(path, gray):
                if not record.made(path):
                    log.note(f"{path}: not as the program made it; kept")
            else:
                _color(runner, path, gray, frame, luma, record, log)
            paths.append(path)
    return paths


def _color(runner: Runner, path: Path, gray: Path, frame: Frame, luma: Array, record: _Record, log: RunLog) -> None:
    """Let the program color one frame, and check and record what it made."""
    new = path.parent / CHOICES / f"new-{path.name}"
    facts = {"film_time": round(frame.seconds, 3), "frame": frame.index}
    tries = 1 + runner.program.retries
    for number in range(1, tries + 1):
        began = monotonic()
        new.unlink(missing_ok=True)
        try:
            runner.color(gray.resolve(), new.resolve(), facts)
            moved = _check(new, luma)
            break
        except ProgramError as error:
            said = f"program {runner.program.command!r}, {path.name}, try {number} of {tries}: {error}"
            new.unlink(missing_ok=True)
            if number == tries:
                done = "pictures that are finished are kept; the same command goes on from there"
                raise ProgramError(f"{said}; {done}") from error
            log.warn(said)
    with disk_errors(path):
        os.replace(new, path)
    log.note(f"{path.name}: colored ({moved})")
    record.add(path, gray, runner.said, {"tries": number, "seconds": round(monotonic() - began, 3), "placed": moved})


def _check(path: Path, luma: Array) -> str:
    """Check that a picture shows its frame in color; how it lies on it."""
    try:
        hint = load_hint(None, path)
        return align_painted(hint.rgb, hint.mask, luma, name=path.name, frame_name="the frame that it was given").moved
    except HintError as error:
        raise ProgramError(f"made no picture of the frame: {str(error).partition('. Or ')[0]}") from error


@dataclass
class _Record:
    """choices/program.json: which command made which picture of which frame."""

    path: Path
    identity: dict[str, Any]
    pictures: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, program: Program, *, overwrite: bool) -> _Record:
        """Read the folder's record, or begin one."""
        record = cls(folder / PROGRAM_RECORD, program.identity())
        known = read_program_record(folder)
        if known is None:
            return record
        if known["identity"] == record.identity:
            record.pictures = dict(known["pictures"])
        elif not overwrite:
            raise UsageError(
                f"{folder}: holds keyframes that another command or version of it colored: {known['identity']}; "
                "give another folder, or --overwrite to color them again"
            )
        else:
            _remove_made(folder, known["pictures"])
        return record

    def made(self, path: Path) -> bool:
        """Whether the picture is as the program made it."""
        known = self.pictures.get(path.name)
        return known is not None and known["sha256"] == file_sha256(path)

    def is_outdated(self, path: Path, gray: Path) -> bool:
        """Whether the picture was made of another frame; one changed since, by hand, stays."""
        return self.made(path) and self.pictures[path.name]["gray_sha256"] != file_sha256(gray)

    def add(self, path: Path, gray: Path, said: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Record a picture, at once: a run may be stopped at any time."""
        made = {"sha256": file_sha256(path), "gray_sha256": file_sha256(gray), "said": dict(said), **facts}
        self.pictures[path.name] = made
        record = {"videocolor": __version__, "identity": self.identity, "pictures": self.pictures}
        write_atomically(self.path, json.dumps(plain(record), indent=2, ensure_ascii=False) + "\n")


def _remove_made(folder: Path, pictures: Mapping[str, Mapping[str, Any]]) -> None:
    """Remove the pictures of another command that nobody has changed since."""
    for name, made in pictures.items():
        path = folder / name
        try:
            if path.is_file() and file_sha256(path) == made["sha256"]:
                path.unlink()
        except OSError as error:
            raise OutputError(f"{path}: cannot be replaced: {error.strerror or error}") from error
