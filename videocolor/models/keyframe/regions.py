"""One thing, one choice: regions of a picture, and the color of each place from its distribution and its region's.

Regions are those of P. Felzenszwalb, D. Huttenlocher: Efficient Graph-Based Image Segmentation (IJCV 2004), over luma
and the mean of what is plausible, at two scales: faces and hands are regions of the finer one, lawns of the coarser.
A place decides by its own distribution and by those of its regions (a product of experts), so that a thing keeps one
color up to its edge; a plain place by that of its coarse region. The color is the annealed mean of R. Zhang, P.
Isola, A. Efros: Colorful Image Colorization (ECCV 2016).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import cv2
import numpy as np

from videocolor.types import Array

__all__ = [
    "Evidence",
    "Head",
    "by_regions",
    "choose_chroma",
    "expected_chroma",
    "find_regions",
    "prepare",
    "propose",
]

_LEVELS: Final = ((40.0, 10, 0.3), (400.0, 160, 0.3))
"""Of each kind of regions: scale, least number of pixels, and weight of the region's distribution; the rest is the
place's own."""
_LUMA_WEIGHT: Final = 3.0
_CHROMA_UNIT: Final = 15.0
"""Lab units of the mean that count as much as a third of the range of luma."""
_PLAIN: Final = 0.06
"""Standard deviation of luma around a place at which it is half plain. Where nothing is to be seen, the place's own
distribution is a guess, and patches came on walls: there the coarse region decides."""
_AROUND: Final = (7, 7)
_TEMPERATURE: Final = 0.06
_CAUTIOUS: Final = -0.1
"""Exponent of the bins' training weights at vividness 0: common colors, which are pale, count for more."""
_BOLD: Final = 0.5
"""The exponent at vividness 1: rare colors count for more."""
_CHROMA_GAIN: Final = 0.05
"""Nats at vividness 1 for each Lab unit of a bin's chroma: of what is likely, the more vivid. The exponent alone
prefers rare hues, and lawns turned violet."""
_MOST_GAIN: Final = 30.0
"""Chroma, in Lab units, from which more of it is preferred no more, or coats turned scarlet."""
_EXPECTED: Final = 1.7
"""Share of the expected colorfulness (of averaged features) that a picture has at least, at vividness 1; at 0 none."""
_MOST_VIVID: Final = 1.4
"""Vividness up to which is tried to reach it, in so many steps."""
_TRIED: Final = 8
_THIN: Final = 7
"""One place of so many is looked at for it."""
_FLOOR: Final = 1e-9
_DRAWN: Final = 24
"""Proposals that are drawn, of which those that differ most are kept."""
_TASTE: Final = 0.6
"""Standard deviation, in nats, of a taste."""
_SMOOTH: Final = 2.0
"""Standard deviation, in bins of 10 Lab units, of the colors that a taste treats alike."""
_LIKELY: Final = 10.0
"""Lab units of difference that are worth a nat of likelihood."""
_APART: Final = 15.0
"""Lab units within which two colors count as the same choice (standard deviation)."""


@dataclass(frozen=True, eq=False)
class Head:
    """From the network's last features to a mean and a distribution of a*b*, by one matrix each."""

    centers: Array
    """(q, 2) float32 a*b* of the bins."""
    weights: Array
    """(q,) float32, what the bins weighed in training: more where a color is rare."""
    scores: tuple[Array, Array]
    """Matrix (q, c) and bias (q,) of the bins' logits."""
    mean: tuple[Array, Array]
    """Matrix (2, c) and bias (2,) of the mean of what is plausible, a*b*."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the network says of a picture, on its grid of (h, w)."""

    luma: Array
    """(h, w) float32 Y' in 0..1."""
    features: Array
    """(c, h, w) float32."""
    head: Head

    @cached_property
    def mean(self) -> Array:
        """(2, h, w) float32 a*b*, the mean of what is plausible."""
        return self._apply(self.head.mean)

    @cached_property
    def scores(self) -> Array:
        """(q, h, w) float32, logits of the bins."""
        return self._apply(self.head.scores)

    def _apply(self, layer: tuple[Array, Array]) -> Array:
        matrix, bias = layer
        flat = matrix @ self.features.reshape(len(self.features), -1) + bias[:, None]
        return np.asarray(flat.reshape(-1, *self.luma.shape), np.float32)


