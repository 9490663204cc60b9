"""Color the golden cases with the videocolor that PYTHONPATH names: `runner.py SIDE TREE CASES.json OUT`.

Runs unchanged on the reference and on the present tree, so it uses the public `colorize_video` and `ColorizeConfig`
alone. Writes OUT/ID.mkv for every case, and OUT/errors.json with what these cases raised.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

RENAMED: dict[str, str] = {
    "model.name=network.safetensors": "present_network.safetensors",
    "model.anchor_every": "model.keyframe_interval",
    "model.anchor_every_painted": "model.keyframe_interval_painted",
    "hints.min_likeness": "hints.min_similarity",
    "hints.take_off_light": "hints.remove_flare",
}
"""What cases call it, in the reference's words -> what the present tree calls it.

Keys in full, also below a list: `"hints.min_likeness": "hints.min_match"`, `"chroma.by_shot.frame":
"chroma.by_shot.at"`. A value with its key as cases write it: `"smoothing.motion=fast": "coarse"`.
"""

OFF = ["model.memory=0", "hints.align=false"]
"""Settings of the present tree without what the reference does not have and what changes samples on purpose."""

REFERENCE_DEFAULTS = ["model.keyframe_interval=16"]
"""Defaults of the reference that are others now; a case's own settings come after them."""


def undo_shortcuts() -> None:
    """Compute in full what the present tree halves for speed, as the reference does, so that all else is compared."""
    from videocolor.models.hint import calibration, colorizer
    from videocolor.motion import flow

    flow._LEAST_SIDE = sys.maxsize  # type: ignore[misc]
    colorizer._SURE = 2.0
    colorizer._coarse_correction = calibration.Calibration.correction


def undo_way_back() -> None:
    """Propagate the color of reference frames ahead alone, and search for those that come later, as the reference does.

    That is what the present tree does with hints whose frame is more than a window ahead.
    """
    from videocolor.hints.plan import PlannedHint
    from videocolor.pipeline import propagation, scheduling
    from videocolor.pipeline.references import ShotHints
    from videocolor.pipeline.shot import ShotColorizer

    def step(self: ShotColorizer, window: list[Any]) -> Any:
        firsts[id(self._hints)] = window[0].item
        return stepped(self, window)

    firsts: dict[int, Any] = {}
    stepped, candidates = ShotColorizer.step, ShotHints.candidates
    scheduling._LONGEST = 0  # type: ignore[misc]
    PlannedHint.is_painted = PlannedHint.is_whole  # type: ignore[assignment]  # with holes, nothing was propagated
    propagation.HintPropagator._back = lambda *_: {}  # type: ignore[method-assign]
    ShotColorizer.step = step  # type: ignore[method-assign]
    ShotHints.candidates = lambda self, _: candidates(self, firsts[id(self)])  # type: ignore[method-assign]


def take_table() -> None:
    """Give the reference the present tree's table of chroma: its own stops searching too early in places."""
    from videocolor import color

    with np.load("tables.npz") as tables:
        color._atlas = dict(tables).__getitem__  # type: ignore[attr-defined]


def settings_of(values: Mapping[str, Any], present: bool) -> list[str]:
    """`section.key=value` lines of a case's settings, in the words of the tree that colors it."""
    named = {key: _translated(key, value) if present else value for key, value in values.items()}
    lines = [f"{RENAMED.get(key, key) if present else key}={json.dumps(value)}" for key, value in named.items()]
    # The reference has no network of its own for shots without a hint.
    return [*lines, "model.automatic=hint"] if present and values.get("model.name", "hint") == "hint" else lines


def _translated(key: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_translated(key, item) for item in value]
    if isinstance(value, dict):
        inner = {name: (f"{key}.{name}", item) for name, item in value.items()}
        return {RENAMED.get(at, at).rpartition(".")[2]: _translated(at, item) for at, item in inner.values()}
    return RENAMED.get(f"{key}={value}", value)


def main(side: str, tree: str, cases: str, out: str) -> None:
    """Color every case."""
    import videocolor
    from videocolor import ColorizeConfig, colorize_video

    assert Path(videocolor.__file__).is_relative_to(tree), f"{videocolor.__file__} is not of {tree}"
    for change in (undo_shortcuts, undo_way_back) if side == "present" else (take_table,):
        change()
    folder, errors = Path(out), {}
    folder.mkdir(exist_ok=True)
    for case in json.loads(Path(cases).read_text()):
        target = folder / f"{case['id']}.mkv"
        try:
            for values in (*case["before"], {}):  # earlier runs that leave shards, then the run that counts
                present = side == "present"
                settings = settings_of(case["settings"] | values, present)
                settings = REFERENCE_DEFAULTS * present + settings + OFF * present
                colorize_video(Path(case["film"]), target, ColorizeConfig.load(None, settings))
        except Exception as error:
            errors[case["id"]] = f"{type(error).__name__}: {error}"
    (folder / "errors.json").write_text(json.dumps(errors))


if __name__ == "__main__":
    main(*sys.argv[1:])
