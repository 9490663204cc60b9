"""Methods by name: the baselines, the network alone, `videocolor colorize`, and results of other systems.

    gray copy table reinhard welsh flow lightness     videocolor.evaluation.baselines
    network[@WEIGHTS]                                 the network alone, frame by frame
    videocolor[:PRESET][@WEIGHTS]                     `videocolor colorize`, film in, film out
    module:Class                                      a `Method` of yours, or an entry point (docs/developing/adding.md)
    LABEL=DIR                                         films or folders of images in DIR, by the clips' names

WEIGHTS is what `--model` takes. Any may get another name in the table: `LABEL=network@mine.safetensors`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import HintError, InputError, ModelError, UsageError
from videocolor.evaluation.baselines import BASELINES
from videocolor.evaluation.clips import read_frames, working_shape
from videocolor.evaluation.settings import NetworkSettings
from videocolor.evaluation.tasks import (
    ChromaMethod,
    Method,
    ShotHint,
    ShotTask,
    Task,
    hint_picture,
    write_png,
)
from videocolor.events import Event
from videocolor.files import file_sha256
from videocolor.hints.marks import places_of
from videocolor.hints.plan import load_hint
from videocolor.models.artifact import read_card
from videocolor.models.base import HintInput, ModelCard, check_prediction
from videocolor.models.registry import automatic_partner, list_models, load_colorizer, weights_file
from videocolor.pipeline.upsample import upsample_chroma
from videocolor.plugins import find, installed, is_plugin, origins
from videocolor.presets import suggest
from videocolor.shots.prepare import working_size
from videocolor.types import Array
from videocolor.video.sequences import find_sequence

__all__ = [
    "FilmPath",
    "MethodSpec",
    "Network",
    "Results",
    "build_method",
    "needs_hint",
    "parse_methods",
]

_BATCH: Final = 4
"""Frames that the network runs on at once."""
_FULL_CHROMA: Final = "yuv444p10le"
"""Pixel format of scored films."""
_WANTED: Final = "expected a film or a folder of images of the clip's name"
_KINDS: Final = (*BASELINES, "network", "videocolor")


@dataclass(frozen=True)
class MethodSpec:
    """A method as requested; small enough to send to another process."""

    label: str
    """Its name in the table."""
    kind: str
    """A baseline's name, `network`, `videocolor`, `results` or `plug-in`."""
    preset: str | None = None
    weights: str | None = None
    """Name of a packaged network, a file or a plug-in; None: the default."""
    folder: Path | None = None
    plugin: str | None = None


def parse_methods(texts: Sequence[str]) -> list[MethodSpec]:
    """Parse the methods that are compared.

    Raises:
        UsageError: an unknown form, or two methods of one label.
        InputError: a folder or weights file is missing.
        ConfigError: no such preset.
    """
    specs = [_parse(text.strip()) for text in texts]
    if not specs:
        raise UsageError(f"no method given; there are {', '.join(_KINDS)}, and LABEL=DIR")
    labels = [spec.label for spec in specs]
    for label in labels:
        if labels.count(label) > 1 or label == "truth":
            raise UsageError(f"--methods: {label} is taken; write LABEL={label} to give it another name")
    return specs


def _parse(text: str) -> MethodSpec:
    label, equals, rest = text.partition("=")
    body = rest if equals else text
    if equals and (not label or not body):
        raise UsageError(f"--methods {text}: expected LABEL=DIR or LABEL=METHOD")
    name, at, weights = body.partition("@")
    kind, colon, preset = name.partition(":")
    if kind not in _KINDS:
        if is_plugin(body, "methods") and not (equals and Path(body).is_dir()):
            return MethodSpec(label if equals else body, "plug-in", plugin=body)
        return _parse_results(text, label if equals else None, body)
    _check_parts(text, kind, preset if colon else None, weights if at else None)
    shown = f"{name}@{Path(weights).stem}" if at else name
    return MethodSpec(label if equals else shown, kind, preset or None, weights or None)


