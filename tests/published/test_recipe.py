"""The recipe: one command trains what is missing, scores it, and writes the page; given again it does nothing anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import published_systems as recipe
import pytest
from click.testing import CliRunner
from media import make_film

from tests.published.tiny import make_pack
from videocolor.errors import InputError
from videocolor.models.registry import load_colorizer

SMALL = ("data.train=6", "data.validation=4", "size=16", "batch=3", "epochs=2", "threads=1", "bf16=false", "pictures=2")


def call(*arguments: str | Path) -> str:
    done = CliRunner().invoke(recipe.main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow
def test_from_a_pack_to_a_page(tmp_path: Path) -> None:
    pack, clips, out = make_pack(tmp_path / "pack"), tmp_path / "clips", tmp_path / "out"
    make_pack(tmp_path / "pack_held", 1, held=True)
    clips.mkdir()
    planes = [np.full(shape, code, np.uint8) for shape, code in (((48, 64), 120), ((24, 32), 90), ((24, 32), 170))]
    planes[0][:, ::8] = 60
    make_film(clips / "a.mkv", [planes] * 6, size=(64, 48))
    command = ["reproduce", "--data", pack, "-o", out, "--only", "h_gray,h_hint,h4,r", "--clips", clips]
    command += [part for item in SMALL for part in ("--set", item)]
    command += ["--evaluate", "scores.metrics=[ciede2000]", "--page", tmp_path / "docs" / "page.md"]
    text = call(*command)
    assert f"h4: {out / 'weights' / 'h4.safetensors'}" in text
    page = (tmp_path / "docs" / "page.md").read_text()
    assert "| h_gray | 2 | 4 |" in page and "> 0.09 -> < 0.011" in page
    assert "`h4-rgb`" in page and "| r | 12,742,850 |" in page
    assert len(list((tmp_path / "docs" / "images" / "page").glob("*.jpg"))) == 3, "no P, so no figure of it"
    scores = json.loads((out / "weights" / "scores.json").read_text())
    sha = load_colorizer(str(out / "weights" / "h4.safetensors"), device="cpu").card.sha256
    assert set(scores[sha]) == {"e1", "auto"}
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    call(*command, "--evaluate", "clips.short_side=32")
    assert all(path.stat().st_mtime_ns == before for path, before in written.items()), "trained again"


def test_presets_learn_from_a_pack_of_another_kind(tmp_path: Path) -> None:
    class Pack:
        clips: tuple[Any, ...] = ()
        images: tuple[Any, ...] = ()

    from videocolor.presets import load_model
    from videocolor.training.systems import config_class

    def fitted(name: str) -> list[str] | None:
        config: Any = load_model(config_class(f"published/{name}"), "train", f"published/{name}")
        return recipe._fitted(name, config, Pack())

    assert fitted("h4") is None, "no pairs of frames"
    assert fitted("h2") == ["data.files=''", "data.source=''", "data.kind=clips"]
    patches = fitted("p")
    assert patches is not None and patches[:2] == ["data.files=''", "data.scenes=[]"]
    assert not any("kind" in change for change in patches), "frames stand in for pictures by themselves"


def test_settings_of_one_run_and_of_all() -> None:
    from videocolor.training.systems import config_class

    names, wanted = ["p", "r"], ["seed=3", "r:epochs=2", "p:maps.steps=9"]
    assert recipe.changes_of("r", config_class("published/r"), wanted, names) == ["seed=3", "epochs=2"]
    assert recipe.changes_of("p", config_class("published/p"), wanted, names) == ["seed=3", "maps.steps=9"]
    with pytest.raises(InputError, match="none of p, r has epocs"):
        recipe.changes_of("p", config_class("published/p"), ["epocs=2"], names)


def test_unknown_names() -> None:
    done = CliRunner().invoke(recipe.main, ["evaluate", "--only", "h9"])
    assert done.exit_code != 0
    assert "h9" in str(done.exception)


@pytest.mark.slow
def test_controls_have_a_spread(tmp_path: Path) -> None:
    import published_controls

    make_pack(tmp_path / "pack")
    make_pack(tmp_path / "pack_held", 1, held=True)
    command = ["--data", str(tmp_path / "pack"), "-o", str(tmp_path / "out"), "--rows", "2,pca", "--seeds", "0,1"]
    small = [item for item in SMALL if not item.startswith("epochs")]
    command += [part for item in (*small, "epochs=1") for part in ("--set", item)]
    done = CliRunner().invoke(published_controls.main, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    table = (tmp_path / "out" / "table.md").read_text().splitlines()
    assert len(table) == 4 and table[2].startswith("| 2 | h4 | inputs=[gray]") and table[3].count("[0.") == 2
