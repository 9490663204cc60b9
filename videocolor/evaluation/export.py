"""What methods get, as files: somebody else's system can be run on exactly that and be scored by `LABEL=DIR`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from videocolor.errors import OutputError
from videocolor.evaluation.clips import list_clips
from videocolor.evaluation.methods import hint_picture, write_png
from videocolor.evaluation.protocols import Case, deal, plan_units
from videocolor.evaluation.settings import EvaluateConfig
from videocolor.files import plain, write_atomically

__all__ = ["export_inputs"]


def export_inputs(clips: Path, output: Path, config: EvaluateConfig) -> Iterator[Path]:
    """Write DIR/[CASE/]CLIP/gray/000001.png..., hints beside them, and task.json, clip by clip.

    Hints are PNG files in colour; where only points are painted, the rest is transparent. task.json names frame rate,
    shots, and the frame that each hint is made for. The true colours are not among the files, but for the hints.

    Args:
        clips: a folder of videos with their true colours.
        output: a new folder.
        config: protocol, clips.

    Yields:
        The folder of each case.

    Raises:
        InputError: a clip or hint cannot be read.
        OutputError: the folder exists, or cannot be written.
    """
    if output.exists():
        raise OutputError(f"{output}: exists; name a new folder")
    for unit in plan_units(list_clips(clips, config.clips), clips, config):
        with tempfile.TemporaryDirectory(prefix="videocolor-") as name:
            for case in deal(unit, config, Path(name)):
                folder = output / case.name.replace(" ", "_") / case.clip.name
                try:
                    _write_case(case, folder)
                except OSError as error:
                    raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
                yield folder


def _write_case(case: Case, folder: Path) -> None:
    task, hints = case.task(), []
    (folder / "gray").mkdir(parents=True)
    for index, luma in enumerate(task.luma, 1):
        write_png(folder / "gray" / f"{index:06d}.png", luma)
    for number, hint in enumerate(task.hints, 1):
        name = f"hint{number:02d}.png"
        write_png(folder / name, hint_picture(hint))
        hints.append({"file": name, "frame": hint.frame})
    about = {"rate": str(task.rate), "frames": len(task.luma), "shots": task.shots, "hints": hints}
    write_atomically(folder / "task.json", json.dumps(plain(about), indent=1) + "\n")
