"""A run's packs out of a data set of pairs."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.pairs_helpers import config
from videocolor.datasets.pack import PackReader
from videocolor.datasets.pairs.build import assemble, build_pairs
from videocolor.datasets.pairs.manifest import read_manifest
from videocolor.datasets.pairs.review import apply_decisions
from videocolor.datasets.pairs.settings import SplitConfig
from videocolor.errors import InputError
from videocolor.training.config import DataConfig, TrainConfig
from videocolor.training.distributed import ProcessGroup
from videocolor.training.packs import packed

ALONE = ProcessGroup(0, 1, torch.device("cpu"))


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Four pictures."""
    for seed in range(4):
        colors = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{seed}.bmp"), colors)
    settings = config("split.val=0", "split.test=0", "scene.check=histogram", "scene.accept=2")
    assert build_pairs([tmp_path / f"{seed}.bmp" for seed in range(4)], tmp_path / "p", settings).ok
    return tmp_path / "p"


def sources(folder: Path) -> set[str]:
    return {item.file for item in PackReader(folder).items}


def test_splits_and_decisions_are_those_of_the_manifest(pairs: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = TrainConfig(
        out=pairs / "run", phases=[{"steps": 1, "size": 32, "batch": 1}], data=DataConfig(pairs=pairs)
    )
    records = read_manifest(pairs)
    with caplog.at_level(logging.WARNING), packed(settings, ALONE) as run:
        assert sources(run.data.pack) == {record.source for record in records}
        assert not run.data.held_pack.exists()
    assert "no validation" in caplog.text
    (pairs / "mine.txt").write_text(f"reject {records[0].pair_id}\n")
    apply_decisions(pairs, pairs / "mine.txt")
    with packed(settings, ALONE) as run:
        assert sources(run.data.pack) == {record.source for record in records[1:]}
    assemble(pairs, SplitConfig(val=0.4, test=0, seed=1, held_back=(), near_duplicates=False))
    split = {record.source: record.split for record in read_manifest(pairs) if record.decision == "accepted"}
    with packed(settings, ALONE) as run:
        for folder, name in ((run.data.pack, "train"), (run.data.held_pack, "val")):
            assert sources(folder) == {source for source, where in split.items() if where == name} != set()
    assemble(pairs, SplitConfig(val=0.99, test=0, held_back=(), near_duplicates=False))
    with pytest.raises(InputError, match="no accepted pair in the split train"), packed(settings, ALONE):
        pass
