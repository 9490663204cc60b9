"""Fitting the relevance gate: rows measured on complete frames, the gate fitted to them, the file written."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from fit_relevance import expected_gain, fit_gate, fit_relevance, main
from relevance_rows import DEGREES, KINDS, Rows, measure_relevance

from tests.training.training_helpers import make_pack
from videocolor.datasets.pack import PackWriter
from videocolor.errors import InputError, OutputError
from videocolor.models.artifact import read_artifact
from videocolor.models.base import HintInput
from videocolor.models.registry import load_colorizer


@pytest.fixture(scope="module")
def weights(root: Path) -> Path:
    return root / "videocolor/models/weights/hint.safetensors"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Rows:
    pack = tmp_path_factory.mktemp("belief") / "pack"
    make_pack(pack)
    return measure_relevance(pack, weights, frames=1, images=3, seed=1)


def made_rows(count: int = 1500, seed: int = 0) -> Rows:
    """Make rows: a hint gains 6 dB where the first number is above 0.2, and costs 4 dB below."""
    rng = np.random.default_rng(seed)
    seen = rng.normal(0, 1, (count, 48)).astype(np.float32)
    good = seen[:, 0] > 0.2
    gain = np.where(good, 6.0, -4.0)[:, None] * np.array(DEGREES)
    kind = np.where(good, KINDS.index("right"), KINDS.index("wrong"))
    group = rng.integers(0, 40, (count, 2))
    return Rows(seen, gain.astype(np.float32), kind, np.full(count, 0.5, np.float32), group)


@pytest.mark.slow
def test_rows_say_what_a_hint_gains(rows: Rows) -> None:
    n = len(rows.gain)
    assert (
        n > 20
        and rows.group.shape == (n, 2)
        and rows.evidence.shape == (n, 48)
        and rows.gain.shape == (n, len(DEGREES))
    )
    assert {KINDS[k] for k in rows.kind} >= {"right", "far", "scribbles", "two", "similar", "wrong"}
    np.testing.assert_array_equal(rows.gain[:, 0], 0)
    assert np.isfinite(rows.evidence).all() and (rows.relevance >= 0).all() and (rows.relevance <= 1).all()
    mean = {kind: rows.gain[rows.kind == n, -1].mean() for n, kind in enumerate(KINDS) if (rows.kind == n).any()}
    assert mean["right"] > 3 > mean["wrong"], "the same colors, rolled along, against those of another picture"
    same = rows.group[:, 0] == rows.group[:, 1]
    assert set(rows.kind[same]) == {KINDS.index(k) for k in ("right", "far", "rotated", "scribbles", "two")} & set(
        rows.kind
    )


@pytest.mark.slow
def test_rows_are_kept(tmp_path: Path, rows: Rows) -> None:
    rows.save(tmp_path / "rows.npz")
    for first, second in zip(rows, Rows.load(tmp_path / "rows.npz"), strict=True):
        np.testing.assert_array_equal(first, second)
    (tmp_path / "text.npz").write_text("nothing of the kind")
    with pytest.raises(InputError, match="not rows"):
        Rows.load(tmp_path / "text.npz")
    with pytest.raises(OutputError, match="nowhere"):
        rows.save(tmp_path / "nowhere" / "rows.npz")


def test_nothing_is_fitted_to_held_back_footage(tmp_path: Path, weights: Path) -> None:
    writer = PackWriter(tmp_path)
    writer.add("a.jpg", "source", "CC0", "image", [(0.0, np.zeros((32, 32, 3), np.uint8))])
    writer.close({"held": True})
    with pytest.raises(InputError, match="held-back"):
        measure_relevance(tmp_path, weights)
    writer = PackWriter(tmp_path)
    writer.add("a.jpg", "source", "CC0", "image", [(0.0, np.zeros((32, 32, 3), np.uint8))])
    writer.close({})
    with pytest.raises(InputError, match="one source"):
        measure_relevance(tmp_path, weights)


def test_expected_gain_is_linear_between_degrees() -> None:
    rng = np.random.default_rng(3)
    gain, belief = rng.normal(0, 5, (50, len(DEGREES))), np.concatenate([DEGREES, rng.random(50 - len(DEGREES))])
    expected = [np.interp(b, DEGREES, g) for b, g in zip(belief, gain, strict=True)]
    got = expected_gain(torch.tensor(gain, dtype=torch.float32), torch.tensor(belief, dtype=torch.float32))
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-5)


@pytest.mark.slow
def test_the_gate_opens_to_what_gains() -> None:
    rows, unseen = made_rows(), made_rows(seed=1)
    seen, gain = torch.from_numpy(rows.evidence), torch.from_numpy(rows.gain)
    head = fit_gate(seen, gain, torch.ones(len(seen)), 2)
    with torch.inference_mode():
        belief = torch.sigmoid(head(torch.from_numpy(unseen.evidence)[:, :, None, None]))[:, 0, 0, 0].numpy()
    sure = np.abs(unseen.evidence[:, 0] - 0.2) > 1
    good = unseen.gain[:, -1] > 0
    assert belief[good & sure].mean() > 0.85 and belief[~good & sure].mean() < 0.2
    again = fit_gate(seen, gain, torch.ones(len(seen)), 2)
    assert all(torch.equal(a, b) for a, b in zip(head.state_dict().values(), again.state_dict().values(), strict=True))


@pytest.mark.slow
def test_only_the_gate_changes(tmp_path: Path, weights: Path) -> None:
    report = fit_relevance(made_rows(), weights, tmp_path / "fitted.safetensors")
    before, after = read_artifact(weights), read_artifact(tmp_path / "fitted.safetensors")
    assert before.weights.keys() == after.weights.keys()
    changed = {n for n in before.weights if not np.array_equal(before.weights[n], after.weights[n])}
    assert changed == {"belief.0.weight", "belief.0.bias", "belief.2.weight", "belief.2.bias"}
    assert after.training["relevance"]["rows"]["right"] + after.training["relevance"]["rows"]["wrong"] == 1500
    right = next(line for line in report.splitlines() if line.startswith("| right"))
    assert float(right.split("|")[6]) > 5, "of 6 dB, in folds that were not fitted to"
    net = load_colorizer(str(tmp_path / "fitted.safetensors"), runtime="onnxruntime", device="cpu")
    luma = np.random.default_rng(0).random((1, 64, 64), dtype=np.float32)
    assert np.isfinite(net.step(net.begin([HintInput(luma[0], np.zeros((2, 64, 64), np.float32))]), luma).ab).all()
    with pytest.raises(InputError, match="takes 48"):
        fit_relevance(
            made_rows()._replace(evidence=np.zeros((1500, 5), np.float32)), weights, tmp_path / "no.safetensors"
        )


@pytest.mark.slow
def test_the_recipe(tmp_path: Path, root: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_rows().save(tmp_path / "rows.npz")
    output = tmp_path / "mine.safetensors"
    rows = str(tmp_path / "rows.npz")
    main(["fit", str(weights), rows, rows, "-o", str(output)], standalone_mode=False)
    assert output.exists() and "| right |" in capsys.readouterr().out
    manuals = [
        (root / "docs" / name).read_text()
        for name in ("research/training.md", "research/wrong-hints.md", "model-card.md")
    ]
    commands = re.findall(
        r"^python pipelines/fit_relevance\.py (\w+) (.*?)(?: +#.*)?$", "\n".join(manuals), re.MULTILINE
    )
    assert {name for name, _ in commands} == {"measure", "fit"} and len(commands) >= 5
    for name, words in commands:
        main.commands[name].make_context(name, words.split())
    with pytest.raises(SystemExit, match=r"error: .*index\.json"):
        main(["measure", str(tmp_path), str(weights), "-o", str(tmp_path / "r.npz")], standalone_mode=False)