def prepare() -> None:
    """Import what `find_regions` needs, which takes a fifth of a second; what goes wrong, it says itself."""
    with suppress(ImportError):
        from skimage.segmentation import felzenszwalb  # noqa: F401


def find_regions(evidence: Evidence) -> list[Array]:
    """(h, w) int64 numbers of regions, from 0: the finer ones, then the coarser."""
    from skimage.segmentation import felzenszwalb

    look = np.concatenate([evidence.luma[None] * np.float32(_LUMA_WEIGHT), evidence.mean / np.float32(_CHROMA_UNIT)])
    picture = np.moveaxis(look, 0, -1).astype(np.float64)
    return [
        np.asarray(felzenszwalb(picture, scale=scale, sigma=0.8, min_size=least, channel_axis=2), np.int64)
        for scale, least, _ in _LEVELS
    ]


def by_regions(evidence: Evidence) -> Evidence:
    """Let each place follow its regions, too: its features become a mean of its own and theirs.

    Logits are linear in the features, so that a region's mean logits are those of its mean features.
    """
    features = evidence.features.reshape(len(evidence.features), -1)
    shared = np.float32(1 - sum(weight for _, _, weight in _LEVELS)) * features
    for numbers, (_, _, weight) in zip(find_regions(evidence), _LEVELS, strict=True):
        flat = numbers.ravel()
        means = _region_means(features, flat)[:, flat]
        shared += np.float32(weight) * means
    shared += _plainness(evidence.luma, flat) * (means - shared)  # of the last, coarsest regions
    return replace(evidence, features=shared.reshape(evidence.features.shape))


def choose_chroma(evidence: Evidence, vividness: float, taste: Array | None = None) -> tuple[Array, Array]:
    """Color a picture.

    Args:
        evidence: as `by_regions` returns.
        vividness: from 0, common and pale colors, to 1, vivid ones.
        taste: (q,) float32, nats by which the bins count for more everywhere; None: 0.

    Returns:
        (2, h, w) float32 a*b*, and the standard deviation (h, w) of the distribution whose mean they are.
    """
    head, shape = evidence.head, evidence.luma.shape
    features = evidence.features.reshape(len(evidence.features), -1)
    vividness = _at_least(head, features[:, ::_THIN], vividness)
    a, b, squares = _annealed(head, features, vividness, taste)
    variance = np.maximum(squares - np.square(a) - np.square(b), 0)
    return np.stack((a, b)).reshape(2, *shape), np.sqrt(variance).reshape(shape)


def _annealed(head: Head, features: Array, vividness: float, taste: Array | None = None) -> Array:
    """(3, n) float32 of features (c, n): mean a*, b*, and mean square length of a*b*, of the annealed distribution."""
    matrix, bias = head.scores
    preferred = np.float32(_CAUTIOUS + (_BOLD - _CAUTIOUS) * vividness) * np.log(head.weights)
    preferred += np.float32(_CHROMA_GAIN * vividness) * np.minimum(np.hypot(*head.centers.T), np.float32(_MOST_GAIN))
    shares = np.float32(1 / _TEMPERATURE) * matrix @ features
    shares += ((bias + preferred + (0 if taste is None else taste)) / np.float32(_TEMPERATURE))[:, None]
    shares -= shares.max(axis=0)
    np.exp(shares, out=shares)
    squares = np.square(head.centers).sum(axis=1, keepdims=True)
    moments = np.concatenate([head.centers, squares, np.ones_like(squares)], axis=1).T @ shares
    return np.asarray(moments[:3] / moments[3], np.float32)


def expected_chroma(head: Head, features: Array) -> float:
    """Mean C*ab of a picture as the network expects it: of its distribution, less the weights of training.

    Args:
        head: of the network.
        features: (c, n) of some places.
    """
    matrix, bias = head.scores
    shares = matrix @ features + (bias - np.log(head.weights))[:, None]
    shares = np.exp(shares - shares.max(axis=0))
    return float((np.hypot(*head.centers.T) @ shares / shares.sum(axis=0)).mean())