def needs_hint(spec: MethodSpec) -> bool:
    """Whether a method without networks yields gray film where there is no hint."""
    kind = BASELINES.get(spec.kind) or (None if spec.plugin is None else _plugin(spec.plugin))
    return kind is not None and kind.needs_hint


def _plugin(name: str) -> type[Method]:
    kind = find(name, "methods", "--methods")
    if not (isinstance(kind, type) and issubclass(kind, Method)):
        raise UsageError(f"--methods {name}: is no videocolor.evaluation.tasks.Method")
    return kind


def _parse_results(text: str, label: str | None, body: str) -> MethodSpec:
    """Parse LABEL=DIR; label None: there is no equals sign."""
    if label is None:
        known = (*_KINDS, *installed("methods"))
        near = suggest(re.split("[@:]", body)[0], known)
        raise UsageError(f"--methods {text}: no such method{near} ({', '.join(known)}, or LABEL=DIR)")
    if not Path(body).is_dir():
        raise InputError(f"--methods {text}: {body} is neither a folder nor a method")
    return MethodSpec(label, "results", folder=Path(body))


def _check_parts(text: str, kind: str, preset: str | None, weights: str | None) -> None:
    """Refuse a preset or weights that a method does not take, or that there are not; None: not given."""
    for given, mark, word, takers in (
        (weights, "@", "weights", ("network", "videocolor")),
        (preset, ":", "preset", ("videocolor",)),
    ):
        if given is not None and kind not in takers:
            raise UsageError(f"--methods {text}: {kind} takes no {word}")
        if given == "":
            raise UsageError(f"--methods {text}: nothing after {mark}")
    simple = {card.name for card in list_models()} if weights else set()
    if weights and not (weights in simple or is_plugin(weights, "colorizers") or Path(weights).is_file()):
        try:
            weights_file(weights)
        except (ModelError, UsageError) as error:
            raise InputError(f"--methods {text}: {error}") from error
    if preset:
        ColorizeConfig.load(preset)


def build_method(spec: MethodSpec, settings: NetworkSettings) -> Method:
    """Build a method, its networks loaded.

    Raises:
        ModelError, DeviceError, ConfigError: from loading them.
    """
    method: Method
    if spec.kind == "results":
        assert spec.folder is not None
        return Results(spec.label, spec.folder)
    if spec.plugin is not None:
        method = _plugin(spec.plugin)()
    elif spec.kind == "network":
        method = Network(spec.weights or "hint", settings)
    elif spec.kind == "videocolor":
        method = FilmPath(spec.preset, spec.weights, settings)
    else:
        method = BASELINES[spec.kind]()
    method.name = spec.label
    return method


class Network(ChromaMethod):
    """A network alone, frame by frame: no motion, no smoothing; its chroma is upsampled guided by luma."""

    name = "network"

    def __init__(self, weights: str, settings: NetworkSettings) -> None:
        # One thread: another order of sums would give other bytes on a machine with more cores.
        self._net = load_colorizer(weights, device=settings.device, runtime=settings.runtime, threads=1)
        if settings.area is not None:
            self._net.card = replace(self._net.card, area=settings.area, area_reference=None, area_style=None)
        self.uses_hints = self._net.card.hints != "none"

    def identity(self) -> dict[str, Any]:
        """Return the card, with the weights' sha256."""
        return {"kind": "network", "card": self._net.card.as_dict(), "plugins": self._net.plugins}

    def chroma(self, shot: ShotTask) -> Iterator[Array]:
        """Run on frames at the card's working size, with as many hints as the card takes."""
        height, width = shot.luma.shape[1:]
        most = self._net.card.max_hints
        hints = [hint for hint in shot.hints if hint.mask.any()][:most]
        size = working_size(width, height, self._net.card, hints="style" if hints else "none")
        memory = self._net.begin([_input(hint, size) for hint in hints])
        for start in range(0, len(shot.luma), _BATCH):
            lumas = [codes.astype(np.float32) / 255 for codes in shot.luma[start : start + _BATCH]]
            small = _resized(np.stack(lumas), size)
            found = check_prediction(self._net.step(memory, small), small, self._net.card.name)
            for luma, seen, ab in zip(lumas, small, found.ab, strict=True):
                guide = cv2.resize(seen, (ab.shape[2], ab.shape[1]), interpolation=cv2.INTER_AREA)
                yield upsample_chroma(ab, guide, luma)


