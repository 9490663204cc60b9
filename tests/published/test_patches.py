"""The patch colorizer: color space, classifier, maps, and a grid that goes on where it was killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.spatial.distance import cdist
from skimage.color import lab2rgb, luv2rgb, rgb2lab, rgb2luv
from skimage.util import view_as_windows
from sklearn.neural_network import MLPClassifier
from small_models import CODEBOOK, make_patches, three_tones

from videocolor.color import luv_gamut_scale, luv_to_lab, luv_to_rgb, rgb_to_lab, rgb_to_luv
from videocolor.datasets.pack import PackWriter
from videocolor.errors import ConfigError, InputError, ModelError, OutputError, UsageError
from videocolor.models.artifact import write_artifact
from videocolor.models.base import ModelCard
from videocolor.models.registry import load_colorizer
from videocolor.presets import load_model
from videocolor.published import patches as patches_module
from videocolor.published.config import Cell, MapConfig, PatchesConfig, PerceptronConfig
from videocolor.published.patch_data import open_patch_data, patch_rows
from videocolor.published.patch_grid import PUBLISHED_ACCURACY, PUBLISHED_ERROR, patch_tables, train_patches
from videocolor.published.patches import PatchClassifier, PatchColorizer, fit_map, fit_perceptron, nearest, repaint

Array = np.ndarray


def last(values: Array) -> Array:
    """Channels last, as scikit-image has them."""
    return np.moveaxis(values, 0, -1)


# Color space -------------------------------------------------------------------------------------------------------


def test_luv_is_that_of_scikit_image() -> None:
    """It has the white point in fewer digits, hence 0.01."""
    rgb = np.random.default_rng(0).random((3, 40, 50))
    rgb[:, 0, 0] = 0
    np.testing.assert_allclose(last(rgb_to_luv(rgb)), rgb2luv(last(rgb)), atol=0.01)
    luv = rgb_to_luv(rgb)
    np.testing.assert_allclose(last(luv_to_rgb(luv)), luv2rgb(last(luv)), atol=1e-3)
    np.testing.assert_allclose(luv_to_lab(luv), rgb_to_lab(rgb), atol=1e-6)


def test_gray_has_no_color_in_luv() -> None:
    gray = np.linspace(0, 1, 256)
    assert np.abs(rgb_to_luv(np.stack([gray] * 3))[1:]).max() < 1e-9


@given(st.floats(0.1, 99.9), st.floats(-150, 150), st.floats(-150, 150))
def test_gamut_of_luv(lightness: float, u: float, v: float) -> None:
    """Scaled colors can be shown; a little more of those that were scaled cannot."""
    luv = np.array([lightness, u, v])[:, None]
    factor = float(luv_gamut_scale(luv)[0])
    inside, outside = luv.copy(), luv.copy()
    inside[1:] *= factor
    rgb = luv_to_rgb(inside)
    assert rgb.min() > -1e-6 and rgb.max() < 1 + 1e-6
    assert 0 <= factor <= 1
    if factor < 1:
        outside[1:] *= factor * 1.02
        rgb = luv_to_rgb(outside)
        assert rgb.min() < 0 or rgb.max() > 1


def test_colors_are_painted_with_the_frames_lightness() -> None:
    lightness = np.full((4, 6), 55.0)
    lab = repaint(lightness, np.broadcast_to(CODEBOOK[0], (4, 6, 2)))
    luv = np.broadcast_to([55.0, *CODEBOOK[0]], (4, 6, 3))
    np.testing.assert_allclose(last(lab), rgb2lab(luv2rgb(luv)), atol=0.05)
    dark = repaint(np.full((2, 2), 3.0), np.full((2, 2, 2), 90.0))
    assert lab2rgb(last(dark)).min() >= 0 and np.abs(dark[1:]).max() < 30


# Classifier ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("patch", "hidden"), [(3, (20,)), (5, (16, 16)), (11, (10,))])
def test_classes_are_scikit_learns(patch: int, hidden: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pixel of a frame, border and block edges too, against MLPClassifier.predict on patches cut by others."""
    lightness, labels = three_tones(1)
    margin = patch // 2
    windows = view_as_windows((np.pad(lightness, margin, mode="reflect") - 50) / 25, (patch, patch))
    rows = windows.reshape(-1, patch * patch).astype(np.float32)
    network = MLPClassifier(hidden, random_state=3, max_iter=25)
    with pytest.warns(match="reached"):
        network.fit(rows, labels.ravel())
    pairs = zip(network.coefs_, network.intercepts_, strict=True)
    classifier = PatchClassifier(tuple((w.astype(np.float32), b.astype(np.float32)) for w, b in pairs))
    expected = network.predict(rows).reshape(lightness.shape)
    assert len(np.unique(expected)) == 3
    assert (classifier.classify(lightness) == expected).mean() > 0.999
    monkeypatch.setattr(patches_module, "_BLOCK", 700)
    assert (classifier.classify(lightness) == expected).mean() > 0.999


