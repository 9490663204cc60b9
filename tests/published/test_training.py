"""Every preset trains; a resumed run equals one that never stopped; what comes out colors a film, or says why not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.published.tiny import AUTOENCODERS, NAMES, make_pack, tiny, tiny_models
from videocolor.config import ColorizeConfig
from videocolor.datasets.pack import PackReader
from videocolor.errors import ConfigError, InputError, ModelError, OutputError, UsageError, VideocolorError
from videocolor.models.artifact import load_checkpoint, read_artifact, read_checkpoint, write_artifact
from videocolor.models.base import HintInput
from videocolor.models.registry import load_colorizer
from videocolor.presets import list_presets
from videocolor.published.config import PublishedData
from videocolor.published.hetero import HeteroColorizer
from videocolor.published.training import Samples, fit_white
from videocolor.training import systems
from videocolor.training.distributed import ProcessGroup
from videocolor.training.loop import make_task, train

SLOW = pytest.mark.slow
CLOCKS = ("samples_per_s", "waited", "seconds", "cpu_seconds")
QUICK = ("h6_cured", "r_lite0", "f")
"""One preset of each system."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Weights files of untrained networks, by kind."""
    return tiny_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with the three autoencoders, trained for two steps."""
    folder = tmp_path_factory.mktemp("published")
    for name in AUTOENCODERS:
        train(tiny(name, folder), observer=lambda _event: None)
    return folder


def test_all_presets_are_tried_here() -> None:
    found = {preset.name.removeprefix("train/published/") for preset in list_presets("train/published")}
    assert {name for name in found if not name.startswith("p")} == {*AUTOENCODERS, *NAMES}


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else SLOW) for n in NAMES])
def test_a_preset_trains_and_its_network_colors(name: str, runs: Path) -> None:
    path = train(tiny(name, runs), observer=lambda _event: None)
    assert path == runs / name / f"{name}.safetensors"
    lines = (runs / name / "metrics.jsonl").read_text().splitlines()
    (row,) = (line for line in map(json.loads, lines) if "epoch" in line)
    assert 0 < row["train_mse"] < 1
    assert row["rmse"] == pytest.approx(row["mse"] ** 0.5, rel=1e-4)
    assert len(list((runs / name / "pictures").glob("*.jpg"))) == 1
    net = load_colorizer(str(path), device="cpu", threads=1)
    assert net.card.name == name
    assert net.card.hints == (
        "one" if name in ("h4", "h4_deep", "h4_recurrent", "h5", "h5_cured", "h6", "h6_cured") else "none"
    )
    size = net.card.size or (16, 24)
    luma = np.random.default_rng(0).random((2, *size), np.float32)
    hint = HintInput(luma[0], np.full((2, *size), 20, np.float32))
    memory = net.begin([hint] if net.card.hints == "one" else [])
    prediction = net.step(memory, luma)
    assert prediction.ab.shape == (2, 2, *(side // net.card.output_stride for side in size))
    again = load_colorizer(str(runs / name / "checkpoint.pt"), device="cpu", threads=1)
    difference = np.abs(again.step(again.begin([hint] if net.card.hints == "one" else []), luma).ab - prediction.ab)
    assert difference.max() < 0.05 * max(1.0, np.abs(prediction.ab).max()), "a checkpoint is the same network, float32"
    training = read_artifact(path).training
    assert str(runs) not in json.dumps(training), "no folder of this machine goes into a weights file"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["h6", pytest.param("r", marks=SLOW), pytest.param("f", marks=SLOW)])
def test_bfloat16(name: str, runs: Path, tmp_path: Path) -> None:
    config = tiny(name, runs, f"out={tmp_path / name}", "bf16=true")
    train(config, observer=lambda _event: None)
    (row,) = load_checkpoint(tmp_path / name / "checkpoint.pt")["history"]
    assert 0 < row["mse"] < 1


def test_autoencoders_learn_what_they_are_for(runs: Path) -> None:
    for kind in ("gray", "outlines", "hint"):
        task = make_task(tiny(f"h_{kind}", runs))
        task.begin(ProcessGroup(0, 1, torch.device("cpu")), False)
        source, target = task._pair(task.draw(np.arange(2), 0))
        assert source.shape[1] == (3 if kind == "hint" else 1)
        assert target.shape[1] == 3
        assert torch.equal(target[:, 0], source[:, 0]) == (kind != "outlines")


@pytest.mark.parametrize(
    "name",
    ["h5_cured", pytest.param("h_gray", marks=SLOW), pytest.param("r", marks=SLOW), pytest.param("f", marks=SLOW)],
)
def test_resuming_equals_never_having_stopped(name: str, runs: Path, tmp_path: Path) -> None:
    rows: list[Any] = []
    for part in ("whole", "halves"):
        config = tiny(name, runs, f"out={tmp_path / part}", "epochs=2", "data.augment=true")
        if part == "halves":
            assert train(config, stop_after=3, observer=lambda _event: None).name == "checkpoint.pt"
            with pytest.raises(OutputError, match="--resume"):
                train(config)
            config = tiny(name, runs, f"out={tmp_path / part}", "epochs=2", "data.augment=true")
            train(config, resume=True, observer=lambda _event: None)
        else:
            train(config, observer=lambda _event: None)
        lines = [json.loads(line) for line in (tmp_path / part / "metrics.jsonl").read_text().splitlines()]
        spent = [line["cpu_seconds"] for line in lines if "epoch" in line]
        assert 0 < spent[0] < spent[1], "the second half's clock goes on from the first's"
        rows.append([{k: v for k, v in line.items() if k not in CLOCKS} for line in lines])
    assert rows[0] == rows[1]
    nets = [load_checkpoint(tmp_path / part / "checkpoint.pt")["net"] for part in ("whole", "halves")]
    assert all(torch.equal(value, nets[1][key]) for key, value in nets[0].items())


def test_a_pack_without_the_pictures_says_what_it_has(tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack")
    with pytest.raises(InputError, match=r"no images z in this pack; --set data\.kind=clips"):
        Samples(PackReader(pack), PublishedData(pack=pack, files="z"), 16, 0)


def test_a_finished_run_goes_on_with_more_epochs(tmp_path: Path) -> None:
    train(tiny("h1", tmp_path), observer=lambda _event: None)
    train(tiny("h1", tmp_path, "epochs=3"), resume=True, observer=lambda _event: None)
    assert [row["epoch"] for row in load_checkpoint(tmp_path / "h1" / "checkpoint.pt")["history"]] == [1, 2, 3]


def test_errors_that_are_not_finite_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny("h1", tmp_path, "epochs=40")
    before = make_task(config).net.state_dict()
    monkeypatch.setattr(
        "videocolor.published.hetero_tasks.ColorTask.error",
        lambda self, _batch: next(self.net.parameters()).sum() * torch.nan,
    )
    with pytest.raises(ModelError, match="not finite; lower the learning rate"):
        train(config, observer=lambda _event: None)
    monkeypatch.undo()
    assert not (tmp_path / "h1" / "checkpoint.pt").exists() or all(
        torch.equal(value, before[key])
        for key, value in load_checkpoint(tmp_path / "h1" / "checkpoint.pt")["net"].items()
    )


def test_samples(tmp_path: Path) -> None:
    pack, data = PackReader(make_pack(tmp_path)), PublishedData(kind="clips", train=8)
    one = Samples(pack, data, 16, 3)
    assert all(np.array_equal(a, b) for a, b in zip(one.draw(np.arange(3)), one.draw(np.arange(3), 5), strict=True))
    assert not np.array_equal(one.draw(np.arange(3)).rgb, one.draw(np.arange(3)).hint)
    augmented = Samples(pack, data.model_copy(update={"augment": True, "zoom": 2.0}), 16, 3)
    assert not np.array_equal(augmented.draw(np.arange(3), 0).rgb, augmented.draw(np.arange(3), 1).rgb)
    images = Samples(pack, PublishedData(source="/sea/"), 16, 3)
    assert [item.source for item in images.items] == ["owner/set:train/sea/1.jpg", "owner/set:train/sea/4.jpg"]
    with pytest.raises(InputError, match="images nothing"):
        Samples(pack, PublishedData(files="nothing"), 16, 3)
    held = PackReader(make_pack(tmp_path / "held", held=True))
    with pytest.raises(ModelError, match="never to be trained on"):
        Samples(held, data, 16, 3)
    assert len(Samples(held, data, 16, 3, held=True)) == 500


def test_white_padding() -> None:
    picture = np.zeros((20, 40, 3), np.uint8)
    square, shown = fit_white(picture, 32)
    assert shown.sum() == 16 * 32
    assert (square[~shown] == 255).all()
    assert (square[shown] == 0).all()


@pytest.mark.slow
def test_h_gives_pictures_and_films_their_chroma(models: dict[str, Path]) -> None:
    net = load_colorizer(str(models["h"]), device="cpu", threads=1)
    assert isinstance(net, HeteroColorizer)
    luma = np.random.default_rng(0).random((1, 32, 48), np.float32)
    red, blue = (
        net.rgb(net.begin([HintInput(luma[0], np.broadcast_to(np.float32(ab).reshape(2, 1, 1), (2, 32, 48)))]), luma)
        for ab in ((60, 40), (0, -60))
    )
    assert red.shape == (1, 3, 32, 48)
    assert red.min() >= 0
    assert red.max() <= 1
    assert np.abs(red - blue).max() > 0, "the hint reaches the output"


def rewritten(source: Path, target: Path, **changes: Any) -> Path:
    """Write a weights file with another card."""
    artifact = read_artifact(source)
    card = replace(artifact.card, **changes)
    write_artifact(target, artifact.weights, card, artifact.architecture, artifact.training)
    return target


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hints": "one"}, "its card says hints = one, its network has none"),
        ({"parameters": 5}, "its card says parameters = 5"),
        ({"size": (64, 64)}, r"its card says size = \(64, 64\), its network has None"),
        ({"output_stride": 4}, "output_stride"),
    ],
)
def test_cards_that_contradict_the_file(
    models: dict[str, Path], tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = rewritten(models["r"], tmp_path / "odd.safetensors", **changes)
    with pytest.raises(ModelError, match=words):
        load_colorizer(str(path), device="cpu")


@pytest.mark.slow
def test_weights_that_do_not_fit(models: dict[str, Path], tmp_path: Path) -> None:
    r, h = read_artifact(models["r"]), read_artifact(models["h"])
    path = tmp_path / "odd.safetensors"
    write_artifact(path, h.weights, r.card, r.architecture, r.training)
    with pytest.raises(ModelError, match="the weights do not fit the network"):
        load_colorizer(str(path), device="cpu")
    write_artifact(path, r.weights, r.card, r.architecture, {})
    with pytest.raises(ModelError, match="do not say how the network is built"):
        load_colorizer(str(path), device="cpu")
    write_artifact(path, r.weights, r.card, "published-x", r.training)
    with pytest.raises(ModelError, match=r"published-x.*expected .*published-h, published-r, published-f"):
        load_colorizer(str(path), device="cpu")
    with pytest.raises(UsageError, match="torch only"):
        load_colorizer(str(models["r"]), device="cpu", runtime="onnxruntime")


def test_names_and_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("h1", "published/h1"):
        with pytest.raises(ModelError, match=rf"{name}: not trained yet.*videocolor train --config published/h1"):
            load_colorizer(name)
    for name, near in (("published/h44", "h4"), ("h5_curd", "h5_cured"), ("hnit", "hint")):
        with pytest.raises(UsageError, match=f"no network is named '{name}'; did you mean {near}?"):
            load_colorizer(name)
    with pytest.raises(ModelError, match="an autoencoder colors nothing by itself"):
        load_colorizer(str(runs / "h_gray"))
    with pytest.raises(ModelError, match="no such weights file"):
        load_colorizer("runs/none.safetensors")
    train(tiny("h1", tmp_path / "runs" / "published"), observer=lambda _event: None)
    assert load_colorizer("published/h1", device="cpu").card.name == "h1"
    assert load_colorizer("runs/published/h1", device="cpu").card.name == "h1"
    torch.save({"ema": {}, "step": 3}, tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match="no network to color with"):
        read_checkpoint(tmp_path / "checkpoint.pt")
    (tmp_path / "broken.pt").write_bytes(b"no checkpoint")
    with pytest.raises(ModelError, match=r"broken\.pt: not a readable checkpoint"):
        load_colorizer(str(tmp_path / "broken.pt"))


def test_sizes_that_a_network_does_not_take(models: dict[str, Path], tmp_path: Path) -> None:
    path = train(tiny("h1", tmp_path), observer=lambda _event: None)
    dense = load_colorizer(str(path), device="cpu")
    with pytest.raises(ModelError, match="takes 16x16 pixels only, not 24x16"):
        dense.step(None, np.zeros((1, 16, 24), np.float32))
    convolutional = load_colorizer(str(models["h"]), device="cpu")
    with pytest.raises(ModelError, match="multiples of 8 pixels, not 24x20"):
        convolutional.step(None, np.zeros((1, 20, 24), np.float32))
    hint = HintInput(np.zeros((16, 16), np.float32), np.zeros((2, 16, 16), np.float32))
    with pytest.raises(UsageError, match="takes no hint, 1 given"):
        dense.begin([hint])
    with pytest.raises(UsageError, match="takes one hint, 2 given"):
        convolutional.begin([hint, hint])


def test_runs_that_cannot_begin(runs: Path, tmp_path: Path) -> None:
    def begin(name: str, *overrides: str) -> None:
        train(tiny(name, tmp_path, *overrides, packs=runs), observer=lambda _event: None)

    cases: list[tuple[type[VideocolorError], str, tuple[str, ...]]] = [
        (ModelError, "train it first: videocolor train --config published/h_gray", ("h2",)),
        (ModelError, "not of the autoencoder 'gray'", ("h2", f"gray={runs / 'h_hint'}")),
        (ModelError, "never to be trained on", ("h1", f"data.pack={runs / 'held'}")),
        (InputError, "no pack", ("h1", f"data.pack={tmp_path / 'nowhere'}")),
        (ConfigError, "at most 64 pixels", ("h1", "size=128")),
        (ConfigError, "image alone", ("h2", "inputs=[image, gray]")),
        (ConfigError, "stretched", ("f", "data.fit=crop")),
        (ModelError, "no such ONNX file", ("f_published", "extractor=inception.onnx")),
        (
            ModelError,
            "nasnet: no such ONNX file",
            ("h6", "backbone=nasnet", *(f"{k}={runs / f'h_{k}'}" for k in ("gray", "outlines", "hint"))),
        ),
        (ModelError, "not ResNet-18", ("r", f"weights={runs / 'h_gray' / 'checkpoint.pt'}")),
        (ModelError, "not EfficientNet-Lite0", ("r_lite0", f"encoder_weights={runs / 'h_gray' / 'checkpoint.pt'}")),
    ]
    for kind, words, arguments in cases:
        with pytest.raises(kind, match=words):
            begin(*arguments)


def test_dispatch(tmp_path: Path) -> None:
    assert systems.config_class("train/hint_cpu").__name__ == "TrainConfig"
    assert systems.config_class("published/r").__name__ == "ResidualConfig"
    assert systems.trainer("published/h1") is train
    (tmp_path / "odd.yaml").write_text("system: fusionn\nout: x\n")
    with pytest.raises(
        ConfigError, match=r"odd\.yaml: system = 'fusionn': expected one of hint, keyframe, .*did you mean fusion"
    ):
        systems.config_class(tmp_path / "odd.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["h", pytest.param("r", marks=SLOW), pytest.param("f", marks=SLOW)])
def test_a_film_gets_color(kind: str, models: dict[str, Path], tmp_path: Path) -> None:
    from media import make_film

    from videocolor import colorize_video

    source, target = tmp_path / "film.mkv", tmp_path / "color.mkv"
    make_film(source, 5, size=(96, 64))
    weights = models[kind]
    changes = {"model.name": str(weights), "model.device": "cpu", "output.codec": "ffv1", "shots.detector": "none"}
    colorize_video(source, target, ColorizeConfig.load(None, (), changes), observer=lambda _event: None)
    assert target.stat().st_size > 0


def test_hints_are_refused_before_a_frame_is_decoded(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from media import make_film

    from videocolor import colorize_video

    source = tmp_path / "film.mkv"
    make_film(source, 3, size=(96, 64))
    hint = tmp_path / "hint.png"
    import cv2

    cv2.imwrite(str(hint), np.full((64, 96, 3), (20, 90, 200), np.uint8))
    changes = {"model.name": str(models["r"]), "model.device": "cpu", "hints.items": [str(hint)]}
    monkeypatch.setattr("videocolor.shots.prepare.small_luma", lambda *_: pytest.fail("a frame was decoded"))
    with pytest.raises(UsageError, match="takes no hints, 1 given"):
        colorize_video(
            source, tmp_path / "out.mkv", ColorizeConfig.load(None, (), changes), observer=lambda _event: None
        )
