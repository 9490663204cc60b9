"""A patch of lightness classified into a codeword of (u*, v*), pixel by pixel; no deep network.

After M. Richart, J. Visca, J. Baliosian: Image Colorization with Neural Networks (WVC 2017, Montevideo, DOI
10.1109/WVC.2017.00017): a self-organizing map quantizes the (u*, v*) of photographs into a codebook; a multi-layer
perceptron classifies the L* patch around a pixel; the pixel gets its own L* and the codeword's (u*, v*).

Here is what colors a film, in NumPy alone; `videocolor.published.patch_grid` trains it. The perceptron's first
layer over the patches of a frame is a convolution, done as one matrix product over blocks of rows.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from videocolor.color import luv_gamut_scale, luv_to_lab, rgb_to_lab
from videocolor.errors import InputError, ModelError
from videocolor.models.artifact import Artifact, write_artifact
from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.published.config import MapConfig, PerceptronConfig
from videocolor.types import Array

__all__ = [
    "PatchClassifier",
    "PatchColorizer",
    "bordered",
    "fit_map",
    "fit_perceptron",
    "load_patches",
    "nearest",
    "placed",
    "repaint",
    "save_network",
]

_ARCHITECTURE: Final = "published-p"
_MIDDLE: Final = 50.0
_SPREAD: Final = 25.0
"""L* is centered and scaled by about its spread in photographs before the perceptron sees it (not in the paper)."""
_BLOCK: Final = 2**22
"""Numbers in a block of patches (16 MB): it stays in the cache and in memory, whatever the frame."""
_LEVELS: Final = 1001
"""Steps of L* in the table of colors; 0.1 is far below what the eye distinguishes."""


def bordered(lightness: Array, patch: int) -> Array:
    """Lightness as the perceptron sees it, mirrored at the border so that every pixel has a complete patch.

    Args:
        lightness: (h, w) float32 CIE L* 0..100.
        patch: side of the patches, odd.

    Returns:
        (h + patch - 1, w + patch - 1) float32, about -2..2.
    """
    margin = patch // 2
    scaled = (lightness.astype(np.float32) - np.float32(_MIDDLE)) / np.float32(_SPREAD)
    return np.asarray(cv2.copyMakeBorder(scaled, margin, margin, margin, margin, cv2.BORDER_REFLECT_101))


def placed(y: Array, x: Array, height: int, width: int) -> Array:
    """(n, 2) float32: places of pixels (n,) in a picture, each of y and x from -1 to 1."""
    ends = (max(1, height - 1), max(1, width - 1))
    return np.stack([2 * at.reshape(-1) / end - 1 for at, end in zip((y, x), ends, strict=True)], 1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class PatchClassifier:
    """A perceptron with ReLU between its layers; the highest output is the class.

    Its inputs are an odd square patch, and the pixel's place where there are two more.

    Raises:
        ModelError: the layers do not fit each other, or the first one is not that of an odd square patch.
    """

    layers: tuple[tuple[Array, Array], ...]
    """(weights (inputs, outputs), bias (outputs,)) float32 of each layer."""

    def __post_init__(self) -> None:
        widths = [weights.shape[0] for weights, _ in self.layers] + [self.layers[-1][0].shape[1]]
        for number, (weights, bias) in enumerate(self.layers):
            if weights.ndim != 2 or bias.shape != (weights.shape[1],) or weights.shape[1] != widths[number + 1]:
                raise ModelError(f"layer {number}: weights {weights.shape} and bias {bias.shape} do not fit the next")
        if widths[0] - self.patch**2 not in (0, 2) or self.patch % 2 == 0:
            raise ModelError(f"the first layer takes {widths[0]} numbers: not an odd square patch")

    @property
    def patch(self) -> int:
        """Side of the patch."""
        return math.isqrt(int(self.layers[0][0].shape[0]))

    @property
    def position(self) -> bool:
        """Whether it knows the pixel's place."""
        return int(self.layers[0][0].shape[0]) > self.patch**2

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.layers[-1][0].shape[1])

    @property
    def parameters(self) -> int:
        """Number of trained numbers."""
        return int(sum(weights.size + bias.size for weights, bias in self.layers))

    def scores(self, rows: Array) -> Array:
        """(n, classes) float32 outputs for (n, inputs) float32 rows of `bordered` lightness."""
        for number, (weights, bias) in enumerate(self.layers):
            if number:
                rows = np.maximum(rows, 0, out=rows)
            rows = rows @ weights
            rows += bias
        return rows

    def classify(self, lightness: Array) -> Array:
        """Class of every pixel.

        Args:
            lightness: (h, w) float32 CIE L* 0..100.

        Returns:
            (h, w) integers in 0..classes - 1. A frame is always cut into the same blocks, so that it gets the same
            classes to the last bit whatever is colored beside it.
        """
        h, w = lightness.shape
        windows = np.lib.stride_tricks.sliding_window_view(bordered(lightness, self.patch), (self.patch, self.patch))
        widest = max(weights.shape[0] for weights, _ in self.layers)
        step = max(1, _BLOCK // (w * widest))
        found = np.empty((h, w), np.intp)
        for top in range(0, h, step):
            block = windows[top : top + step]
            rows = np.ascontiguousarray(block).reshape(-1, self.patch**2)
            if self.position:
                y, x = np.mgrid[top : top + len(block), :w]
                rows = np.concatenate([rows, placed(y, x, h, w)], axis=1)
            found[top : top + step] = self.scores(rows).argmax(axis=1).reshape(block.shape[:2])
        return found


class PatchColorizer(Colorizer):
    """Colors every frame by itself, without hints.

    Args:
        card: says the stride of the output.
        classifier: of patches into codewords.
        codebook: (classes, 2) u*, v*.
    """

    def __init__(self, card: ModelCard, classifier: PatchClassifier, codebook: Array) -> None:
        self.card, self.classifier, self.codebook = card, classifier, codebook.astype(np.float32)
        # (levels of L*, classes, 2) a*b* that are shown.
        levels = np.linspace(0, 100, _LEVELS, dtype=np.float32)
        self.table = np.moveaxis(_shown(levels[:, None], self.codebook[None])[1:], 0, -1).copy()

    def begin(self, hints: Sequence[HintInput]) -> None:
        """Reject hints; nothing is kept.

        Raises:
            ModelError: hints were given.
        """
        if hints:
            raise ModelError(f"{self.card.name} takes no hints, {len(hints)} given")

    def step(self, _state: None, luma: Array, _propagated: Array | None = None, /) -> Prediction:
        """a*b* of the codeword that each pixel's patch is classified into, averaged over the output's stride."""
        stride = self.card.output_stride
        size = (luma.shape[2] // stride, luma.shape[1] // stride)
        frames = []
        for frame in luma:
            lightness = gray_lightness(frame)
            level = np.rint(np.clip(lightness, 0, 100) * np.float32((_LEVELS - 1) / 100)).astype(np.intp)
            ab = self.table[level, self.classifier.classify(lightness)]
            frames.append(np.moveaxis(cv2.resize(ab, size, interpolation=cv2.INTER_AREA), -1, 0))
        return Prediction(np.stack(frames).astype(np.float32, copy=False))


def gray_lightness(luma: Array) -> Array:
    """CIE L* 0..100 of the gray that has this Y' (0..1); any shape."""
    flat = luma.astype(np.float32).reshape(-1)
    return np.asarray(rgb_to_lab(np.stack([flat, flat, flat]))[0].reshape(luma.shape))


def repaint(lightness: Array, uv: Array) -> Array:
    """Combine lightness with (u*, v*), the chroma lowered to the gamut of R'G'B'.

    Args:
        lightness: (h, w) CIE L* 0..100.
        uv: (h, w, 2) u*, v*.

    Returns:
        (3, h, w) float32 CIE L*, a*, b*.
    """
    return _shown(lightness.astype(np.float32), uv.astype(np.float32))


def _shown(lightness: Array, uv: Array) -> Array:
    luv = np.stack(np.broadcast_arrays(lightness, uv[..., 0], uv[..., 1]))
    luv[1:] *= luv_gamut_scale(luv)
    return luv_to_lab(luv)


def load_patches(artifact: Artifact, _device: str, _threads: int | None) -> PatchColorizer:
    """Make a colorizer of a weights file of `videocolor.published.patch_grid`.

    Args:
        artifact: tensors `codebook` (n, 2) and, for each layer i from 0, `weights.i` and `bias.i`.

    Raises:
        ModelError: tensors are missing or do not fit each other.
    """
    weights, name = artifact.weights, artifact.card.name
    count = sum(key.startswith("weights.") for key in weights)
    try:
        layers = tuple((weights[f"weights.{i}"], weights[f"bias.{i}"]) for i in range(count))
        codebook = weights["codebook"]
    except KeyError as error:
        raise ModelError(f"{name}: the weights lack {error}") from error
    if not layers or any(array.ndim == 0 for pair in layers for array in pair):
        raise ModelError(f"{name}: the weights hold no layers")
    try:
        classifier = PatchClassifier(layers)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    if codebook.shape != (classifier.classes, 2):
        raise ModelError(f"{name}: codebook {codebook.shape} for {classifier.classes} classes")
    return PatchColorizer(artifact.card, classifier, codebook)


def fit_map(uv: Array, neurons: int, config: MapConfig, seed: int) -> tuple[Array, float]:
    """Quantize (u*, v*) with a self-organizing map.

    The values are normalized to zero mean and unit variance first, each of u* and v*: the published errors are only
    possible so. The neighborhood shrinks to one neuron, as in the published library (SOMPY).

    Args:
        uv: (n, 2) u*, v*.
        neurons: of the map, a square.
        config: the settings.
        seed: of the order of the pixels.

    Returns:
        Codebook (neurons, 2) of u*, v*; quantization error, the mean distance to the nearest codeword in normalized
        units.
    """
    from minisom import MiniSom

    limited = np.clip(uv, -config.limit, config.limit).astype(np.float64)
    mean, spread = limited.mean(axis=0), limited.std(axis=0)
    normal = (limited - mean) / spread
    side = round(neurons**0.5)
    som = MiniSom(
        side,
        side,
        2,
        sigma=side / 2,
        learning_rate=config.rate,
        decay_function="linear_decay_to_zero",
        sigma_decay_function="inverse_decay_to_one",
        random_seed=seed,
    )
    shown = np.random.default_rng(seed).permutation(len(normal))[: config.steps]
    som.pca_weights_init(normal[shown])
    som.train(normal[shown], config.steps, random_order=True)
    codebook = som.get_weights().reshape(-1, 2)
    distances = nearest(normal, codebook)[1]
    return (codebook * spread + mean).astype(np.float32), float(distances.mean())


def nearest(points: Array, codebook: Array) -> tuple[Array, Array]:
    """Index of the nearest codeword of each point (n, 2), and the distance to it."""
    index, distance = np.empty(len(points), np.intp), np.empty(len(points))
    for start in range(0, len(points), 2**14):
        block = np.linalg.norm(points[start : start + 2**14, None] - codebook[None], axis=2)
        index[start : start + 2**14] = block.argmin(axis=1)
        distance[start : start + 2**14] = block.min(axis=1)
    return index, distance


def fit_perceptron(
    rows: Array, labels: Array, hidden: Sequence[int], config: PerceptronConfig, seed: int
) -> tuple[PatchClassifier, int]:
    """Train one network.

    Args:
        rows: (n, patch * patch) float32, as `patch_rows` makes them.
        labels: (n,) class of each; every class from 0 on must occur.
        hidden: neurons of each hidden layer.
        config: the settings.
        seed: of the weights and the order.

    Returns:
        The network, and the passes over the rows that it took.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier(
        tuple(hidden),
        activation="relu",
        solver="adam",
        learning_rate_init=config.lr,
        max_iter=config.max_iter,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the result says whether it settled
        network.fit(rows, labels)
    if network.classes_.tolist() != list(range(len(network.classes_))):
        raise InputError(f"the training rows have only the classes {network.classes_.tolist()}; use more images")
    layers = list(zip(network.coefs_, network.intercepts_, strict=True))
    if len(network.classes_) == 2:  # scikit-learn keeps one output for two classes
        weights, bias = layers[-1]
        layers[-1] = np.hstack([-weights, weights]) / 2, np.hstack([-bias, bias]) / 2
    return PatchClassifier(tuple((w.astype(np.float32), b.astype(np.float32)) for w, b in layers)), int(network.n_iter_)


def save_network(path: Path, classifier: PatchClassifier, codebook: Array, notes: dict[str, Any]) -> ModelCard:
    """Write a weights file that `videocolor colorize --model` takes.

    Args:
        path: the .safetensors file.
        classifier: the network.
        codebook: (classes, 2) u*, v*.
        notes: what the header says of the training.
    """
    weights = {"codebook": codebook}
    for number, (matrix, bias) in enumerate(classifier.layers):
        weights |= {f"weights.{number}": matrix, f"bias.{number}": bias}
    side = classifier.patch
    card = ModelCard(
        name="p",
        title=f"P: {side}x{side} patches of lightness{', position' * classifier.position}, "
        f"{classifier.classes} codewords of u*v*",
        hints="none",
        parameters=classifier.parameters,
        macs=256 * 256 * sum(matrix.size for matrix, _ in classifier.layers),
        area=256 * 256,
        multiple=16,
        output_stride=2,
        licence="Apache-2.0",
        source="Richart, Visca, Baliosian: Image Colorization with Neural Networks (WVC 2017, "
        "DOI 10.1109/WVC.2017.00017); trained by videocolor",
    )
    write_artifact(path, weights, card, _ARCHITECTURE, notes)
    return card
