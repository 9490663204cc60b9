"""The one contract of all colorizers: packaged networks, systems of papers, and a user's ONNX file.

A colorizer that passes here can be put into the data path, split over shards of a film, and resumed.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from media import make_film
from small_models import make_onnx, make_patches

from videocolor import verify_film
from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import ModelError, UsageError, VideocolorError
from videocolor.models.base import Colorizer, HintInput, ModelCard
from videocolor.models.registry import load_colorizer
from videocolor.shots.prepare import working_size

Array = np.ndarray
TOLERANCE = 1e-3
"""Of a*b*, relative to the largest of the frames: what arithmetic in another order may change."""
PUBLISHED = ("h", "r", "f")
"""Kinds that `tests/published/tiny.py` makes, where it exists: `tiny_models(folder)` -> {kind: weights file}."""


@dataclass(frozen=True)
class Kind:
    """One way to get a colorizer."""

    name: str
    """What `--model` takes."""
    runtime: str = "auto"
    file: Path | None = None
    """The weights, where they are a file of the test's."""

    def load(self) -> Colorizer:
        return load_colorizer(self.name, device="cpu", runtime=self.runtime, threads=1)


def _openvino(_folder: Path) -> Kind:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    return Kind("hint", "openvino")


def _onnx(folder: Path) -> Kind:
    path = make_onnx(folder / "color.onnx", [[30, 0, 0], [0, -20, 0]], [5, 1])
    return Kind(str(path), file=path)


def _onnx_square(folder: Path) -> Kind:
    """One size, aspect kept, two frames at once, float16, R'G'B' out."""
    card = "input: {color: gray_rgb, fit: pad}\noutput: {color: rgb}\n"
    matrix = [[1.1, 0, 0], [0, 0.9, 0], [0, 0, 0.5]]
    path = make_onnx(folder / "square.onnx", matrix, [0, 0, 0.1], card=card, size=(96, 96), batch=2, half=True)
    return Kind(str(path), file=path)


def _patches(folder: Path) -> Kind:
    path = make_patches(folder / "patches.safetensors", 5)
    return Kind(str(path), file=path)


def _published(kind: str) -> Callable[[Path], Kind]:
    def make(folder: Path) -> Kind:
        try:
            tiny = importlib.import_module("tests.published.tiny")
        except ModuleNotFoundError:
            pytest.skip("tests/published/tiny.py does not exist")
        path = Path(tiny.tiny_models(folder)[kind])
        return Kind(str(path), file=path)

    return make


KINDS: dict[str, Callable[[Path], Kind]] = {
    "hint-torch": lambda _folder: Kind("hint", "torch"),
    "hint-onnxruntime": lambda _folder: Kind("hint", "onnxruntime"),
    "hint-openvino": _openvino,
    "constant": lambda _folder: Kind("constant"),
    "gray": lambda _folder: Kind("gray"),
    "p": _patches,
    "onnx": _onnx,
    "onnx-square": _onnx_square,
    **{kind: _published(kind) for kind in PUBLISHED},
}
if named := os.environ.get("VIDEOCOLOR_MODEL"):  # a network that is not ours: docs/developing/adding.md
    KINDS[named] = lambda _folder: Kind(named)