class FilmPath(Method):
    """`videocolor colorize`: a gray film and hint files in, a film out, read back losslessly."""

    name = "videocolor"

    def __init__(self, preset: str | None, weights: str | None, settings: NetworkSettings) -> None:
        changes = {
            "model.name": weights,
            "model.device": settings.device,
            "model.runtime": settings.runtime,
            "model.threads": 1,
            "output.codec": "ffv1",
            "output.crf": None,
            "output.sidecar": False,
            "output.overwrite": False,
        }
        self.config = ColorizeConfig.load(preset, (), changes)
        # A preset's encoder settings belong to its encoder, and the protocol chooses the part of the film. Baselines
        # have full chroma: where a preset names no format, so has the film.
        pix_fmt = self.config.output.pix_fmt or _FULL_CHROMA
        fixed: dict[str, Any] = {"crf": None, "preset": None, "options": {}, "pix_fmt": pix_fmt}
        self.config = self.config.model_copy(
            update={
                "output": self.config.output.model_copy(update=fixed),
                "input": self.config.input.model_copy(update={"start": None, "end": None}),
            }
        )
        self._card = _card(self.config.model.name)
        self.uses_hints = self._card.hints != "none"

    def identity(self) -> dict[str, Any]:
        """Return the merged configuration and the weights' sha256."""
        model, smoothing = self.config.model, self.config.smoothing
        names = [name for name in (model.name, automatic_partner(model.name, model.automatic)) if name is not None]
        plugins = origins(
            *((name, "colorizers") for name in names),
            (smoothing.method, "smoothers"),
            (smoothing.propagation, "propagators"),
        )
        weights = [_card(name).sha256 for name in names]
        return {"kind": "videocolor", "config": self.config.as_dict(), "weights": weights, "plugins": plugins}

    def color(self, task: Task) -> Iterator[Array]:
        """Color the task's film in a temporary folder."""
        with tempfile.TemporaryDirectory(prefix="videocolor-") as name:
            folder = Path(name)
            source, target = folder / "gray", folder / "color.mkv"
            source.mkdir()
            for index, luma in enumerate(task.luma, 1):
                write_png(source / f"{index:06d}.png", luma)
            items = tuple(self._hint_items(task, folder))
            config = self.config.model_copy(
                update={
                    "input": self.config.input.model_copy(update={"rate": task.rate}),
                    "hints": self.config.hints.model_copy(update={"items": items}),
                }
            )
            colorize_video(source, target, config, observer=lambda event: _note(event, task, name))
            yield from read_frames(target)

    def _hint_items(self, task: Task, folder: Path) -> Iterator[str]:
        """`TIME=FILE` of each hint that `colorize` accepts."""
        for number, hint in enumerate(task.hints if self.uses_hints else ()):
            path = folder / f"hint{number}.png"
            write_png(path, hint_picture(hint))
            try:
                load_hint(None, path)
            except HintError as error:
                task.notes.append(f"hint refused: {str(error).partition(': ')[2]}")
                continue
            yield str(path) if hint.frame is None else f"{float(hint.frame / task.rate):.9f}={path}"


