"""The two things that the patch colouriser learns: a codebook of (u*, v*), and a perceptron; and their weights file."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from videocolor.errors import InputError
from videocolor.models.artifact import write_artifact
from videocolor.models.base import ModelCard
from videocolor.published.patch_config import MapConfig, PerceptronConfig
from videocolor.published.patches import ARCHITECTURE, PatchClassifier
from videocolor.types import Array

__all__ = ["fit_map", "fit_perceptron", "nearest", "save_network"]


def fit_map(uv: Array, neurons: int, config: MapConfig, seed: int) -> tuple[Array, float]:
    """Quantise (u*, v*) with a self-organising map.

    The values are normalised to zero mean and unit variance first, each of u* and v*: the published errors are only
    possible so. The neighbourhood shrinks to one neuron, as in the published library (SOMPY).

    Args:
        uv: (n, 2) u*, v*.
        neurons: of the map, a square.
        config: the settings.
        seed: of the order of the pixels.

    Returns:
        Codebook (neurons, 2) of u*, v*; quantisation error, the mean distance to the nearest codeword in normalised
        units.
    """
    from minisom import MiniSom

    cap_hints_per_shot = np.clip(uv, -config.limit, config.limit).astype(np.float64)
    mean, spread = cap_hints_per_shot.mean(axis=0), cap_hints_per_shot.std(axis=0)
    normal = (cap_hints_per_shot - mean) / spread
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
        name="patches",
        title=f"Patch classifier: {side}x{side} of lightness into {classifier.classes} codewords of u*v*",
        hints="none",
        parameters=classifier.parameters,
        macs=256 * 256 * sum(matrix.size for matrix, _ in classifier.layers),
        area=256 * 256,
        multiple=16,
        output_stride=2,
        source="Richart, Visca, Baliosian: Self-organizing maps and patch classification (2017); trained by videocolor",
    )
    write_artifact(path, weights, card, ARCHITECTURE, notes)
    return card
