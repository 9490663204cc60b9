"""The recipe: trains what is missing, scores, makes the strip, writes the report."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from media import make_film

from tests.published.tiny import make_pack


@pytest.fixture(scope="module")
def recipe(root: Path) -> Any:
    spec = importlib.util.spec_from_file_location("published_systems", root / "pipelines" / "published_systems.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_from_packs_to_a_table(recipe: Any, tmp_path: Path) -> None:
    make_pack(tmp_path / "pack")
    make_pack(tmp_path / "held", 1, held=True)
    clips, runs, out = tmp_path / "clips", tmp_path / "runs", tmp_path / "out"
    clips.mkdir()
    planes = [np.full(shape, code, np.uint8) for shape, code in (((48, 64), 120), ((24, 32), 90), ((24, 32), 170))]
    planes[0][:, ::8] = 60
    make_film(clips / "a.mkv", [planes] * 6, size=(64, 48))

    def call(*arguments: str | Path) -> str:
        done = CliRunner().invoke(recipe.main, [str(argument) for argument in arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    small = [
        f"data.pack={tmp_path / 'pack'}",
        f"data.held_pack={tmp_path / 'held'}",
        "data.train=6",
        "data.validation=4",
    ]
    small += ["size=16", "batch=3", "epochs=1", "threads=1", "bf16=false"]
    settings = [part for item in small for part in ("--set", item)]
    text = call("train", "--only", "h_gray,h_hint,h4,r", "--runs", runs, *settings)
    assert f"h4: {runs / 'h4' / 'h4.safetensors'}" in text
    assert call("train", "--only", "r", "--runs", runs) == "r: done\n"
    here = ["--clips", clips, "--runs", runs, "--only", "h4,r"]
    listed = tmp_path / "clips.yaml"
    listed.write_text("clips: [{file: a.mkv}]\n")
    quick = ["--set", "scores.metrics=[psnr_rgb,colorfulness]"]
    call("evaluate", *here, "-o", out, "--list", listed, *quick)
    for protocol, labels in (
        ("e1", {"gray", "network", "h4", "r", "h4-rgb"}),
        ("auto", {"gray", "network", "h4", "r"}),
    ):
        table = json.loads((out / protocol / "table.json").read_text())
        assert labels <= set(json.dumps(table).replace('"', " ").split()), protocol
    assert len(list((out / "rgb" / "h4").rglob("*.png"))) == 6
    call("strip", *here, "-o", out / "strip.jpg", "--list", listed, "--width", 48, "--own", "h4")
    strip = cv2.imread(str(out / "strip.jpg"))
    assert strip.shape[:2] == (36 + recipe.LABEL, 48 * 7), "truth, hint, gray, ours, two systems and h4-rgb"
    report = call("report", "-o", out / "report.md", "--runs", runs)
    assert (out / "report.md").read_text() == report
    assert "| h_gray | 1 |" in report
    assert "| r | 12,742,850 | 16x16 |" in report


def test_unknown_names(recipe: Any) -> None:
    done = CliRunner().invoke(recipe.main, ["train", "--only", "h9"])
    assert done.exit_code != 0
    assert "h9" in str(done.exception)