class Results(Method):
    """Another system's results: a film or a folder of images for each clip.

    DIR/CLIP, or DIR/CASE/CLIP where the protocol has several cases (blanks as underscores): a folder of images, or a
    film with any suffix. It must have the scored part's number of frames, and its size or one that scales down to it.
    """

    def __init__(self, label: str, folder: Path) -> None:
        self.name, self.folder = label, folder

    def identity(self) -> dict[str, Any]:
        """Return the kind; `fingerprint` has the files' hashes."""
        return {"kind": "results"}

    def fingerprint(self, clip: str) -> list[str]:
        """Return the sha256 of every file that may be a result for a clip.

        Raises:
            InputError: there is none.
        """
        named = [p for p in sorted((*self.folder.iterdir(), *self.folder.glob("*/*"))) if clip in (p.name, p.stem)]
        if not named:
            raise InputError(f"{self.folder}: no result for {clip}; {_WANTED}")
        files = (file for p in named for file in (sorted(p.iterdir()) if p.is_dir() else [p]))
        return [file_sha256(file) for file in files if file.is_file()]

    def find(self, clip: str, case: str) -> Path:
        """Return the film or folder of a clip.

        Raises:
            InputError: there is none, or there are several.
        """
        folder = self.folder / case.replace(" ", "_")
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        found = [p for p in found if clip in (p.name, p.stem) and not p.name.startswith(".")]
        if len(found) > 1:
            raise InputError(f"{folder}: {found[0].name} and {found[1].name} are both results for {clip}; keep one")
        if found:
            return found[0]
        raise InputError(f"{folder}: no result for {clip}; {_WANTED}")

    def color(self, task: Task) -> Iterator[Array]:
        """Decode the result.

        Raises:
            InputError: missing, of another length or shape, or pictures whose numbers have a gap.
        """
        path, shape, count = self.find(task.name, task.case), (task.luma.shape[1], task.luma.shape[2]), 0
        _check_numbers(path)
        for rgb in read_frames(path):
            if rgb.shape[:2] != shape:
                if working_shape(rgb.shape[1], rgb.shape[0], min(shape)) != shape:
                    raise InputError(
                        f"{path}: {rgb.shape[1]}x{rgb.shape[0]}, the clip is scored at {shape[1]}x{shape[0]}"
                    )
                if count == 0:
                    task.notes.append(f"{rgb.shape[1]}x{rgb.shape[0]}, scaled down to {shape[1]}x{shape[0]}")
                rgb = cv2.resize(rgb, shape[::-1], interpolation=cv2.INTER_AREA)
            count += 1
            if count > len(task.luma):
                raise InputError(f"{path}: more frames than the {len(task.luma)} of the part that is scored")
            yield rgb
        if count < len(task.luma):
            raise InputError(f"{path}: {count} frames, the part that is scored has {len(task.luma)}")


def _check_numbers(path: Path) -> None:
    """Refuse pictures whose numbers have a gap: later ones would be compared with other frames."""
    sequence = find_sequence(path)
    if sequence is None:
        return
    for (before, _, _), (tick, file, _) in pairwise(sequence.images()):
        if tick != before + 1:
            raise InputError(f"{path}: {tick - before - 1} numbers are missing before {file.name}; frames would shift")


def _input(hint: ShotHint, size: tuple[int, int]) -> HintInput:
    mask = None
    if not hint.mask.all():
        mask = _resized(hint.mask[None].astype(np.float32), size)[0]
    luma = _resized(hint.luma[None].astype(np.float32) / 255, size)[0]
    ab = _resized(hint.ab, size)
    found = None if mask is None else places_of((), ab, mask, "thing")
    return HintInput(luma, ab, mask, mask is not None, *(found or ()))  # scribbles are on the shot itself


def _resized(planes: Array, size: tuple[int, int]) -> Array:
    """(c, h, w) -> (c, *size), area-averaged."""
    return np.stack([cv2.resize(plane, size[::-1], interpolation=cv2.INTER_AREA) for plane in planes])


def _note(event: Event, task: Task, folder: str) -> None:
    """Keep warnings about hints; others are about the sequence of PNG files."""
    message = str(event.data.get("message", ""))
    if event.kind == "warning" and "hint" in message:
        # Without the temporary folder's name and figures that differ by clip, equal notes of clips can be joined.
        task.notes.append(re.sub(r" \(correlation [^)]*\)", "", message.replace(f"{folder}/", "")))


def _card(name: str) -> ModelCard:
    """Card of a packaged network or a weights file."""
    for card in list_models():
        if card.name == name:
            return card
    if Path(name).is_file() and Path(name).suffix.lower() != ".onnx":
        return read_card(Path(name))[0]
    return load_colorizer(name, device="cpu").card