def test_the_perceptron_learns_what_scikit_learn_learns() -> None:
    lightness, labels = three_tones(2)
    rows = view_as_windows((lightness - 50) / 25, (3, 3)).reshape(-1, 9).astype(np.float32)
    labels = labels[1:-1, 1:-1].ravel()
    classifier, epochs = fit_perceptron(rows, labels, (12,), PerceptronConfig(max_iter=40), 5)
    with pytest.warns(match="reached"):
        network = MLPClassifier((12,), learning_rate_init=1e-3, max_iter=40, random_state=5).fit(rows, labels)
    assert epochs == network.n_iter_ == 40
    np.testing.assert_array_equal(classifier.scores(rows.copy()).argmax(axis=1), network.predict(rows))
    assert (network.predict(rows) == labels).mean() > 0.8


def test_two_classes() -> None:
    """scikit-learn keeps a single output then."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 9)).astype(np.float32)
    labels = (rows[:, 4] > 0).astype(int)
    classifier, _ = fit_perceptron(rows, labels, (8,), PerceptronConfig(max_iter=60), 0)
    with pytest.warns(match="reached"):
        network = MLPClassifier((8,), max_iter=60, random_state=0).fit(rows, labels)
    np.testing.assert_array_equal(classifier.scores(rows.copy()).argmax(axis=1), network.predict(rows))
    assert (network.predict(rows) == labels).mean() > 0.8


def test_a_film_frame_gets_the_codewords_of_its_tones(tmp_path: Path) -> None:
    """Flat dark, middle and light fields: each the color of its codeword at its own lightness."""
    colorizer = load_colorizer(str(make_patches(tmp_path / "p.safetensors", 5)))
    assert isinstance(colorizer, PatchColorizer) and colorizer.card.hints == "none"
    tones = np.array([20, 50, 80], np.float32)
    gray = lab2rgb(np.stack([tones, 0 * tones, 0 * tones], axis=-1))[:, 0]
    luma = np.repeat(np.repeat(gray[None, None], 32, axis=1), 32, axis=2).astype(np.float32)
    ab = colorizer.step(None, luma.reshape(1, 32, 96)).ab
    assert ab.shape == (1, 2, 16, 48)
    for number, tone in enumerate(tones):
        expected = rgb2lab(np.clip(luv2rgb([tone, *CODEBOOK[number]]), 0, 1))[1:]
        got = ab[0, :, 8, 16 * number + 8]
        if tone > 40:  # what is too dark for its codeword is toned down, hue kept
            np.testing.assert_allclose(got, expected, atol=1)
        else:
            assert np.abs(got).max() > 5


@pytest.mark.slow
@pytest.mark.parametrize("patch", [3, 5, 11])
def test_a_480p_frame_takes_less_than_a_second(patch: int) -> None:
    rng = np.random.default_rng(0)
    widths = (patch * patch, 50, 50, 9)
    layers = tuple((rng.normal(size=(a, b)).astype(np.float32), np.zeros(b, np.float32)) for a, b in pairwise(widths))
    card = ModelCard("p", "P", "none", 0, None, output_stride=2)
    colorizer = PatchColorizer(card, PatchClassifier(layers), rng.normal(size=(9, 2)) * 30)
    luma = rng.random((1, 480, 848), np.float32)
    colorizer.step(None, luma)
    spent = []
    for _ in range(3):
        began = time.process_time()
        colorizer.step(None, luma)
        spent.append(time.process_time() - began)
    assert min(spent) < 1, f"{min(spent):.2f} s of CPU time"


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weights.0": (9, 4), "bias.0": (4,), "weights.1": (4, 3), "bias.1": (3,)}, "lack 'codebook'"),
        ({"weights.0": (9, 4), "weights.1": (4, 3), "bias.1": (3,), "codebook": (3, 2)}, "lack 'bias.0'"),
        ({"codebook": (3, 2)}, "no layers"),
        ({"weights.0": (8, 3), "bias.0": (3,), "codebook": (3, 2)}, "8 numbers: not an odd square"),
        ({"weights.0": (16, 3), "bias.0": (3,), "codebook": (3, 2)}, "16 numbers: not an odd square"),
        ({"weights.0": (9, 3), "bias.0": (3,), "codebook": (4, 2)}, r"codebook \(4, 2\) for 3 classes"),
        ({"weights.0": (9, 4), "bias.0": (3,), "codebook": (3, 2)}, "do not fit"),
        ({"weights.0": (9, 5), "bias.0": (5,), "weights.1": (4, 3), "bias.1": (3,), "codebook": (3, 2)}, "do not fit"),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, tensors: dict[str, tuple[int, ...]], message: str) -> None:
    path = tmp_path / "wrong.safetensors"
    arrays = {name: np.ones(shape, np.float32) for name, shape in tensors.items()}
    write_artifact(path, arrays, ModelCard("wrong", "Wrong", "none", 1, None), "published-p", {})
    with pytest.raises(ModelError, match=f"wrong: .*{message}"):
        load_colorizer(str(path))


# Maps ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_map_finds_the_colors_there_are() -> None:
    rng = np.random.default_rng(0)
    centers = np.array([[60, 10], [-40, 30], [-10, -70], [20, 80]], float)
    uv = (centers[rng.integers(0, 4, 8000)] + rng.normal(0, 1, (8000, 2))).astype(np.float32)
    codebook, error = fit_map(uv, 9, MapConfig(neurons=(9,), steps=20_000), 0)
    assert cdist(centers, codebook).min(axis=1).max() < 25
    spread = uv.astype(float).std(axis=0)
    assert error == pytest.approx(cdist(uv / spread, codebook / spread).min(axis=1).mean(), rel=1e-4)
    again, _ = fit_map(uv, 9, MapConfig(neurons=(9,), steps=20_000), 0)
    np.testing.assert_array_equal(codebook, again)
    finer = fit_map(uv, 100, MapConfig(neurons=(100,), steps=20_000), 0)[1]
    assert finer < 0.5 * error


def test_the_limit_of_the_map() -> None:
    uv = np.array([[-180.0, 0], [180, 0], [0, 150], [0, -150]] * 50, np.float32)
    codebook, _ = fit_map(uv, 4, MapConfig(neurons=(4,), steps=2000), 0)
    assert np.abs(codebook).max() <= 100.001


def test_nearest() -> None:
    rng = np.random.default_rng(1)
    points, codebook = rng.normal(size=(40_000, 2)), rng.normal(size=(25, 2))
    distances = cdist(points, codebook)
    index, distance = nearest(points, codebook)
    np.testing.assert_array_equal(index, distances.argmin(axis=1))
    np.testing.assert_allclose(distance, distances.min(axis=1))


# The grid -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pack eleven tiny landscapes and a street."""
    folder, rng = tmp_path_factory.mktemp("pack"), np.random.default_rng(0)
    writer = PackWriter(folder, jpeg_quality=None)
    for number in range(12):
        lightness, labels = three_tones(number, (48, 48))
        luv = np.stack([lightness, *np.moveaxis(CODEBOOK[labels] * rng.uniform(0.7, 1, (48, 48, 1)), -1, 0)])
        luv[1:] *= luv_gamut_scale(luv)
        rgb = np.rint(last(luv_to_rgb(luv)) * 255).clip(0, 255).astype(np.uint8)
        scene = "street" if number == 11 else "sea"
        file, source = f"scenes.tar/{number}.png", f"a/b:train/{scene}/{number}.png"
        writer.add(file, source, "CC0", "image", [(0.0, rgb)])
    writer.close({"held": False})
    return folder