def _at_least(head: Head, features: Array, vividness: float) -> float:
    """Raise vividness until the picture is nearly as colorful as the network expects it to be.

    Where the network knows of several vivid colors which it holds for alike, it decides for the gray between them; old
    film, which looks like nothing that it was trained on, would be gray all over. How colorful the picture is, it knows
    better.

    Args:
        head: of the network.
        features: (c, n) of some places.
        vividness: as given; more of it asks for more color.
    """
    wanted = _EXPECTED * vividness * expected_chroma(head, features)
    tried = np.linspace(vividness, max(_MOST_VIVID, vividness), _TRIED)
    found = [0.0]
    for value in tried:  # the first one is enough for most pictures
        found.append(max(found[-1], float(np.hypot(*_annealed(head, features, value)[:2]).mean())))
        if found[-1] > wanted:
            break
    return float(np.interp(wanted, found[1:], tried[: len(found) - 1]))


def propose(evidence: Evidence, vividness: float, count: int) -> list[Array]:
    """Color a picture in several ways that differ as wholes, the likeliest first.

    A proposal is the picture's colors under a random taste, by which some colors count for more everywhere: what is
    certain keeps its color, and things that are alike get the same one. Of many, those are returned that differ most.

    Args:
        evidence: what the network says.
        vividness: as of `choose_chroma`.
        count: how many proposals.

    Returns:
        (2, h, w) float32 a*b* each; the first is the color that the frame gets by itself, without others of its shot.
    """
    shared = by_regions(evidence)
    first, *drawn = (
        choose_chroma(shared, vividness, taste)[0]
        for taste in (None, *(_tastes(evidence.head.centers) if count > 1 else ()))
    )
    likely = [_likelihood(evidence, ab) for ab in drawn]
    apart, chosen = np.full(len(drawn), np.inf), list[int]()
    newest = first
    while len(chosen) < min(count - 1, len(drawn)):
        apart = np.minimum(apart, [float(np.hypot(*(ab - newest)).mean()) for ab in drawn])
        chosen.append(int(np.argmax(apart + np.float32(_LIKELY) * np.array(likely))))
        apart[chosen[-1]] = -np.inf
        newest = drawn[chosen[-1]]
    return [first, *(drawn[i] for i in sorted(chosen, key=lambda i: -likely[i]))]


def _tastes(centers: Array) -> list[Array]:
    """Draw (q,) nats by which bins count for more: noise that is smooth over a*b*, the same in each call."""
    place = np.rint(centers / np.float32(10)).astype(int) + 16
    noise = np.random.default_rng(1).standard_normal((_DRAWN, 33, 33)).astype(np.float32)
    smooth = [cv2.GaussianBlur(plane, (0, 0), _SMOOTH) for plane in noise]
    return [np.float32(_TASTE) * (plane / plane.std())[place[:, 0], place[:, 1]] for plane in smooth]


def _region_means(planes: Array, flat: Array) -> Array:
    """Average (c, n) inside regions: (c, regions) float32."""
    order = np.argsort(flat, kind="stable")
    sizes = np.bincount(flat)
    begins = np.cumsum(sizes) - sizes
    return np.asarray(np.add.reduceat(planes[:, order], begins, axis=1) / sizes, np.float32)


def _plainness(luma: Array, flat: Array) -> Array:
    """Plainness of each place of (h, w) luma, times the mean plainness of its region: (h * w,) float32 in 0..1."""
    mean = cv2.blur(luma, _AROUND)
    variance = np.maximum(cv2.sqrBoxFilter(luma, cv2.CV_32F, _AROUND) - mean * mean, 0)
    plain = (1 / (1 + variance / np.float32(_PLAIN**2))).ravel()
    return np.asarray(plain * _region_means(plain[None], flat)[0, flat], np.float32)


def _likelihood(evidence: Evidence, ab: Array) -> float:
    """Mean logarithm of the probability of colors near those of a picture."""
    shares = np.exp(evidence.scores - evidence.scores.max(axis=0))
    apart = np.square(evidence.head.centers[:, :, None, None] - ab[None]).sum(axis=1)
    near = (shares * np.exp(apart / np.float32(-2 * _APART**2))).sum(axis=0) / shares.sum(axis=0)
    return float(np.log(near + _FLOOR).mean())
