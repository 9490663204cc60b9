"""The Python API: docs/guides/python.md runs and is typed, public names are kept, values are fit for programs."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media import make_film
from scenes import pan, write_truth

import videocolor
from videocolor.evaluation.tasks import luma_codes
from videocolor.video import open_video

NAMES = Path(__file__).parent / "public_names.txt"
INTERFACES = {
    "videocolor.errors": "",
    "videocolor.models.base": "",
    "videocolor.pipeline.smoothing": "Smoother Moment Delay",
    "videocolor.pipeline.propagation": "Propagator",
    "videocolor.hints.files": "HintSource",
    "videocolor.keyframes.choose": "Ranking",
    "videocolor.evaluation.metrics.base": "",
    "videocolor.evaluation.tasks": "Method ChromaMethod Task ShotTask GivenHint ShotHint",
    "videocolor.engines.base": "Engine",
}
"""Modules of docs/developing/adding.md, and what of them is public; nothing named: all of `__all__`."""


def examples(root: Path) -> dict[str, str]:
    """Heading -> its example."""
    found = {}
    for part in (root / "docs/guides/python.md").read_text().split("## ")[1:]:
        for number, code in enumerate(re.findall(r"```python\n(.*?)```", part, re.DOTALL)):
            found[f"{part.partition(chr(10))[0]} {number}"] = code
    return found


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """film.mkv (gray), color.mkv (the same in color) and still.png (its first frame)."""
    folder = tmp_path_factory.mktemp("films")
    truth = pan(5, 2)
    write_truth(folder / "color.mkv", truth)
    lumas = [[luma_codes(rgb, "bt601")] for rgb in truth]
    make_film(folder / "film.mkv", lumas, "ffv1", "gray", rate=Fraction(10), size=(96, 64), tags={"color_range": 2})
    import cv2

    cv2.imwrite(str(folder / "still.png"), truth[0][..., ::-1])
    return folder


def test_the_examples_run(
    root: Path, films: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(films)
    found = examples(root)
    assert len(found) == 8
    for name, code in found.items():
        lines = [line for line in code.splitlines() if line and "import" not in line]
        assert len(lines) <= 10, name
        exec(compile(code, name, "exec"), {"__name__": "example"})
        assert capsys.readouterr().out or "Stop" in name or "film_later" in code


@pytest.mark.slow
def test_the_examples_are_typed(root: Path, tmp_path: Path) -> None:
    for number, code in enumerate(examples(root).values()):
        (tmp_path / f"example_{number}.py").write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(root / "pyproject.toml"), str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def _parts(name: str, value: Any) -> list[str]:
    """A name, the parameters of a function, the public attributes of a class."""
    if inspect.isclass(value):
        made = [key for key in vars(value) if not key.startswith("_")]
        fields = [field.name for field in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else []
        return [name, *(f"{name}.{key}" for key in sorted({*made, *fields}) if key[0] != "_")]
    if inspect.isfunction(value):
        return [name, *(f"{name}({parameter})" for parameter in inspect.signature(value).parameters)]
    return [name]


def public_names() -> list[str]:
    """All that is public, a line each."""
    found = [part for name in videocolor.__all__ for part in _parts(name, getattr(videocolor, name))]
    for module, names in INTERFACES.items():
        loaded = __import__(module, fromlist=["_"])
        for name in names.split() or loaded.__all__:
            found += [f"{module}:{part}" for part in _parts(name, getattr(loaded, name))]
    return sorted(set(found))


def test_public_names_are_kept(root: Path) -> None:
    """New functions and classes are listed: `python tests/test_api.py`. What went away has a line in the changelog."""
    listed, present = NAMES.read_text().split("\n")[:-1], public_names()
    new = sorted(name for name in set(present) - set(listed) if not re.search(r"[.(]", name.rpartition(":")[2]))
    assert not new, f"list what is new: python tests/test_api.py adds {new[:5]}"
    section = (root / "CHANGELOG.md").read_text().split("\n## ")[1]
    for name in sorted(set(listed) - set(present)):
        short = re.split(r"[:]", name)[-1]
        assert f"`{short}`" in section, f"{name} went away: say so in CHANGELOG.md, as `{short}`"


def test_frames_are_pickled_without_the_decoder(films: Path) -> None:
    with open_video(films / "color.mkv") as video:
        frame = next(iter(video))
        again = pickle.loads(pickle.dumps(frame))
        np.testing.assert_array_equal(again.luma, frame.luma)
        assert again.native is None and frame.native is not None
        assert (again.pts, again.time_base, again.color) == (frame.pts, frame.time_base, frame.color)
        for mine, other in zip(again.chroma, frame.chroma or (), strict=True):
            np.testing.assert_array_equal(mine, other)


def test_arrays_stay_out_of_repr() -> None:
    for name in videocolor.__all__:
        kind = getattr(videocolor, name)
        if dataclasses.is_dataclass(kind):
            for field in dataclasses.fields(kind):
                assert not (field.repr and "Array" in str(field.type)), f"{name}.{field.name}"
    hint = videocolor.Hint("still.png", np.zeros((9, 9, 3), np.float32))
    assert repr(hint) == "Hint(name='still.png', time=None)"


if __name__ == "__main__":
    NAMES.write_text("\n".join(sorted({*NAMES.read_text().split(), *public_names()})) + "\n")