def settings(footage: Path, out: Path, **more: Any) -> PatchesConfig:
    values: dict[str, Any] = {
        "out": out,
        "workers": 1,
        "data": {
            "pack": footage,
            "files": "scenes.tar",
            "scenes": ["sea"],
            "images": 6,
            "unseen": 2,
            "size": 40,
            "pixels": 300,
        },
        "maps": {"neurons": [4, 9], "steps": 2000},
        "perceptron": {
            "neurons": [4],
            "patches": [3, 5],
            "hidden": [[6], [8, 8]],
            "splits": 2,
            "train": 800,
            "test": 300,
            "max_iter": 150,
        },
    }
    return PatchesConfig.model_validate(values | more)


CELLS = ("3x3_6_4", "3x3_8+8_4")


def results(out: Path) -> dict[tuple[str, int], tuple[float, float, float]]:
    found = json.loads((out / "results.json").read_text())["networks"]
    return {(r["cell"], r["split"]): (r["train"], r["test"], r["unseen"]) for r in found}


@pytest.fixture(scope="module")
def whole(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a grid without a stop."""
    out = tmp_path_factory.mktemp("run") / "whole"
    assert (
        train_patches(settings(footage, out, film="5x5_8+8_4"), observer=lambda _: None) == out / "patches.safetensors"
    )
    return out


@pytest.mark.slow
def test_the_grid_is_whole_and_its_tables_have_the_published_shape(whole: Path) -> None:
    found = results(whole)
    assert set(found) == {(f"{p}x{p}_{h}_4", s) for p in (3, 5) for h in ("6", "8+8") for s in (0, 1)}
    commonest = json.loads((whole / "results.json").read_text())["commonest"]["4"]
    assert all(commonest + 0.1 < row[1] <= 1 for row in found.values())
    text = (whole / "tables.md").read_text()
    assert "| SOM neurons | 4 | 9 |" in text and "published" not in text, "of other data and splits"
    assert "| patch \\ hidden | 6 | 8+8 |" in text
    means = ["/".join(f"{np.mean([found[c, s][i] for s in (0, 1)]):.3f}"[1:] for i in (0, 1)) for c in CELLS]
    assert f"| 3x3 ours | {means[0]} | {means[1]} |" in text
    assert "\n8 of 8 networks are trained" in text and "1,800 pixels of 6 images" in text


def test_published_columns_stand_beside_the_published_configuration_only() -> None:
    cells = [Cell(3, (50, 50), 9), Cell(3, (50, 50), 25)]
    result = {"hidden": [50, 50], "patch": 3, "train": 0.4, "test": 0.3, "unseen": 0.2, "settled": True, "seconds": 1.0}
    results = [{**result, "neurons": 9}, {**result, "neurons": 25}]
    notes: dict[str, Any] = {"rows": 9, "images": 1, "commonest": {9: 0.2, 25: 0.1}, "splits": 1, "position": False}
    notes["published"] = True
    assert patch_tables({9: 0.5}, cells, results, notes).count(".419/.409") == 1
    assert ".419" not in patch_tables({9: 0.5}, cells, results, {**notes, "published": False})


def test_a_classifier_that_knows_the_place() -> None:
    weights = np.zeros((11, 2), np.float32)
    weights[9] = (-1, 1)  # y: the lower half is class 1
    classifier = PatchClassifier(((weights, np.zeros(2, np.float32)),))
    assert classifier.patch == 3
    assert classifier.position
    found = classifier.classify(np.full((4, 5), 50, np.float32))
    assert (found == np.repeat([0, 0, 1, 1], 5).reshape(4, 5)).all()


def test_all_published_values_are_there() -> None:
    assert len(PUBLISHED_ACCURACY) == 21 and len(PUBLISHED_ERROR) == 4
    assert PUBLISHED_ACCURACY[3, (50, 50)] == ".419/.409"
    assert PUBLISHED_ACCURACY[11, (300, 300)] == ".417/.365"


@pytest.mark.slow
def test_what_is_learnt_from(whole: Path) -> None:
    """No other scenes; pixels carry the image's own patches."""
    data = open_patch_data(whole / "data")
    assert len(set(data.names)) == 8 and data.seen_rows == 1800
    assert "scenes.tar/11.png" not in data.names
    rows = np.arange(0, len(data.places), 97)
    cut = patch_rows(data, rows, 5)
    for row, patch in zip(rows, cut, strict=True):
        number, y, x = np.unravel_index(int(data.places[row]), data.lightness.shape)
        padded = np.pad(data.lightness[number], 2, mode="reflect")
        np.testing.assert_allclose(patch.reshape(5, 5), (padded[y : y + 5, x : x + 5] - 50) / 25, rtol=1e-5, atol=1e-6)
    assert len({int(place) for place in data.places}) == len(data.places)


@pytest.mark.slow
def test_the_film_network_is_the_cell_that_was_asked_for(whole: Path) -> None:
    colorizer = load_colorizer(str(whole / "patches.safetensors"))
    assert isinstance(colorizer, PatchColorizer)
    assert colorizer.classifier.patch == 5 and len(colorizer.classifier.layers) == 3
    maps = json.loads((whole / "maps.json").read_text())
    np.testing.assert_allclose(colorizer.codebook, maps["4"]["codebook"], rtol=1e-3)
    assert (whole / "cells" / "3x3_6_4" / "patches.safetensors").exists()
    from pipelines.published_patches import patch_sheet

    sheet = patch_sheet([np.zeros((60, 50, 3), np.uint8)] * 2, colorizer, [CODEBOOK, colorizer.codebook], 64)
    assert sheet.shape == (2 * (22 + 2 * 64), 5 * 64, 3)


@pytest.mark.slow
def test_a_run_that_was_left_goes_on_to_the_same_end(footage: Path, whole: Path, tmp_path: Path) -> None:
    config = settings(footage, tmp_path / "run", film="5x5_8+8_4")
    left = train_patches(config, stop_after_minutes=1e-9, observer=lambda _: None)
    assert left == config.out / "tables.md" and "0 of 8 networks" in left.read_text()
    with pytest.raises(OutputError, match="--resume goes on"):
        train_patches(config)
    done = whole / "cells" / "3x3_6_4"
    (config.out / "cells").mkdir()
    (config.out / "cells" / "3x3_6_4").symlink_to(done)  # as if it had been killed behind these
    written = {path: path.stat().st_mtime_ns for path in done.glob("*.json")}
    train_patches(config, resume=True, observer=lambda _: None)
    assert results(config.out) == results(whole)
    assert written == {path: path.stat().st_mtime_ns for path in done.glob("*.json")}, "done work was done again"


@pytest.mark.slow
def test_a_run_goes_on_only_with_its_own_settings(footage: Path, whole: Path, tmp_path: Path) -> None:
    """Another part of the grid is no other run."""
    out = Path(shutil.copytree(whole, tmp_path / "run"))
    other = settings(footage, out, seed=1, film="5x5_8+8_4")
    with pytest.raises(ConfigError, match="other seed"):
        train_patches(other, resume=True)
    part = settings(footage, out)
    part = part.model_copy(update={"perceptron": part.perceptron.model_copy(update={"patches": (3,)})})
    assert train_patches(part, resume=True, observer=lambda _: None) == out / "patches.safetensors"
    assert "5x5" not in (out / "tables.md").read_text() and len(results(out)) == 4


@pytest.mark.slow
def test_ctrl_c_and_going_on(footage: Path, tmp_path: Path) -> None:
    file, config = tmp_path / "p.yaml", settings(footage, tmp_path / "run")
    values = config.model_dump(mode="json")
    values["perceptron"] |= {"max_iter": 2000, "splits": 9, "train": 1200, "hidden": [[90, 90]]}
    file.write_text(json.dumps(values))
    code = (
        "import sys; from videocolor.presets import load_model\n"
        "from videocolor.errors import Interrupted\n"
        "from videocolor.published.config import PatchesConfig\n"
        "from videocolor.published.patch_grid import train_patches\n"
        "if __name__ == '__main__':\n"
        "    try: train_patches(load_model(PatchesConfig, 'train', sys.argv[1]))\n"
        "    except Interrupted as error: print(error); sys.exit(error.exit_code)\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    with subprocess.Popen(
        [sys.executable, str(script), str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 100
        while not list(config.out.glob("cells/*/split_0.json")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "--resume goes on" in stdout and "Traceback" not in stderr
    assert 1 <= len(results(config.out)) < 18


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("maps.neurons=[9, 10]", "10 neurons make no square"),
        ("perceptron.patches=[4]", "4 has no middle"),
        ("perceptron.neurons=[16]", "16 is not among"),
        ("film=3x3_7", "not a cell of this grid: 3x3_50"),
        ("perceptron.spits=3", "did you mean splits"),
        ("data.pairs=PAIRS", "P learns from single pictures: `videocolor pairs pack"),
    ],
)
def test_settings_that_cannot_be(change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_model(PatchesConfig, "train", "train/published/p", [change])


def test_presets_are_the_papers() -> None:
    grid = load_model(PatchesConfig, "train", "train/published/p_grid")
    assert grid.maps.neurons == (9, 25, 100, 400) and len(grid.cells) == 21 and grid.steps == 210
    assert (grid.perceptron.train, grid.perceptron.test, grid.perceptron.lr) == (50_000, 5_000, 1e-3)
    chosen = load_model(PatchesConfig, "train", "train/published/p", ["perceptron.patches=[5]"])
    assert [cell.name for cell in chosen.cells] == ["5x5_50+50_9"]


def test_missing_footage(tmp_path: Path, footage: Path) -> None:
    config = settings(footage, tmp_path / "run")
    with pytest.raises(InputError, match=r"no pack \("):
        train_patches(config.model_copy(update={"data": config.data.model_copy(update={"pack": tmp_path})}))
    with pytest.raises(InputError, match=r"no pictures of scenes\.tar with desert"):
        train_patches(config.model_copy(update={"data": config.data.model_copy(update={"scenes": ("desert",)})}))
    assert not config.out.exists()
    with pytest.raises(ValidationError):
        settings(footage, tmp_path, workers=0)


def test_training_without_its_packages(footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minisom", None)
    with pytest.raises(UsageError, match=r"package minisom: pip install 'videocolor\[published\]'"):
        train_patches(settings(footage, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_recipe(root: Path, whole: Path, footage: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(json.dumps(settings(footage, whole, film="5x5_8+8_4").model_dump(mode="json")))

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(root / "pipelines" / "published_patches.py"), *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(root)}  # this tree, not one that is installed
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    sheet = tmp_path / "sheet.png"
    pictures = [tmp_path / f"{number}.png" for number in (1, 2)]
    for number, path in enumerate(pictures):
        cv2.imwrite(str(path), np.full((60, 50, 3), 90 + number, np.uint8))
    painted = run("--config", file, *pictures, "-o", sheet)
    assert painted.returncode == 0, painted.stderr
    assert cv2.imread(str(sheet)).shape == (2 * (22 + 2 * 192), 5 * 192, 3)
    wrong = run("--config", file, file, "-o", sheet)
    assert wrong.returncode == 1 and "not a readable image" in wrong.stderr and "Traceback" not in wrong.stderr
    assert run(*pictures, "--config", file, "--set", f"out={tmp_path}").returncode == 1
