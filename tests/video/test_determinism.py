"""The default encoders give the same samples each time; what is promised of each is in docs/guides/python.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.determinism import VARIANTS, digest, write

DEFAULTS = [name for name in VARIANTS if " " not in name]


@pytest.mark.parametrize(
    "codec", [pytest.param(name, marks=() if name == "libx264" else pytest.mark.slow) for name in DEFAULTS]
)
def test_two_runs_give_the_same_samples(codec: str, samples: Path, tmp_path: Path) -> None:
    """Without `asm=AVX2` x264 fails here on every CPU with AVX-512."""
    suffix, options = VARIANTS[codec]
    targets = [tmp_path / f"{run}{suffix}" for run in range(2)]
    for target in targets:
        write(samples / "london_station_60fps.mp4", target, codec, options, 0.3)
    assert digest(targets[0]) == digest(targets[1])
    assert np.ptp([target.stat().st_size for target in targets]) < 64
