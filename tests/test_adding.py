"""The steps of docs/developing/adding.md, followed from outside of the package; and what the border does not let in."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
import textwrap
import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media import make_film
from scenes import still, write_truth

from videocolor import plugins
from videocolor.colorize import ColorizeResult, colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import HintError, Interrupted, PluginError, UsageError
from videocolor.evaluation.evaluate import evaluate
from videocolor.evaluation.metrics.base import Metric
from videocolor.evaluation.settings import EvaluateConfig
from videocolor.evaluation.table import table_markdown
from videocolor.evaluation.tasks import Method, Task
from videocolor.hints.files import HINT_SOURCES, collect_hints
from videocolor.keyframes.choose import write_keyframes
from videocolor.models.base import Colorizer, HintInput, Prediction, check_prediction
from videocolor.models.registry import load_colorizer
from videocolor.pipeline.smoothing import check_chroma
from videocolor.shards.plan import settings_hash
from videocolor.types import Array
from videocolor.video import open_video

MODULES = {
    "network": ("developing/adding.md", "Add a network"),
    "smoothing": ("developing/adding.md", "Add a way of smoothing"),
    "method": ("developing/adding.md", "Add a method to compare"),
    "keyframes": ("developing/adding.md", "Add a choice of keyframes"),
    "source": ("developing/adding.md", "Add a hint source"),
    "metric": ("reference/scores.md", "Add a metric"),
}
"""Module -> page and heading that its code is under."""
QUICK = ["model.name=constant", "output.codec=ffv1", "shots.max_shard=4", "model.batch=1", "model.keyframe_interval=4"]


@pytest.fixture
def outside(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that Python finds, with the pages' code as modules; the present folder."""
    for name, (page, head) in MODULES.items():
        text = (root / "docs" / page).read_text()
        code = re.search(rf"## {head}\n.*?```python\n(.*?)```", text, re.DOTALL)
        assert code is not None
        (tmp_path / f"outside_{name}.py").write_text(textwrap.dedent(code[1]))
        monkeypatch.delitem(sys.modules, f"outside_{name}", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    gray = [[np.full((48, 64), 110 + i, np.uint8)] for i in range(6)]
    make_film(tmp_path / "in.mkv", gray, "ffv1", "gray", size=(64, 48))
    return tmp_path


class Renamed(Colorizer):
    """The network of the page, of other code."""

    def __init__(self, device: str, threads: int | None) -> None:
        self.own = load_colorizer("outside_network:MeanColor")
        self.card = self.own.card

    def begin(self, hints: Sequence[HintInput]) -> Any:
        return self.own.begin(hints)

    def step(self, state: Any, luma: Array, propagated: Array | None = None, /) -> Prediction:
        return self.own.step(state, luma)


def chroma(path: Path) -> Array:
    with open_video(path) as film:
        return np.stack([np.stack(frame.chroma) for frame in film if frame.chroma is not None])


def test_a_network_and_a_source_of_hints(outside: Path) -> None:
    settings = ["hints.sources=[outside_source:flat_color=#8080ff]", "hints.min_similarity=0", "output.codec=ffv1"]
    named = ColorizeConfig.load(None, [*settings, "model.name=outside_network:MeanColor"])
    result = colorize_video("in.mkv", "out.mkv", named)
    assert result.frames == 6 and result.shots[0].hints == ["color #8080ff"]
    cb, cr = np.moveaxis(chroma(outside / "out.mkv"), 1, 0)
    assert cb.mean() > 140 and cr.mean() < 128, "blue"
    kind = importlib.import_module("outside_network").MeanColor
    colorize_video(
        outside / "in.mkv", outside / "given.mkv", ColorizeConfig.load(None, settings), colorizer=kind("", 1)
    )
    np.testing.assert_array_equal(chroma(outside / "given.mkv"), chroma(outside / "out.mkv"))
    code = hashlib.sha256((outside / "outside_network.py").read_bytes()).hexdigest()
    for name in ("out", "given"):
        record = json.loads((outside / f"{name}.mkv.json").read_text())
        assert record["plugins"] == [f"outside_network:MeanColor, sha256 {code}"]
        assert record["config"]["model"]["name"] == "outside_network:MeanColor"
    assert settings_hash(named, load_colorizer(named.model.name), "") != settings_hash(named, Renamed("", None), "")
    with pytest.raises(UsageError, match=r"model\.automatic"):
        colorize_video("in.mkv", "no.mkv", ColorizeConfig.load(None, ["model.automatic=hint"]), colorizer=kind("", 1))


@pytest.mark.slow
def test_a_way_of_smoothing(outside: Path) -> None:
    hold = importlib.import_module("outside_smoothing").hold
    for name, given in (("named", "outside_smoothing:hold"), ("given", hold), ("none", "none")):
        colorize_video("in.mkv", f"{name}.mkv", ColorizeConfig.load(None, QUICK), smoother=given)
        record = json.loads((outside / f"{name}.mkv.json").read_text())
        assert record["config"]["smoothing"]["method"] == ("none" if name == "none" else "outside_smoothing:hold")
        assert len(record["plugins"]) == (name != "none")
        np.testing.assert_array_equal(chroma(outside / f"{name}.mkv"), chroma(outside / "named.mkv"))
    with pytest.raises(UsageError, match="top level of a module"):
        colorize_video("in.mkv", "no.mkv", smoother=lambda settings, cap: hold(settings, cap))


def test_a_method_a_metric_and_a_choice_of_keyframes(outside: Path) -> None:
    (outside / "clips").mkdir()
    write_truth(outside / "clips" / "still.mkv", still(2))
    config = EvaluateConfig.model_validate({"protocol": {"name": "auto"}})
    brown = importlib.import_module("outside_method").Brown
    bias = importlib.import_module("outside_metric").RedBias
    networks = ["network@outside_network:MeanColor", "videocolor@outside_network:MeanColor"]
    given = evaluate("clips", "out", config, methods=["gray", brown, *networks], metrics=[bias, "psnr_rgb"])
    assert all("outside_network:MeanColor, sha256" in str(given.identities[name]) for name in networks)
    assert "red, bias" in table_markdown(given) and "outside_method:Brown" in given.labels
    scores = {row.method: row.scores for row in given.rows}
    assert scores["outside_method:Brown"]["red_bias"] > scores["gray"]["red_bias"] + 5
    assert scores["gray"]["ssim"] is None and scores["gray"]["psnr_rgb"] > 0
    text = (outside / "outside_metric.py").read_text()
    (outside / "outside_metric.py").write_text(f"{text}\n# changed\n")
    changed = importlib.reload(sys.modules["outside_metric"]).RedBias
    again = evaluate("clips", "out", config, methods=["gray"], metrics=[changed, "psnr_rgb"])
    assert len(list((outside / "out" / "done" / "still").glob("gray-*.json"))) == 2, "other code, other rows"
    assert again.rows[1].scores == scores["gray"]
    (kept,) = write_keyframes("in.mkv", "frames", ranking="outside_keyframes:brightest", per_shot=1)
    assert "00000.208s" in kept.name, "the last one"
    with pytest.raises(PluginError, match=r"ranking of shot 1: \[-1\]"):
        write_keyframes("in.mkv", "frames", ranking=lambda views: [-1])


def test_installed_packages_add_names(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = outside / "colors_of_mine-1.5.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: colors-of-mine\nVersion: 1.5\n")
    (about / "top_level.txt").write_text("outside_network\n")
    (about / "entry_points.txt").write_text("[videocolor.colorizers]\nmean = outside_network:MeanColor\n")
    forget = (plugins.installed.cache_clear, plugins._entry_points.cache_clear)
    for clear in forget:
        clear()
    try:
        colorizer = load_colorizer("mean")
        assert colorizer.card.name == "mean"
        assert colorizer.plugins[0].startswith("outside_network:MeanColor, colors-of-mine 1.5, sha256 ")
        with pytest.raises(UsageError, match="did you mean mean"):
            load_colorizer("means")
    finally:
        for clear in forget:
            clear()


LUMA = np.zeros((2, 32, 64), np.float32)
GOOD = np.zeros((2, 2, 16, 32), np.float32)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (GOOD, "returned ndarray"),
        (Prediction(GOOD[:1]), "1 frames of 16x32; expected 2"),
        (Prediction(np.zeros((2, 2, 64, 64), np.float32)), "at most 32x64"),
        (Prediction(GOOD.astype(float)), "ab is float64"),
        (Prediction(GOOD + np.nan), "ab has values that are not finite"),
        (Prediction(GOOD + 200), "mean of |a*b*| is 200"),
        (Prediction(GOOD, GOOD[:, 0] + 2), "confidence 2..2"),
        (Prediction(GOOD, None, GOOD[:, 0] - 1), "error of 0 or more"),
    ],
)
def test_what_a_network_may_not_return(found: Any, message: str) -> None:
    with pytest.raises(PluginError, match=re.escape(message)) as caught:
        check_prediction(found, LUMA, "mine")
    assert "network mine" in str(caught.value)
    assert check_prediction(Prediction(GOOD), LUMA, "mine").ab is GOOD


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "returned NoneType"),
        ([GOOD[0]], "1 frames; expected a list of 2"),
        ([GOOD[0], GOOD[0, 0]], "(16, 32) float32; expected (2, h, w)"),
        ([GOOD[0], GOOD[0] + np.inf], "not finite"),
    ],
)
def test_what_smoothing_may_not_return(found: Any, message: str) -> None:
    with pytest.raises(PluginError, match=re.escape(message)):
        check_chroma(found, 2, "mine")


