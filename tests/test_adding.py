"""The steps of docs/adding.md that concern networks, presets and hints, followed from outside of the package."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
from media import make_film

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import HintError, UsageError
from videocolor.hints.files import HINT_SOURCES, collect_hints
from videocolor.models.registry import load_colorizer
from videocolor.video import open_video


@pytest.fixture
def outside(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that Python finds, with the page's code as modules `network` and `source`; the present folder."""
    page = (root / "docs" / "adding.md").read_text()
    for name, head in (("network", "Add a network"), ("source", "Add a hint source")):
        code = re.search(rf"## {head}\n.*?```python\n(.*?)```", page, re.DOTALL)
        assert code is not None
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code[1]))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("network", "source"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    gray = [[np.full((48, 64), 110 + i, np.uint8)] for i in range(6)]
    make_film(tmp_path / "in.mkv", gray, "ffv1", "gray", size=(64, 48))
    return tmp_path


def test_a_network_and_a_source_of_hints(outside: Path) -> None:
    settings = ["model.name=network:MeanColor", "hints.sources=[source:flat_color=#8080ff]", "hints.min_similarity=0"]
    config = ColorizeConfig.load(None, [*settings, "output.codec=ffv1"])
    result = colorize_video(outside / "in.mkv", outside / "out.mkv", config)
    assert result.frames == 6 and result.shots[0].hints == ["color #8080ff"]
    with open_video(outside / "out.mkv") as film:
        cb, cr = zip(*[frame.chroma for frame in film if frame.chroma is not None], strict=True)
    assert np.mean(cb) > 140 and np.mean(cr) < 128, "blue"


@pytest.mark.parametrize("name", ["network:Missing", "missing:Network", "network:np"])
def test_what_is_no_network_is_refused(name: str, outside: Path) -> None:
    with pytest.raises(UsageError, match=re.escape(name)):
        load_colorizer(name)


def test_a_preset_elsewhere(outside: Path) -> None:
    (outside / "dim.yaml").write_text("# Pale.\nchroma: {saturation: 0.25}\n")
    assert ColorizeConfig.load(str(outside / "dim.yaml"), []).chroma.saturation == 0.25


@pytest.mark.parametrize("name", sorted(HINT_SOURCES))
def test_a_source_refuses_what_is_not_there(name: str, outside: Path) -> None:
    with pytest.raises(HintError, match="missing"):
        HINT_SOURCES[name](str(outside / "missing"))


def test_bad_sources_are_refused(outside: Path) -> None:
    for entry, error in (("folder", UsageError), ("source:nobody=1", UsageError), ("source:flat_color=red", HintError)):
        with pytest.raises(error):
            collect_hints(ColorizeConfig.load(None, [f"hints.sources=[{entry}]"]))
