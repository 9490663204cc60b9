"""The recipe: one command trains what is missing, scores it, and writes the page; given again it does nothing anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import published_controls
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
    assert set(scores[sha]) == {"e1", "auto", "hours"}
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


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("reproduce --data . -o out", "no film and no picture"),
        ("page -o out --only h4", "none of h4 is trained"),
        ("evaluate -o out --only h4", "none of h4 is trained"),
    ],
)
def test_nothing_to_work_on(command: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(recipe.main, command.split())
    assert isinstance(done.exception, InputError) and message in str(done.exception)


@pytest.mark.slow
def test_controls_are_trained_once(tmp_path: Path) -> None:
    make_pack(tmp_path / "pack")
    make_pack(tmp_path / "pack_held", 1, held=True)
    command = [
        "train",
        "--data",
        str(tmp_path / "pack"),
        "-o",
        str(tmp_path / "out"),
        "--rows",
        "2,pca",
        "--seeds",
        "0,1",
    ]
    command += [part for item in (*SMALL, "epochs=1") for part in ("--set", item)]
    for _ in range(2):
        done = CliRunner().invoke(published_controls.main, command, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [len(run) for row in ("2", "pca") for run in found[row]["runs"].values()] == [1] * 4


def test_page_of_controls(tmp_path: Path) -> None:
    run = [{"train_mse": 0.04, "mse": mse, "sharpness": 0.5, "cpu_seconds": 90} for mse in (0.04, 0.02, 0.03)]
    other = [{**run[-1], "mse": 0.05}]
    network = {
        "neurons": 25,
        "position": True,
        "commonest": 0.1,
        "train": 0.4,
        "test": 0.3,
        "unseen": 0.2,
        "seconds": 30,
    }
    entry = {"changes": [], "settings": ["size=32", "r:epochs=3"]}
    rows = {
        "2": {**entry, "preset": "h4", "runs": {"0": run, "1": other}},
        "r": {**entry, "preset": "r", "runs": {"0": run}},
        "placed": {**entry, "preset": "p_colors", "runs": {"0": [network]}},
    }
    (tmp_path / "results.json").write_text(json.dumps(rows))
    command = ["page", str(tmp_path / "results.json"), str(tmp_path / "page.md")]
    done = CliRunner().invoke(published_controls.main, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    text = (tmp_path / "page.md").read_text()
    assert (
        "| 2 | h4 |  | 2 | 0.0400 [0.0300, 0.0500] | 1.00 [1.00, 1.00] | 0.50 [0.50, 0.50] | 1.5 [1.5, 1.5] |" in text
    )
    assert "| r | epochs=3 | 0 | 3 | 0.0400 -> 0.0400 | 0.0400 -> 0.0300 | 0.0200 (2) | 1.5 |" in text
    assert "| 25 | yes | 1 | 0.100 | 0.400 | 0.300 | 0.200 | 0.5 |" in text
    assert text.count("Settings: `size=32`.") == 2 and (tmp_path / "images" / "page.png").is_file()