class Wrong(Metric):
    """Measures nothing."""

    name = "wrong"
    keys = ("wrong",)

    def measure(self, frame: Any) -> dict[str, float]:
        return {"wrong": float("nan")}


class Again(Wrong):
    keys = ("ssim",)


class Cut(Method):
    """Colors one frame."""

    name = "cut"

    def color(self, task: Task) -> Any:
        yield np.zeros((*task.luma.shape[1:], 3), np.uint8)


class Floats(Cut):
    def color(self, task: Task) -> Any:
        return (np.zeros((*luma.shape, 3), np.float32) for luma in task.luma)


@pytest.mark.parametrize(
    ("methods", "metrics", "error", "message"),
    [
        ([Cut], None, PluginError, "yielded 1 of the 2 frames"),
        ([Floats], None, PluginError, "float32; expected"),
        (["gray"], [Wrong], PluginError, "wrong is nan"),
        (["gray"], [Again], UsageError, "ssim is there already"),
        (["gray"], ["videocolor.color:lab_of"], UsageError, "is no "),
        (["videocolor.color:lab_of"], None, UsageError, "is no "),
        (["gray"], ["ssin"], UsageError, "did you mean ssim"),
    ],
)
def test_what_methods_and_metrics_may_not_do(
    methods: Sequence[Any], metrics: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    write_truth(tmp_path / "still.mkv", still(2))
    config = EvaluateConfig.model_validate({"protocol": {"name": "e1"}, "scores": {"metrics": ["psnr_rgb"]}})
    with pytest.raises(error, match=message):
        evaluate(tmp_path, tmp_path / "out", config, methods=methods, metrics=metrics)


class Later(threading.Event):
    """Set when it has been looked at so often."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.left = looks

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_a_run_that_is_cancelled_is_continued(tmp_path: Path) -> None:
    frames = [[np.full((48, 64), 60 + i, np.uint8)] for i in range(70)]
    make_film(tmp_path / "in.mkv", frames, "ffv1", "gray", rate=Fraction(8), size=(64, 48))

    def color(cancel: threading.Event) -> ColorizeResult:
        return colorize_video(
            tmp_path / "in.mkv", tmp_path / "out.mkv", ColorizeConfig.load(None, QUICK), cancel=cancel
        )

    with pytest.raises(Interrupted, match="cancelled"):
        color(Later(0))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]
    with pytest.raises(Interrupted):
        color(Later(50))
    assert not (tmp_path / "out.mkv").exists()
    result = color(threading.Event())
    assert result.frames == 70 and 0 < result.resumed < 50


@pytest.mark.parametrize("name", ["outside_network:Missing", "missing:Network", "outside_network:np"])
def test_what_is_no_network_is_refused(name: str, outside: Path) -> None:
    with pytest.raises(UsageError, match=re.escape(name)):
        load_colorizer(name)


def test_a_preset_elsewhere(outside: Path) -> None:
    (outside / "dim.yaml").write_text("# Pale.\nchroma: {saturation: 0.25}\n")
    assert ColorizeConfig.load(str(outside / "dim.yaml"), []).chroma.saturation == 0.25


@pytest.mark.parametrize("name", sorted(HINT_SOURCES))
def test_a_source_refuses_what_is_not_there(name: str, outside: Path) -> None:
    with pytest.raises(HintError, match="missing"):
        HINT_SOURCES[name](str(outside / "missing"))


def test_bad_sources_are_refused(outside: Path) -> None:
    for entry, error in (
        ("folder", UsageError),
        ("outside_source:nobody=1", UsageError),
        ("outside_source:flat_color=red", HintError),
    ):
        with pytest.raises(error):
            collect_hints(ColorizeConfig.load(None, [f"hints.sources=[{entry}]"]))


@pytest.mark.parametrize("key", ["method", "propagation"])
def test_an_unknown_method_is_refused(key: str, tmp_path: Path) -> None:
    make_film(tmp_path / "in.mkv", [[np.full((48, 64), 90, np.uint8)]], "ffv1", "gray", size=(64, 48))
    config = ColorizeConfig.load(None, [*QUICK, f"smoothing.{key}=wish"])
    with pytest.raises(UsageError, match=rf"smoothing\.{key}: there is no 'wish'"):
        colorize_video(tmp_path / "in.mkv", tmp_path / "out.mkv", config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def x(:", "SyntaxError"),
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import functools\nx = functools.partial(print, 1)", "not an object of partial"),
        ("x = {}", "not an object of dict"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"broken_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=re.escape(message)):
        plugins.origins((f"{name}:x", "smoothers"))


def test_a_stop_signal_while_a_plug_in_is_imported_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_name: str) -> Any:
        raise Interrupted("stopped by SIGTERM", 143)

    monkeypatch.setattr(plugins.importlib, "import_module", stopped)
    with pytest.raises(Interrupted):
        plugins.find("some.module:Object", "engines", "engine.kind", {})
