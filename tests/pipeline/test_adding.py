"""The steps of docs/adding.md that concern the pipeline, followed."""

from __future__ import annotations

import re
import textwrap
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media import make_film

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import UsageError
from videocolor.pipeline.smoothing import SMOOTHERS
from videocolor.video import open_video

SETTINGS = ["model.name=constant", "output.codec=ffv1", "output.sidecar=false", "shots.max_shard=4", "model.batch=1"]


def test_a_way_of_smoothing(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (root / "docs" / "adding.md").read_text()
    code = re.search(r"## Add a way of smoothing.*?```python\n(.*?)```", page, re.DOTALL)
    assert code is not None
    methods = SMOOTHERS.copy()
    for module in ("smoothing", "scheduling"):
        monkeypatch.setattr(f"videocolor.pipeline.{module}.SMOOTHERS", methods)
    scope: dict[str, object] = {"__name__": __name__}
    exec(textwrap.dedent(code[1]), scope)
    rng = np.random.default_rng(0)
    frames = [[rng.integers(16, 235, (48, 64)).astype(np.uint8)] for _ in range(70)]
    make_film(tmp_path / "in.mkv", frames, "ffv1", "gray", rate=Fraction(8), size=(64, 48))
    made = []
    for name in ("hold", "none"):
        config = ColorizeConfig.load(None, [*SETTINGS, f"smoothing.method={name}", "model.keyframe_interval=4"])
        colorize_video(tmp_path / "in.mkv", tmp_path / f"{name}.mkv", config)
        with open_video(tmp_path / f"{name}.mkv") as video:
            made.append(np.stack([frame.chroma for frame in video if frame.chroma is not None]))
    assert len(made[0]) == 70 and set(methods) - set(SMOOTHERS) == {"hold"}
    np.testing.assert_array_equal(*made, err_msg="this network's chroma is the same for every frame")


@pytest.mark.parametrize("key", ["method", "propagation"])
def test_an_unknown_method_is_refused(key: str, tmp_path: Path) -> None:
    make_film(tmp_path / "in.mkv", [[np.full((48, 64), 90, np.uint8)]], "ffv1", "gray", size=(64, 48))
    config = ColorizeConfig.load(None, [*SETTINGS, f"smoothing.{key}=wish"])
    with pytest.raises(UsageError, match=rf"smoothing\.{key}: there is no method 'wish'"):
        colorize_video(tmp_path / "in.mkv", tmp_path / "out.mkv", config)
