"""A user's ONNX image colorizer: what its card means, and every way in which card and file can disagree."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from skimage.color import lab2rgb, luv2rgb, rgb2lab, rgb2luv
from small_models import make_onnx

from videocolor.errors import ConfigError, DeviceError, ModelError, UsageError, VideocolorError
from videocolor.models.onnx.card import describe_onnx
from videocolor.models.onnx.colorizer import UserOnnxColorizer
from videocolor.models.registry import load_colorizer
from videocolor.shots.prepare import working_size

pytest.importorskip("onnx")

EXAMPLES = Path(__file__).parents[3] / "docs" / "guides" / "own-models.md"


def load(path: Path) -> UserOnnxColorizer:
    colorizer = load_colorizer(str(path), device="cpu", threads=1)
    assert isinstance(colorizer, UserOnnxColorizer)
    return colorizer


def step(path: Path, luma: np.ndarray) -> np.ndarray:
    colorizer = load(path)
    return colorizer.step(colorizer.begin([]), luma).ab


def ramp(n: int = 1, h: int = 32, w: int = 64) -> np.ndarray:
    return np.broadcast_to(np.linspace(0.1, 0.9, w, dtype=np.float32), (n, h, w)).copy()


IDENTITY = np.eye(3).tolist()


def test_ab_comes_back_as_it_is(tmp_path: Path) -> None:
    path = make_onnx(tmp_path / "m.onnx", [[30, 0, 0], [0, 0, -20]], [5, 1])
    ab = step(path, ramp())
    np.testing.assert_allclose(ab[0, 0], 5 + 30 * ramp()[0], atol=1e-4)
    np.testing.assert_allclose(ab[0, 1], 1 - 20 * ramp()[0], atol=1e-4)


def test_input_is_normalized_as_the_card_says(tmp_path: Path) -> None:
    """The network hands its first and third input on: (Y' * scale - mean) / std of each."""
    card = "input: {color: gray_rgb, scale: 2, mean: [0.1, 0.2, 0.3], std: [0.5, 1, 0.25]}\noutput: {color: ab}\n"
    path = make_onnx(tmp_path / "m.onnx", [[1, 0, 0], [0, 0, 1]], [0, 0], card=card)
    ab = step(path, ramp())
    np.testing.assert_allclose(ab[0, 0], (2 * ramp()[0] - 0.1) / 0.5, atol=1e-5)
    np.testing.assert_allclose(ab[0, 1], (2 * ramp()[0] - 0.3) / 0.25, atol=1e-5)


def test_lightness_is_that_of_the_gray(tmp_path: Path) -> None:
    path = make_onnx(tmp_path / "m.onnx", [[1], [0]], [0, 0], card="input: {color: lightness}\noutput: {color: ab}\n")
    gray = np.repeat(ramp()[0][..., None], 3, axis=2)
    np.testing.assert_allclose(step(path, ramp())[0, 0], rgb2lab(gray)[..., 0], atol=0.02)


@pytest.mark.parametrize(("color", "order"), [("rgb", [0, 1, 2]), ("bgr", [2, 1, 0])])
def test_pictures_in_rgb_with_imagenet_statistics(tmp_path: Path, color: str, order: list[int]) -> None:
    """What DeOldify returns: R'G'B' normalized; the oracle is scikit-image's Lab."""
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    card = f"input: {{color: luma}}\noutput: {{color: {color}, mean: {mean}, std: {std}}}\n"
    path = make_onnx(tmp_path / "m.onnx", [[1.0], [0.5], [-0.5]], [0.1, -0.2, 0.4], card=card)
    raw = np.stack([ramp()[0] + 0.1, 0.5 * ramp()[0] - 0.2, 0.4 - 0.5 * ramp()[0]], axis=-1)
    picture = np.clip(raw * std + mean, 0, 1)[..., order]
    expected = rgb2lab(picture)[..., 1:]
    np.testing.assert_allclose(np.moveaxis(step(path, ramp())[0], 0, -1), expected, atol=0.05)


def test_pictures_of_0_to_255(tmp_path: Path) -> None:
    card = "input: {color: gray_rgb, scale: 255}\noutput: {color: rgb, scale: 255}\n"
    path = make_onnx(tmp_path / "m.onnx", IDENTITY, [20, 0, -20], card=card)
    picture = np.clip(ramp()[0][..., None] + np.array([20, 0, -20]) / 255, 0, 1)
    np.testing.assert_allclose(np.moveaxis(step(path, ramp())[0], 0, -1), rgb2lab(picture)[..., 1:], atol=0.05)


def test_uv_of_luv(tmp_path: Path) -> None:
    card = "input: {color: luma}\noutput: {color: uv, std: 100}\n"
    path = make_onnx(tmp_path / "m.onnx", [[0], [0]], [0.12, -0.2], card=card)
    got = np.moveaxis(step(path, ramp()[:, :, 20:])[0], 0, -1)
    gray = np.repeat(ramp()[0][:, 20:, None], 3, axis=2)
    luv = rgb2luv(gray)
    luv[..., 1:] = [12, -20]
    np.testing.assert_allclose(got, rgb2lab(luv2rgb(luv))[..., 1:], atol=0.1)


def test_chroma_of_bt601(tmp_path: Path) -> None:
    card = "input: {color: luma}\noutput: {color: cbcr}\n"
    path = make_onnx(tmp_path / "m.onnx", [[0], [0]], [0.1, -0.05], card=card)
    y = ramp()[0][:, 20:44]
    rgb = np.stack([y - 0.05 * 1.402, y - 0.344136 * 0.1 + 0.714136 * 0.05, y + 1.772 * 0.1], axis=-1)
    got = np.moveaxis(step(path, ramp()[:, :, 20:44])[0], 0, -1)
    np.testing.assert_allclose(got, rgb2lab(rgb)[..., 1:], atol=0.1)


def test_lab_whole(tmp_path: Path) -> None:
    path = make_onnx(
        tmp_path / "m.onnx", [[99], [7], [0]], [0, 0, -9], card="input: {color: luma}\noutput: {color: lab, std: 2}\n"
    )
    ab = step(path, ramp())
    np.testing.assert_allclose(ab[0, 0], 14 * ramp()[0], atol=1e-4)
    np.testing.assert_allclose(ab[0, 1], -18, atol=1e-4)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("half", [False, True])
def test_layouts_and_half_precision(tmp_path: Path, layout: str, half: bool) -> None:
    card = f"input: {{color: gray_rgb, layout: {layout}}}\noutput: {{color: ab, layout: {layout}}}\n"
    path = make_onnx(tmp_path / "m.onnx", [[30, 0, 0], [0, 0, -20]], [5, 1], card=card, layout=layout, half=half)
    ab = step(path, ramp(2))
    assert ab.shape == (2, 2, 32, 64) and ab.dtype == np.float32
    np.testing.assert_allclose(ab[1, 0], 5 + 30 * ramp()[0], atol=0.05 if half else 1e-4)


def test_sizes_that_the_card_asks_for(tmp_path: Path) -> None:
    card = "input: {color: gray_rgb, multiple: 48, area: 40000}\noutput: {color: ab}\n"
    h, w = working_size(1920, 800, load(make_onnx(tmp_path / "m.onnx", IDENTITY[:2], [0, 0], card=card)).card)
    assert h % 48 == 0 == w % 48 and 20000 < h * w < 60000
    fixed = load(make_onnx(tmp_path / "f.onnx", IDENTITY[:2], [0, 0], size=(128, 96)))
    assert working_size(1920, 800, fixed.card) == (128, 96)
    said = "input: {color: gray_rgb, size: 160}\noutput: {color: ab}\n"
    said_so = load(make_onnx(tmp_path / "s.onnx", IDENTITY[:2], [0, 0], card=said))
    assert working_size(1920, 800, said_so.card) == (160, 160)


def test_padding_keeps_the_aspect_and_is_cut_off(tmp_path: Path) -> None:
    """A square network, a wide film: the picture keeps its shape inside, and nothing of the border comes back."""
    card = "input: {color: gray_rgb, fit: pad}\noutput: {color: ab}\n"
    path = make_onnx(tmp_path / "m.onnx", [[100, 0, 0], [0, 0, 0]], [0, 0], card=card, size=(128, 128), stride=2)
    colorizer = load(path)
    h, w = working_size(640, 320, colorizer.card)
    assert abs(w / h - 2) < 0.2
    luma = ramp(3, h, w)
    ab = colorizer.step(None, luma).ab
    assert ab.shape == (3, 2, round(64 * h / w), 64)
    assert ab[0, 0, 0, 0] < 14 and ab[0, 0, -1, -1] > 86  # the ramp goes from side to side


def test_coarse_output_has_a_stride(tmp_path: Path) -> None:
    colorizer = load(make_onnx(tmp_path / "m.onnx", IDENTITY[:2], [0, 0], stride=4))
    assert colorizer.card.output_stride == 4
    assert colorizer.step(None, ramp(1, 64, 64)).ab.shape == (1, 2, 16, 16)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_a_file_of_a_fixed_batch(tmp_path: Path, count: int) -> None:
    path = make_onnx(tmp_path / "m.onnx", [[30, 0, 0], [0, 0, -20]], [5, 1], batch=2)
    luma = np.random.default_rng(0).random((count, 32, 32), np.float32)
    np.testing.assert_allclose(step(path, luma)[:, 0], 5 + 30 * luma, atol=1e-4)


def test_facts_of_the_file(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = make_onnx(tmp_path / "m.onnx", IDENTITY[:2], [0, 0], opset=13)
    model = onnx.load(str(path))
    facts = describe_onnx(path)
    assert facts.opset == model.opset_import[0].version == 13
    assert facts.parameters == sum(int(np.prod(t.dims)) for t in model.graph.initializer) == 8
    packaged = sorted((Path(__file__).parents[3] / "videocolor" / "models" / "weights").glob("*.onnx"))
    for path in packaged:
        model = onnx.load(str(path), load_external_data=False)
        assert describe_onnx(path).parameters == sum(int(np.prod(t.dims)) for t in model.graph.initializer)
    assert load(make_onnx(tmp_path / "c.onnx", IDENTITY[:2], [0, 0])).card.parameters == 8


def test_the_hash_is_of_all_that_the_colors_follow_from(tmp_path: Path) -> None:
    """The file, its card, and weights beside it: of an initializer, of a constant, of one inside a branch."""
    onnx = pytest.importorskip("onnx")
    path = make_onnx(tmp_path / "m.onnx", IDENTITY[:2], [0, 0])
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, location="m.data", size_threshold=0)
    assert describe_onnx(path).external == (tmp_path / "m.data",)
    sums = [load(path).card.sha256]
    (tmp_path / "m.data").write_bytes((0.5 * np.fromfile(tmp_path / "m.data", np.float32)).tobytes())
    sums.append(load(path).card.sha256)
    path.with_suffix(".yaml").write_text("input: {color: gray_rgb}\noutput: {color: ab, scale: 2}\n")
    sums.append(load(path).card.sha256)
    assert len(set(sums)) == 3
    (tmp_path / "m.data").unlink()
    with pytest.raises(ModelError, match=r"m\.data, which is missing"):
        load(path)
    outside = onnx.numpy_helper.from_array(np.ones(3, np.float32))
    onnx.external_data_helper.set_external_data(outside, "inner.data")
    helper = onnx.helper
    constant = helper.make_node("Constant", [], ["c"], value=outside)
    branch = helper.make_graph([constant], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch))
    path.write_bytes(model.SerializeToString())
    assert describe_onnx(path).external == (tmp_path / "inner.data", tmp_path / "m.data")


