"""Presets of pairs, what stands for them in the manifest, and the recipe that goes through it all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import pytest
from pairs_helpers import color_film

from videocolor.datasets.pairs.build import build_pairs
from videocolor.datasets.pairs.manifest import read_manifest
from videocolor.datasets.pairs.review import contact_sheet, spread_out
from videocolor.datasets.pairs.settings import PairsConfig, settings_id
from videocolor.errors import ConfigError, InputError
from videocolor.presets import dump_yaml, load_model

CONFIGS = Path(__file__).parents[3] / "configs" / "pairs"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_presets(file: Path) -> None:
    load_model(PairsConfig, "pairs", file)
    assert file.read_text().startswith("# "), "the first line says what the preset is for"


def test_default_preset_is_the_defaults_in_full() -> None:
    body = "\n".join((CONFIGS / "default.yaml").read_text().splitlines()[2:]) + "\n"
    assert body == dump_yaml(PairsConfig(), comments=True), "run: videocolor config show pairs/default"


def test_any_rate() -> None:
    assert load_model(PairsConfig, "pairs", "any_rate").input.min_fps == 20
    assert load_model(PairsConfig, "pairs", "references").store.mode == "references"
    assert PairsConfig().input.min_fps == 60


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("sampling.min_s=6", ["max_s 5", "min_s 6"]),
        ("sampling.rate=0", ["sampling.rate = 0", "greater than 0"]),
        ("sampling.direction=backward", ["either, before, after"]),
        ("scene.check=feeling", ["distance, histogram"]),
        ("scene.accept=-1", ["scene.accept = -1"]),
        ("store.mode=shards", ["frames, references"]),
        ("split.val=1", ["nothing to train on"]),
        ("store.qualty=3", ["did you mean quality?"]),
    ],
)
def test_mistakes_are_explained(override: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_model(PairsConfig, "pairs", None, [override])
    for part in parts:
        assert part in str(caught.value)


def test_the_id_stands_for_what_makes_the_pairs() -> None:
    base = settings_id(PairsConfig())
    assert base == settings_id(load_model(PairsConfig, "pairs", "default"))
    for override in ("sampling.seed=1", "input.min_fps=20", "scene.accept=3", "store.quality=90"):
        assert settings_id(load_model(PairsConfig, "pairs", None, [override])) != base
    assert settings_id(load_model(PairsConfig, "pairs", None, ["split.seed=1"])) == base, "splits are made afterward"


def test_config_show_knows_pairs(run_cli: Run) -> None:
    done = run_cli("config", "show", "pairs/any_rate")
    assert done.returncode == 0 and "min_fps: 20" in done.stdout and "max_s: 5" in done.stdout


@pytest.mark.slow
def test_the_recipe(root: Path, tmp_path: Path) -> None:
    for number in range(2):
        color_film(tmp_path / f"{number}.mp4", 5, Fraction(30), scenes=(number,))
    arguments = [
        tmp_path / "0.mp4",
        tmp_path / "1.mp4",
        "-o",
        tmp_path / "p",
        "--config",
        "any_rate",
        "--sheets",
        tmp_path / "s",
    ]
    done = subprocess.run(
        [sys.executable, str(root / "pipelines" / "build_pairs.py"), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    assert "pairs of 2 sources" in done.stdout
    assert (tmp_path / "p" / "review.html").exists()
    drawn = list((tmp_path / "s").glob("pairs_*.jpg"))
    assert drawn and all(cv2.imread(str(path)).shape[2] == 3 for path in drawn)


@pytest.mark.slow
def test_sheets_show_each_pair(tmp_path: Path) -> None:
    color_film(tmp_path / "a.mp4", 8)
    build_pairs([tmp_path / "a.mp4"], tmp_path / "p", load_model(PairsConfig, "pairs", None, ["sampling.rate=2"]))
    records = read_manifest(tmp_path / "p")
    chosen = spread_out(records, 5)
    assert len(chosen) == 5
    assert [r.distance for r in chosen] == sorted(r.distance for r in chosen)
    assert chosen[0].distance == min(r.distance for r in records)
    assert chosen[-1].distance == max(r.distance for r in records)
    path = contact_sheet(tmp_path / "p", chosen, tmp_path / "s.png", columns=2, height=48)
    sheet = cv2.imread(str(path))
    assert sheet.shape == (3 * (48 + 18 + 6) + 6, 2 * (2 * 85 + 2 + 12), 3)
    picture = cv2.imread(str(tmp_path / "p" / f"frames/{chosen[0].source_sha256[:16]}/{chosen[0].original_pts}.jpg"))
    small = cv2.resize(picture, (72, 48), interpolation=cv2.INTER_AREA).astype(int)
    assert abs(sheet[6:54, 12:84].astype(int) - small).mean() < 6
    with pytest.raises(InputError, match="no pair"):
        contact_sheet(tmp_path / "p", [], tmp_path / "t.png")
