"""Two processes under torchrun learn what one learns from the whole batch; only the first one writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from tests.training.training_helpers import make_pack
from videocolor.errors import ConfigError, DeviceError
from videocolor.models.artifact import load_checkpoint
from videocolor.training import loop
from videocolor.training.config import TrainConfig
from videocolor.training.distributed import ProcessGroup, join_process_group


def _run(root: Path, processes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    starter = [sys.executable]
    if processes > 1:
        starter += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.run(
        [*starter, str(root / "tests/training/two_processes.py"), "train", *arguments],
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=250,
    )


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path: Path, root: Path) -> None:
    make_pack(tmp_path / "pack")
    settings = {
        "threads": 1,
        "bf16": False,
        "device": "cpu",
        "log_every": 1,
        "phases": [{"steps": 3, "size": 32, "batch": 6}],
        "data": {"pack": str(tmp_path / "pack"), "held_pack": str(tmp_path / "none")},
        "samples": {"none": 0.5, "two": 0.3},
        "optimizer": {"warmup": 2, "encoder_lr": 1e-4, "encoder_from": 15},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**settings, "out": "unset"}))
    contents = {}
    for processes in (1, 2):
        out = tmp_path / f"of{processes}"
        result = _run(root, processes, "--config", str(tmp_path / "tiny.yaml"), "--set", f"out={out}", "--json")
        assert result.returncode == 0, result.stderr
        events = [json.loads(line) for line in result.stdout.splitlines()]
        assert [event["event"] for event in events] == ["start", *["progress"] * 3, "done"]  # one of them speaks
        weights = f"of{processes}.safetensors"
        assert sorted(path.name for path in out.iterdir()) == ["checkpoint.pt", "metrics.jsonl", weights]
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        contents[processes] = (load_checkpoint(out / "checkpoint.pt"), rows)
    (one, rows1), (two, rows2) = contents[1], contents[2]
    for row1, row2 in zip(rows1, rows2, strict=True):
        for key in ("total", "color", "gradient", "matching", "error", "norm"):
            assert row1[key] == pytest.approx(row2[key], rel=1e-3), key
    for name, moment in one["optimizer"]["state"].items():
        torch.testing.assert_close(two["optimizer"]["state"][name]["exp_avg"], moment["exp_avg"], rtol=1e-2, atol=1e-6)
    apart = max(float((one["net"][name] - value).abs().max()) for name, value in two["net"].items())
    assert apart < 2e-4  # AdamW moves every weight by about the rate, 1e-3 here, however small its gradient


def test_a_batch_that_cannot_be_shared() -> None:
    config = TrainConfig(out=Path("x"), phases=[{"steps": 1, "size": 32, "batch": 5}])
    with pytest.raises(ConfigError, match="batch of 5 cannot be shared among 2"):
        loop.make_task(config).begin(ProcessGroup(0, 2, torch.device("cpu")), False)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("cpu", "auto"):
        with join_process_group(name) as team:
            assert team == ProcessGroup(0, 1, torch.device("cpu")) and team.first
    with pytest.raises(DeviceError, match="no CUDA device"), join_process_group("cuda"):
        pass
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _number: None)
    with join_process_group("auto") as team:
        assert team.device == torch.device("cuda", 0)
    with pytest.raises(DeviceError, match="GPU 2 is not there"), join_process_group("cuda:2"):
        pass
