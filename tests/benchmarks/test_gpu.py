"""Every step of `benchmarks/gpu.sh` in small on the CPU: what is kept ready for a GPU runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_step_runs_in_small(root: Path, tmp_path: Path) -> None:
    made = tmp_path / "gpu.json"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(root)}
    subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--small", "-o", made],
        cwd=root,
        env=environment,
        check=True,
    )
    found = json.loads(made.read_text())
    assert {"machine", "parity", "forward", "films", "memory", "training"} <= set(found)
    assert found["parity"]["hint, 1 hints, fp32"]["largest_ab"] < 0.05
    assert found["memory"]["said"][-1].endswith("halved to 1")
    assert all(line["total"] > 0 for lines in found["training"].values() if isinstance(lines, list) for line in lines)