GOOD = "input: {color: gray_rgb}\noutput: {color: ab}\n"


@pytest.mark.parametrize(
    ("card", "parts"),
    [
        (None, ["m.onnx", "no card m.yaml", "own-models.md"]),
        ("", ["input", "required"]),
        ("input: {color: gray_rgb}\noutput:\n  colour: ab\n", ["m.yaml:3:", "output.colour", "did you mean color?"]),
        ("title: x\ninput:\n\n  color: red\noutput: {color: ab}\n", ["m.yaml:4:", "'red'", "gray_rgb"]),
        ("input:\n  color: gray_rgb\n  size: big\noutput: {color: ab}\n", ["m.yaml:3:", "input.size"]),
        ("input: {color: gray_rgb, std: 0}\noutput: {color: ab}\n", ["std must not be 0"]),
        ("input: {color: gray_rgb, mean: [1, 2]}\noutput: {color: ab}\n", ["mean has 2 numbers", "1 or 3"]),
        ("input: [\n", ["m.yaml:2", "not valid YAML"]),
        ("input: {color: luma}\noutput: {color: ab}\n", ["input.color luma", "1 channels", "has 3"]),
        ("input: {color: gray_rgb}\noutput: {color: rgb}\n", ["output.color rgb", "3 channels", "has 2"]),
        ("input: {color: gray_rgb, layout: nhwc}\noutput: {color: ab}\n", ["nhwc", "3 channels"]),
        ("input: {color: gray_rgb, name: image}\noutput: {color: ab}\n", ["input.name 'image'", "file has input"]),
        ("input: {color: gray_rgb}\noutput: {color: ab, name: x}\n", ["output.name 'x'", "file has output"]),
        ("input: {color: gray_rgb, size: [64, 32]}\noutput: {color: ab}\n", ["input.size [64, 32]", "[32, 48]"]),
        ("input: {color: gray_rgb, size: 0}\noutput: {color: ab}\n", ["input.size"]),
        (f"opset: 12\n{GOOD}", ["opset 12", "has opset 17"]),
    ],
)
def test_cards_that_contradict_the_file(tmp_path: Path, card: str | None, parts: list[str]) -> None:
    path = make_onnx(tmp_path / "m.onnx", [[1, 0, 0], [0, 1, 0]], [0, 0], card=card, size=(32, 48))
    with pytest.raises((ModelError, ConfigError)) as caught:
        load_colorizer(str(path))
    for part in parts:
        assert part in str(caught.value)


