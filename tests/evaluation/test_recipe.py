"""pipelines/evaluate_hint_network.py on a second of film."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import pytest
import yaml


def test_scores_of_all_methods(tmp_path: Path, root: Path, samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(root / "pipelines/evaluate_hint_network.py"))["main"]
    film = next(samples.glob("man_yellow*.mp4"))
    (tmp_path / "train").mkdir()
    shutil.copy(film, tmp_path / "train" / "film.mp4")
    held_back, report = tmp_path / "held.yaml", tmp_path / "scores.json"
    held_back.write_text(yaml.safe_dump({"clips": [{"file": "film.mp4"}]}))
    main([str(tmp_path), "--held-back", str(held_back), "--seconds", "0.2", "--json", str(report)])
    scores = json.loads(report.read_text())["scores"]["film.mp4"]
    assert scores["hint"]["psnr"] > scores["gray"]["psnr"] + 3
    assert scores["gray"]["colorfulness"] < 1 < scores["hint"]["colorfulness"]
    assert "| hint |" in capsys.readouterr().out
