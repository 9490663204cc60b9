"""The commands of docs/guides/training.md, in their order; the training run is shortened."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "guides" / "training.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```bash\n(.*?)^```", PAGE, re.M | re.S)
    for line in block.replace("\\\n", " ").splitlines()
]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_from_footage_to_a_colored_film(tmp_path: Path) -> None:
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    assert [words[1] for words in COMMANDS] == ["pairs", "pairs", "pairs", "train", "colorize", "score"]
    for words in COMMANDS:
        short = ["--set", "length=0.003"] if words[1] == "train" else []
        done = subprocess.run(
            [sys.executable, "-m", *words, *short],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "PAIRS" / "review.html").is_file()
    rows = [json.loads(line) for line in (tmp_path / "runs/own/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["hint_psnr"] > 20 and list((tmp_path / "runs/own/pictures").iterdir())
    record = json.loads((tmp_path / "flower.mkv.json").read_text())
    assert record["model"]["name"] == "own"