SLOW = ("hint-torch", "hint-openvino", *PUBLISHED)
"""The same network in another runtime, and networks with tests of their own."""


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in KINDS]
)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    return KINDS[request.param](tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def colorizer(kind: Kind) -> Colorizer:
    return kind.load()


def frames(n: int, size: tuple[int, int], seed: int = 0) -> Array:
    """(n, h, w) smooth frames with some grain, all different."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((n, 5, 7), np.float32)
    smooth = np.stack([cv2.resize(frame, size[::-1], interpolation=cv2.INTER_CUBIC) for frame in coarse])
    return np.clip(smooth + rng.normal(0, 0.01, smooth.shape), 0, 1).astype(np.float32)


def hint(size: tuple[int, int], ab: tuple[float, float] = (30, -20), mask: Array | None = None) -> HintInput:
    plane = np.ones(size, np.float32)
    color = np.stack([ab[0] * plane, ab[1] * plane])
    return HintInput(frames(1, size, 9)[0], color, mask)


def size_of(card: ModelCard, width: int = 160, height: int = 120) -> tuple[int, int]:
    return working_size(width, height, card)


def start(colorizer: Colorizer, size: tuple[int, int], count: int | None = None) -> Any:
    """Begin a shot with as many hints as the card admits (or `count`)."""
    most = {"none": 0, "one": 1, "many": 2}[colorizer.card.hints]
    return colorizer.begin([hint(size)] * (most if count is None else count))


def close(first: Array, second: Array) -> None:
    np.testing.assert_allclose(first, second, rtol=0, atol=TOLERANCE * max(1.0, float(np.abs(first).max())))


def test_the_card_is_whole(colorizer: Colorizer) -> None:
    card = colorizer.card
    assert card.name and card.title
    assert card.hints in ("none", "one", "many")
    assert card.parameters >= 0 and card.multiple >= 1 and card.output_stride >= 1 and card.area > 0
    assert ModelCard(**card.as_dict()) == card
    assert len(card.sha256) == 64 or card.parameters == 0


@pytest.mark.parametrize("film", [(160, 120), (64, 48), (641, 271), (30, 90), (1920, 1080)])
def test_working_sizes_obey_the_card(colorizer: Colorizer, film: tuple[int, int]) -> None:
    card = colorizer.card
    h, w = working_size(*film, card)
    assert (h, w) == card.size if card.size else h % card.multiple == 0 == w % card.multiple


@pytest.mark.parametrize("film", [(160, 120), (30, 90)])
def test_shapes_and_numbers(colorizer: Colorizer, film: tuple[int, int]) -> None:
    size = size_of(colorizer.card, *film)
    got = colorizer.step(start(colorizer, size), frames(3, size))
    assert got.ab.dtype == np.float32 and got.ab.shape[:2] == (3, 2)
    assert np.isfinite(got.ab).all() and np.abs(got.ab).max() < 200
    h, w = (side / colorizer.card.output_stride for side in size)
    assert 0.8 < (got.ab.shape[3] / got.ab.shape[2]) / (w / h) < 1.25
    if colorizer.card.area != 96 * 96:  # the one that pads answers on its own grid, the path resizes it
        assert got.ab.shape[2:] == (h, w)
    for plane in (got.confidence, got.error):
        assert plane is None or (np.isfinite(plane).all() and plane.min() >= 0)


def test_the_least_size(colorizer: Colorizer) -> None:
    """A film smaller than the multiple comes at the multiple."""
    size = size_of(colorizer.card, 4, 4)
    assert np.isfinite(colorizer.step(start(colorizer, size), frames(1, size)).ab).all()


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_plain_frames(colorizer: Colorizer, level: float) -> None:
    size = size_of(colorizer.card)
    got = colorizer.step(start(colorizer, size, 0 if colorizer.card.hints != "one" else 1), np.full((2, *size), level))
    assert np.isfinite(got.ab).all() and np.abs(got.ab).max() < 200


@pytest.mark.slow
def test_the_same_every_time(kind: Kind, colorizer: Colorizer) -> None:
    """With one object, and with another of the same file."""
    size = size_of(colorizer.card)
    luma = frames(3, size)
    first = colorizer.step(start(colorizer, size), luma).ab
    np.testing.assert_array_equal(first, colorizer.step(start(colorizer, size), luma).ab)
    other = kind.load()
    np.testing.assert_array_equal(first, other.step(start(other, size), luma).ab)
    assert other.card == colorizer.card


@pytest.mark.slow
@pytest.mark.parametrize("parts", [(1, 1, 1, 1, 1, 1, 1), (3, 4), (5, 2)])
def test_frames_do_not_depend_on_their_batch(colorizer: Colorizer, parts: tuple[int, ...]) -> None:
    size = size_of(colorizer.card)
    luma, memory = frames(7, size), start(colorizer, size)
    whole = colorizer.step(memory, luma).ab
    ends = np.cumsum(parts)
    pieces = [colorizer.step(memory, luma[end - count : end]).ab for end, count in zip(ends, parts, strict=True)]
    close(whole, np.concatenate(pieces))
    close(whole, colorizer.step(memory, luma[::-1]).ab[::-1])


def test_a_step_changes_neither_memory_nor_its_input(colorizer: Colorizer) -> None:
    """Shards and resumed runs begin in the middle of a shot: what came before must not matter."""
    size = size_of(colorizer.card)
    luma, memory = frames(4, size), start(colorizer, size)
    before, kept = luma.copy(), deepcopy(memory)
    first = colorizer.step(memory, luma[:2]).ab
    for _ in range(3):
        colorizer.step(memory, luma[2:])
    np.testing.assert_array_equal(first, colorizer.step(memory, luma[:2]).ab)
    np.testing.assert_array_equal(first, colorizer.step(kept, luma[:2]).ab)
    np.testing.assert_array_equal(luma, before)


@pytest.mark.slow
def test_shots_do_not_know_each_other(colorizer: Colorizer) -> None:
    size = size_of(colorizer.card)
    luma, memory = frames(2, size), start(colorizer, size)
    first = colorizer.step(memory, luma).ab
    other = hint(size, (-40, 40))
    second = colorizer.begin([other] if colorizer.card.hints != "none" else [])
    colorizer.step(second, frames(2, size, 5))
    np.testing.assert_array_equal(first, colorizer.step(memory, luma).ab)


def test_more_hints_than_the_card_admits_are_refused_or_without_effect(colorizer: Colorizer) -> None:
    size, card = size_of(colorizer.card), colorizer.card
    if card.hints == "many":
        assert np.isfinite(colorizer.step(colorizer.begin([hint(size)] * 5), frames(1, size)).ab).all()
        return
    admitted: Sequence[HintInput] = [hint(size)] if card.hints == "one" else []
    luma = frames(2, size)
    try:
        memory = colorizer.begin([*admitted, hint(size, (-60, 60))])
    except VideocolorError:
        return
    np.testing.assert_array_equal(colorizer.step(memory, luma).ab, colorizer.step(colorizer.begin(admitted), luma).ab)


def test_a_hint_is_heard_and_its_mask_obeyed(colorizer: Colorizer) -> None:
    if colorizer.card.hints == "none":
        pytest.skip("takes no hints")
    size = size_of(colorizer.card)
    luma = frames(2, size)

    def colored(given: HintInput) -> Array:
        return np.asarray(colorizer.step(colorizer.begin([given]), luma).ab)

    plain, other = hint(size), hint(size, (-40, 40))
    assert np.abs(colored(plain) - colored(other)).max() > 0.01
    close(colored(plain), colored(hint(size, mask=np.ones(size, np.float32))))
    half = np.zeros(size, np.float32)
    half[:, : size[1] // 2] = 1
    unseen = np.where(half > 0, plain.ab, np.float32(77)).astype(np.float32)
    close(colored(HintInput(plain.luma, plain.ab, half)), colored(HintInput(plain.luma, unseen, half)))


@pytest.mark.slow
def test_another_thread_may_use_it(colorizer: Colorizer) -> None:
    """The data path loads it in one thread and runs it in another, one after the other."""
    size = size_of(colorizer.card)
    luma = frames(2, size)
    here = colorizer.step(start(colorizer, size), luma).ab
    found: list[Array] = []
    for _ in range(2):
        worker = threading.Thread(target=lambda: found.append(colorizer.step(start(colorizer, size), luma).ab))
        worker.start()
        worker.join()
    assert len(found) == 2
    for there in found:
        np.testing.assert_array_equal(here, there)


def test_damaged_and_missing_files(kind: Kind, tmp_path: Path) -> None:
    if kind.file is None:
        pytest.skip("is no file")
    for card in kind.file.parent.glob("*.yaml"):
        (tmp_path / card.name).write_bytes(card.read_bytes())
    content = kind.file.read_bytes()
    damaged = tmp_path / kind.file.name
    for bytes_ in (content[: len(content) // 2], b"", b"\xff" * 300):
        damaged.write_bytes(bytes_)
        with pytest.raises(ModelError, match=damaged.name):
            load_colorizer(str(damaged), device="cpu")
    damaged.unlink()
    with pytest.raises(ModelError, match=damaged.name):
        load_colorizer(str(damaged), device="cpu")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven gray frames of odd size, with uneven times: a dark and a light shot."""
    path = tmp_path_factory.mktemp("film") / "in.mkv"
    luma = (frames(7, (62, 94)) * 0.4 * 219 + 16).astype(np.uint8)
    luma[4:] += 120
    make_film(
        path,
        [[frame] for frame in luma],
        pix_fmt="gray",
        size=(94, 62),
        pts=[0, 40, 80, 130, 160, 200, 260],
        time_base=Fraction(1, 1000),
    )
    return path


def config(kind: Kind, *more: str) -> ColorizeConfig:
    values = [f"model.name={kind.name}", f"model.runtime={kind.runtime}", "model.device=cpu", "model.threads=1"]
    return ColorizeConfig.load(None, [*values, "output.codec=ffv1", "model.keyframe_interval=2", *more])


def test_a_film(kind: Kind, colorizer: Colorizer, film: Path, tmp_path: Path) -> None:
    """Luma untouched, the same frames and times; color, but for the one that has none."""
    out = tmp_path / "out.mkv"
    assert colorize_video(film, out, config(kind)).frames == 7
    check = verify_film(film, out)
    assert check.exact and check.frames == 7
    capture = cv2.VideoCapture(str(out))
    seen = [capture.read()[1] for _ in range(7)]
    spread = np.mean([np.ptp(picture.astype(int), axis=2).mean() for picture in seen])
    assert spread < 1 if colorizer.card.name == "gray" else spread > 1


def test_a_hint_for_a_hintless_model(kind: Kind, colorizer: Colorizer, film: Path, tmp_path: Path) -> None:
    picture = tmp_path / "hint.png"
    cv2.imwrite(str(picture), np.full((62, 94, 3), (40, 90, 160), np.uint8))
    out = tmp_path / "out.mkv"
    if colorizer.card.hints != "none":
        assert colorize_video(film, out, config(kind, f"hints.items=[{picture}]")).frames == 7
        return
    with pytest.raises(UsageError, match="takes no hints"):
        colorize_video(film, out, config(kind, f"hints.items=[{picture}]"))
    assert not list(tmp_path.glob("out*"))
