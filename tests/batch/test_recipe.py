"""The recipe for an archive does what its manual says."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from media import make_film


@pytest.mark.slow
def test_restore_archive(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("bagit")
    reels, out = tmp_path / "reels", tmp_path / "out"
    reels.mkdir()
    make_film(reels / "good.mkv", 12, pix_fmt="gray")
    (reels / "bad.mkv").write_bytes(b"")
    done = subprocess.run(
        [
            *(sys.executable, str(root / "pipelines/restore_archive.py"), str(reels), "-o", str(out)),
            *("--config", "master", "--set", "model.name=constant", "--set", "disk.check=false"),
        ],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 1, done.stderr
    assert "error: bad" in done.stderr and "is empty" in done.stderr and "Traceback" not in done.stderr
    assert "1 of 2 films are finished, 1 failed" in done.stdout
    rows = {row["film"]: row for row in csv.DictReader((out / "archive.csv").read_text().splitlines())}
    assert (rows["good"]["state"], rows["good"]["frames"], rows["good"]["problem"]) == ("done", "12", "")
    assert len(rows["good"]["sha256"]) == 64 and "is empty" in rows["bad"]["problem"]
    assert (out / "before_after.jpg").stat().st_size > 1000
    assert (out / "good_colorized.mkv.bag").is_dir(), "the preset asks for packages"
