"""The record of a run, `OUTPUT.json`: described, written and read."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from videocolor.config import ColorizeConfig
from videocolor.errors import InputError, OutputError
from videocolor.events import joined
from videocolor.files import plain, source_sha256, write_atomically
from videocolor.hints.files import hint_origin
from videocolor.hints.plan import HintPlan
from videocolor.models.base import Colorizer
from videocolor.plugins import origins
from videocolor.restoration import steps
from videocolor.types import VideoInfo
from videocolor.version import __version__
from videocolor.video import COLOR_LABEL, OutputPlan, StreamDigest, sequence_files

__all__ = [
    "Fixity",
    "check_sidecar",
    "describe",
    "describe_hints",
    "describe_model",
    "read_record",
    "manifest_path",
    "report_path",
    "sidecar_path",
    "timing",
    "write_sidecar",
]


def sidecar_path(target: Path) -> Path:
    """`OUTPUT.json` beside OUTPUT."""
    return target.with_name(target.name + ".json")


def manifest_path(target: Path) -> Path:
    """`OUTPUT.c2pa` beside OUTPUT: the manifest of a film that holds none in itself."""
    return target.with_name(target.name + ".c2pa")


def report_path(target: Path) -> Path:
    """`OUTPUT.html` beside OUTPUT."""
    return target.with_name(target.name + ".html")


def check_sidecar(target: Path, config: ColorizeConfig) -> None:
    """Check before the work that the record and the report can be written, where they are asked for.

    Raises:
        OutputError: one of them exists.
    """
    output = config.output
    wanted = [("record", "sidecar", sidecar_path(target))] if output.sidecar else []
    wanted += [("report", "report", report_path(target))] if output.report else []
    wanted += [("manifest", "c2pa", manifest_path(target))]
    for what, key, path in wanted:
        if path.exists() and (path.is_dir() or not output.overwrite):
            raise OutputError(
                f"{path}: exists; --set output.overwrite=true replaces film and {what}, output.{key}=false writes none"
            )


def write_sidecar(target: Path, data: Mapping[str, Any]) -> Path:
    """Write the record of a run beside its output, whole or not at all.

    Raises:
        OutputError: the folder cannot be written or the disk is full.
    """
    path = sidecar_path(target)
    write_atomically(path, json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def read_record(target: Path) -> dict[str, Any]:
    """Read the record beside an output, as `write_sidecar` wrote it.

    Raises:
        InputError: it is missing or damaged.
    """
    path = sidecar_path(target)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the film's record cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: not a film's record")
    return data


class Fixity:
    """sha256 of the source, read in a thread of its own while the film is colored.

    Known before the result gets its final name, so that no film ever stands there without its record
    because somebody lost patience with a hash.
    """

    def __init__(self, source: Path) -> None:
        self._digest = ""
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._read, args=(source,), name="sha256", daemon=True)
        self._thread.start()

    def _read(self, source: Path) -> None:
        try:
            self._digest = source_sha256(source, sequence_files(source))
        except OSError as error:
            self._error = error

    def result(self) -> str:
        """Hexadecimal digest; see `source_sha256`.

        Raises:
            InputError: the source could not be read to its end.
        """
        self._thread.join()
        if self._error is not None:
            raise InputError(f"the source cannot be read for its sha256: {self._error}") from self._error
        return self._digest


def describe_model(colorizer: Colorizer, config: ColorizeConfig) -> dict[str, Any]:
    """Return the network's card, what executes it, and the code of others that makes the colors."""
    runtime = getattr(getattr(colorizer, "runtime", None), "name", None)
    methods = origins((config.smoothing.method, "smoothers"), (config.smoothing.propagation, "propagators"))
    return {"card": colorizer.card.as_dict(), "runtime": runtime, "plugins": [*colorizer.plugins, *methods]}


def describe_hints(hints: HintPlan, reproduced: Collection[int]) -> list[dict[str, Any]]:
    """Return what became of each hint that was used; `reproduced`: frames at which a hint was reproduced."""
    return [
        {
            "name": planned.hint.name,
            "time": None if planned.hint.time is None else float(planned.hint.time),
            "frame": planned.frame,
            "assigned": planned.assigned,
            "reproduced": planned.frame in reproduced,
            "shots": {str(number + 1): round(like, 3) for number, like in planned.shots.items()},
        }
        | hint_origin(planned.hint)
        for planned in hints.hints
    ]


def describe(
    source: Path,
    sha256: str,
    config: ColorizeConfig,
    info: VideoInfo,
    plan: OutputPlan,
    *,
    model: dict[str, Any],
    shots: Sequence[dict[str, Any]],
    hints: Sequence[dict[str, Any]],
    frames: int,
    copied: Sequence[StreamDigest],
    notes: Sequence[str],
    warnings: Sequence[str],
    took: dict[str, Any],
) -> dict[str, Any]:
    """Return the record of a film; `shots` as `ShotRecord.as_dict`, parts of one shot joined; `took`: see `timing`."""
    return {
        "videocolor": __version__,
        "source": {"path": source, "sha256": sha256},
        "label": COLOR_LABEL,
        "model": model["card"],
        "runtime": model["runtime"],
        "plugins": model["plugins"],
        "config": config.as_dict(),
        "restored": list(steps(config.restoration)),
        "assumed_color": {
            "matrix": info.color.matrix,
            "range": info.color.range,
            "primaries": info.color.primaries,
            "transfer": info.color.transfer,
            "assumed": info.color.assumed,
        },
        "output": {"container": plan.container, "codec": plan.codec, "pix_fmt": plan.pix_fmt, "left_out": plan.dropped},
        "copied": list(copied),
        "frames": frames,
        "shots": joined(shots),
        "hints": list(hints),
        "notes": list(notes),
        "warnings": list(warnings),
        "timing": took,
    }


def timing(frames: int, work: float, elapsed: float | None, workers: int = 1) -> dict[str, Any]:
    """How long a film took.

    Args:
        frames: that were colored in this time.
        work: seconds of coloring and joining, of all workers together, in all runs that the film took.
        elapsed: seconds of the run that finished it, from its start to the writing of the record; None where several
            films were worked on at once.
        workers: processes that had a part in it.
    """
    return {
        "elapsed_seconds": None if elapsed is None else round(elapsed, 3),
        "work_seconds": round(work, 3),
        "frames": frames,
        "workers": workers,
    }
