"""What a run writes on the way: scores and pictures of held-back footage, metrics.jsonl, TensorBoard, events."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from skimage.color import lab2rgb, rgb2lab

from tests.training.training_helpers import make_pack, tiny_config
from videocolor.errors import UsageError
from videocolor.events import Event, ignore
from videocolor.models.hint.network import HintNet
from videocolor.training import loop
from videocolor.training.config import TrainConfig, ValidationConfig
from videocolor.training.hint.validate import contact_sheet, recolor, validate
from videocolor.training.log import TrainingLog

SMALL = ValidationConfig(batches=1, batch=2, size=32, pictures=2)


def test_recolor_keeps_lightness_and_takes_chroma() -> None:
    rgb = cv2.resize(skimage.data.astronaut(), (64, 48), interpolation=cv2.INTER_AREA)
    gray = recolor(rgb, np.zeros((2, 24, 32), np.float32))
    lightness = rgb2lab(rgb)
    lightness[..., 1:] = 0
    np.testing.assert_allclose(gray, lab2rgb(lightness) * 255, atol=1)
    flat = recolor(np.full((8, 8, 3), 119, np.uint8), np.full((2, 4, 4), 20, np.float32))
    np.testing.assert_allclose(rgb2lab(flat)[4, 4], [50, 20, 20], atol=0.8)


def test_an_untrained_network_scores_as_gray(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = HintNet()  # its last layer is zero
    scores = validate(net, make_pack(tmp_path), None, SMALL)
    assert {
        f"{k}_{n}" for k in ("auto", "hint", "spots", "wrong") for n in ("rms", "gain", "chroma", "psnr", "de")
    } < set(scores)
    assert "carried_psnr" not in scores
    assert scores["auto_gain"] == pytest.approx(0, abs=1e-6) and scores["auto_chroma"] == 0
    assert scores["auto_psnr"] == scores["gray_psnr"] and scores["auto_de"] == scores["gray_de"] > 5
    again = validate(net, make_pack(tmp_path), None, SMALL)
    assert scores == again


def test_true_colors_score_perfectly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from videocolor.training.hint import validate as module

    def omniscient(_net: Any, batch: Any) -> Any:
        lab = np.stack([np.moveaxis(rgb2lab(rgb), -1, 0)[1:] for rgb in batch.rgb]).astype(np.float32)
        small = lab.reshape(len(lab), 2, 16, 2, 16, 2).mean(axis=(3, 5))
        return small, small

    monkeypatch.setattr(module, "_ab", omniscient)
    scores = validate(HintNet(), make_pack(tmp_path), None, SMALL)
    assert scores["hint_rms"] == 0 and scores["hint_psnr"] > scores["gray_psnr"] + 10 and scores["hint_de"] < 1.5


def test_the_sheet_of_pictures(tmp_path: Path) -> None:
    net = HintNet()
    sheet = contact_sheet(net, make_pack(tmp_path), None, SMALL)
    assert sheet.shape == (14 + 2 * 33, 4 * 33, 3) and sheet.dtype == np.uint8
    truth, gray, automatic, hinted = (sheet[14:46, 33 * i : 33 * i + 32].astype(int) for i in range(4))
    assert np.ptp(truth, axis=-1).max() > 40 and np.ptp(gray, axis=-1).max() == 0
    assert np.ptp(automatic, axis=-1).max() <= 1  # untrained: no color
    np.testing.assert_array_equal(automatic, hinted)
    assert np.corrcoef(truth.mean(axis=-1).ravel(), gray[..., 0].ravel())[0, 1] > 0.6  # any of three lumas
    torch.nn.init.normal_(net.decoder.out.weight)
    colored = contact_sheet(net, make_pack(tmp_path), None, SMALL).astype(int)
    np.testing.assert_array_equal(colored[:, :65], sheet[:, :65])
    assert np.abs(colored[14:, 66:98] - colored[14:, 99:131]).max() > 5  # hints make a difference


@pytest.mark.slow
def test_a_run_validates_and_leaves_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(tmp_path, monkeypatch, steps=3)
    make_pack(config.data.held_pack, seed=5)
    config = config.model_copy(update={"validation": SMALL.model_copy(update={"every": 2})})
    events: list[Event] = []
    loop.train(config, observer=events.append)
    assert sorted(path.name for path in (config.out / "pictures").iterdir()) == ["step_000002.jpg", "step_000003.jpg"]
    assert cv2.imread(str(config.out / "pictures/step_000003.jpg")).shape == (14 + 2 * 33, 4 * 33, 3)
    rows = [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "auto_psnr" in row] == [2, 3]
    steps = [row for row in rows if "waited" in row]
    assert len(steps) == 3 and all(0 <= row["waited"] <= 1 and row["samples_per_s"] > 0 for row in steps)
    stages = [event.data["stage"] for event in events]
    assert stages == ["train", "train", "validate", "train", "validate"]
    assert events[0].data["eta_s"] > 0 and events[0].data["steps"] == 3


def test_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig(out=tmp_path, phases=[{"steps": 1, "size": 32, "batch": 1}], tensorboard=True, log_every=1)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"pip install 'videocolor\[train\]'"):
        TrainingLog(config, 0, ignore, quiet=False)
    written: list[tuple[Any, ...]] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            written.append((folder, purge_step))

        def add_scalar(self, *arguments: Any) -> None:
            written.append(arguments)

        def add_image(self, name: str, picture: Any, step: int, dataformats: str) -> None:
            written.append((name, picture.shape, step, dataformats))

        def close(self) -> None:
            written.append(("closed",))

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with TrainingLog(config, 3, ignore, quiet=False) as journal:
        journal.step(3, 8, 0.0, {"total": 2.0, "lr": 0.1})
        journal.validated(4, {"auto_psnr": 25.0}, np.zeros((5, 6, 3), np.uint8))
    assert (str(tmp_path / "tensorboard"), 4) in written and ("train/total", 2.0, 4) in written
    assert ("validate/auto_psnr", 25.0, 4) in written and ("pictures", (5, 6, 3), 4, "HWC") in written
    assert written[-1] == ("closed",)
    TrainingLog(config, 0, ignore, quiet=True)
    assert len(written) and not (tmp_path / "quiet").exists()