def test_padding_to_no_size(tmp_path: Path) -> None:
    card = "input: {color: gray_rgb, fit: pad}\noutput: {color: ab}\n"
    with pytest.raises(ModelError, match=r"input\.size says which"):
        load(make_onnx(tmp_path / "m.onnx", IDENTITY[:2], [0, 0], card=card))


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    path = make_onnx(tmp_path / "m.onnx", [[np.inf, 0, 0], [0, 1, 0]], [0, 0])
    with pytest.raises(ModelError, match="not finite"):
        load(path)
    card = "input: {color: gray_rgb, scale: 65000}\noutput: {color: ab}\n"
    late = load(make_onnx(tmp_path / "late.onnx", [[1.5, 0, 0], [0, 1, 0]], [0, 0], card=card, half=True))
    with pytest.raises(ModelError, match=r"late\.yaml: .*not finite"):  # half of white is still a number, white is not
        late.step(None, np.ones((1, 32, 32), np.float32))


def test_a_size_that_does_not_pass_is_found_before_any_frame(tmp_path: Path) -> None:
    """The network adds its picture, shrunk and blown up again, to itself: odd sizes do not fit."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("MaxPool", ["input"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Upsample", ["half", "twice"], ["large"]),
        helper.make_node("Add", ["input", "large"], ["output"]),
    ]
    twice = helper.make_tensor("twice", TensorProto.FLOAT, [4], [1, 1, 2, 2])
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 3, "h", "w"]) for n in ("input", "output")]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [twice])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=8)
    path = tmp_path / "m.onnx"
    onnx.save(model, str(path))
    path.with_suffix(".yaml").write_text("input: {color: gray_rgb, multiple: 33}\noutput: {color: rgb}\n")
    with pytest.raises(ModelError, match=r"99x99 does not pass"):
        load(path)
    path.with_suffix(".yaml").write_text("input: {color: gray_rgb, multiple: 2}\noutput: {color: rgb}\n")
    assert load(path).card.multiple == 2


@pytest.mark.parametrize("content", [b"", b"not a network" * 40, b"\x08"])
def test_files_that_are_no_network(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    path.with_suffix(".yaml").write_text(GOOD)
    with pytest.raises(ModelError, match=r"m\.onnx"):
        load_colorizer(str(path))
    whole = make_onnx(tmp_path / "whole.onnx", IDENTITY[:2], [0, 0]).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"m\.onnx"):
        load_colorizer(str(path))


def test_an_opset_of_the_future(tmp_path: Path) -> None:
    path = make_onnx(tmp_path / "m.onnx", IDENTITY[:2], [0, 0], opset=99)
    with pytest.raises(ModelError, match="cannot load it"):
        load(path)


def test_missing_file_runtime_and_device(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such ONNX file"):
        load_colorizer(str(tmp_path / "none.onnx"))
    path = make_onnx(tmp_path / "m.onnx", IDENTITY[:2], [0, 0])
    with pytest.raises(UsageError, match="ONNX Runtime only"):
        load_colorizer(str(path), runtime="torch")
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(DeviceError, match="onnxruntime-gpu"):
            load_colorizer(str(path), device="cuda")


def test_more_than_one_input_or_output(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = make_onnx(tmp_path / "m.onnx", IDENTITY[:2], [0, 0])
    model = onnx.load(str(path))
    second = onnx.helper.make_tensor_value_info("hint", onnx.TensorProto.FLOAT, ["n", 3, "h", "w"])
    model.graph.node.append(onnx.helper.make_node("Identity", ["input"], ["other"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("other", onnx.TensorProto.FLOAT, ["n", 3, "h", "w"]))
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r"output\.name must say which.*output, other"):
        load(path)
    path.with_suffix(".yaml").write_text("input: {color: gray_rgb}\noutput: {color: ab, name: output}\n")
    assert load(path).step(None, ramp()).ab.shape == (1, 2, 32, 64)
    model.graph.node.append(onnx.helper.make_node("Identity", ["hint"], ["used"]))
    model.graph.input.append(second)
    onnx.save(model, str(path))
    for name in ("", ", name: input"):
        path.with_suffix(".yaml").write_text(f"input: {{color: gray_rgb{name}}}\noutput: {{color: ab, name: output}}\n")
        with pytest.raises(ModelError, match=r"2 inputs \(input, hint\).*Write a Colorizer"):
            load(path)


def test_the_documented_cards_are_valid_and_mean_what_they_say(tmp_path: Path) -> None:
    """Every card of the manual, each with a network of its kind that returns a known color."""
    cards = re.findall(r"```yaml\n# (\S+)\.yaml.*?\n(.*?)```", EXAMPLES.read_text(), re.DOTALL)
    assert {name for name, _ in cards} == {"ddcolor", "deoldify", "deoldify_raw"}
    orange = np.array([0.8, 0.5, 0.3])
    stats = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    lab = rgb2lab(orange)
    returned = {"ddcolor": lab[1:], "deoldify": orange * 255, "deoldify_raw": (orange - stats[0]) / stats[1]}
    for name, text in cards:
        values = returned[name]
        path = make_onnx(tmp_path / f"{name}.onnx", np.zeros((len(values), 3)).tolist(), values.tolist(), card=text)
        colorizer = load(path)
        h, w = working_size(640, 480, colorizer.card)
        np.testing.assert_allclose(colorizer.step(None, ramp(1, h, w)).ab[0, :, 5, 5], lab[1:], atol=0.05)
        assert np.abs(lab2rgb(lab) - orange).max() < 1e-3


@pytest.mark.parametrize("kind", ["network", "videocolor"])
def test_it_is_scored_like_any_other(tmp_path: Path, kind: str) -> None:
    from videocolor.evaluation.methods import build_method, parse_methods
    from videocolor.evaluation.settings import NetworkSettings
    from videocolor.evaluation.tasks import Task

    path = make_onnx(tmp_path / "m.onnx", [[0, 0, 0], [0, 0, 0]], [40, 20])
    method = build_method(parse_methods([f"mine={kind}@{path}"])[0], NetworkSettings())
    assert not method.uses_hints and describe_onnx(path).parameters == 8
    task = Task(np.full((3, 48, 64), 120, np.uint8), Fraction(24))
    shown = list(method.color(task))
    assert len(shown) == 3 and shown[0].shape == (48, 64, 3)
    np.testing.assert_allclose(rgb2lab(shown[1])[24, 32, 1:], [40, 20], atol=3)


def test_errors_are_ours(tmp_path: Path) -> None:
    path = make_onnx(tmp_path / "m.onnx", IDENTITY[:2], [0, 0], size=(32, 48))
    with pytest.raises(VideocolorError, match="ONNX Runtime failed on"):
        load(path).step(None, ramp(1, 16, 16))
