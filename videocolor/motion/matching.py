"""Where a picture is seen in a frame of the same scene, when nothing is known of the way between them.

    places = match_image(frame, picture, flow)

Two searches by `videocolor.motion.flow` that vouch for themselves forward and backward: from the same places, for a
static camera, and from where the features of both (SIFT: Lowe, IJCV 2004; fitted with RANSAC) say that a camera that
moved has brought them. The one that vouches for more is taken, so a picture of something else gives next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np

from videocolor.motion.flow import FlowEstimator, consistency, grid
from videocolor.motion.similarity import similarities
from videocolor.types import Array

__all__ = ["MatchImage", "scene_similarity", "matched_texture_share", "match_image"]

_FEATURES: Final = 400
_RATIO: Final = 0.8
"""Distance to the best match against that to the second best, over which a match is no match (Lowe)."""
_AGREE: Final = 6
"""Matches that must agree on a camera's move."""
_WHOLE: Final = 0.4
"""Share of a picture's texture that is found again, from which it certainly shows the scene.

Half of it is more than three times what any of 1,369 pairs of unrelated frames reached (docs/research/motion.md).
"""
_WORTH: Final = 0.05
_ALIKE: Final = 0.5
"""Similarity by correlation under which, and from which, two pictures are not searched for each other."""
_SEARCHED: Final = 8
"""Pictures that a shot is searched for, at most: the likeliest."""
_KEPT: Final = 128
"""Pictures whose features are remembered, a quarter of a megabyte each."""
_TEXTURE: Final = 40.0
"""Variance of prepared luma in 5x5 pixels from which a place tells anything; grain stays below."""
_PLAIN: Final = 0.1
"""Share of a frame that must be texture, lest a caption on black is all that counts."""
_MISS: Final = 4.0
"""Pixels by which they may miss it: the scene is not flat, and flow goes on from there."""


@dataclass(frozen=True, eq=False)
class MatchImage:
    """A picture that may be seen."""

    picture: Array
    """(h, w) uint8, as `FlowEstimator.prepare` returns it."""

    @cached_property
    def features(self) -> tuple[Array, Array]:
        """(n, 2) float32 places (x, y) and (n, 128) float32 descriptors."""
        points, described = cv2.SIFT.create(nfeatures=_FEATURES).detectAndCompute(self.picture, None)
        places = np.array([point.pt for point in points], np.float32).reshape(-1, 2)
        return places, np.zeros((0, 128), np.float32) if len(places) == 0 else np.asarray(described)

    @cached_property
    def texture(self) -> Array:
        """(h, w) float32 in 0..1: how much a place tells; a wall, a sky or a black frame fit anything."""
        luma = self.picture.astype(np.float32)
        mean = cv2.blur(luma, (5, 5))
        variance = cv2.blur(luma * luma, (5, 5)) - mean * mean
        return np.asarray(np.maximum(variance - _TEXTURE, 0) / (variance + _TEXTURE))


def match_image(frame: MatchImage, picture: MatchImage, flow: FlowEstimator) -> tuple[Array, Array]:
    """Search for the pixels of a frame in a picture of the same size.

    Returns:
        (h, w, 2) float32 their places (x, y) in the picture, and (h, w) float32 in 0..1 how far these are trusted.
    """
    here = grid(*frame.picture.shape)
    best_at, best = here, np.zeros(frame.picture.shape, np.float32)
    for start, way_back in _starts(frame, picture):
        ahead = flow.refine(frame.picture, picture.picture, start)
        back = flow.refine(picture.picture, frame.picture, way_back)
        trust = consistency(ahead, back, frame.picture, picture.picture)
        if trust.sum() > best.sum():
            best_at, best = cv2.add(here, ahead), trust
    return np.array(best_at), best


def matched_texture_share(frame: MatchImage, trust: Array) -> float:
    """How much of what tells anything in a frame is trusted, 0..1; next to nothing where nothing does."""
    texture = frame.texture
    return float((trust * texture).sum() / max(float(texture.sum()), _PLAIN * texture.size))


def _starts(frame: MatchImage, picture: MatchImage) -> list[tuple[Array, Array]]:
    """First guesses of the flow from frame to picture, and back."""
    nowhere = np.zeros((*frame.picture.shape, 2), np.float32)
    moved = _camera(frame, picture)
    if moved is None:
        return [(nowhere, nowhere)]
    return [(nowhere, nowhere), (_field(moved, nowhere), _field(cv2.invertAffineTransform(moved), nowhere))]


def _field(matrix: Array, like: Array) -> Array:
    """Return the flow of an affine map."""
    here = grid(*like.shape[:2])
    return np.asarray(cv2.transform(here, matrix.astype(np.float32)) - here)


def _camera(frame: MatchImage, picture: MatchImage) -> Array | None:
    """(2, 3): shift, turn and scale from the frame to the picture; None where too few features agree."""
    (points, found), (others, seen) = frame.features, picture.features
    if len(points) < _AGREE or len(others) < _AGREE:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(found, seen, k=2)
    good = [first for first, second in pairs if first.distance < _RATIO * second.distance]
    if len(good) < _AGREE:
        return None
    start, end = points[[match.queryIdx for match in good]], others[[match.trainIdx for match in good]]
    matrix, agree = cv2.estimateAffinePartial2D(start, end, method=cv2.RANSAC, ransacReprojThreshold=_MISS)
    if matrix is None or int(agree.sum()) < _AGREE or not 0.25 < float(np.linalg.det(matrix[:, :2])) < 4:
        return None
    return np.asarray(matrix)


def scene_similarity(pictures: Sequence[Array], shots: Sequence[Sequence[Array]], own: Sequence[int | None]) -> Array:
    """How surely pictures show the scenes of shots, from the pictures and some frames of each shot.

    By `shot_similarity`, which recognizes fixed cameras and moods; else by how much of the picture's texture is found
    in the frame that it resembles most, wherever it has moved. A search takes milliseconds, and a film may have a
    thousand shots and as many reference frames: a shot is searched for the `_SEARCHED` likeliest pictures, and where
    it has a reference frame of its own, not for other shots' reference frames.

    Args:
        pictures: (h, w) uint8 luma; 160x90 pixels are plenty.
        shots: frames of each, the same size, at least one.
        own: place of the shot that a picture was painted for; None for one without a shot.

    Returns:
        (pictures, shots) float32 in 0..1; 0.5 is reached by one in a hundred pairs of unrelated pictures.
    """
    views = [frame for frames in shots for frame in frames]
    ends = np.cumsum([len(frames) for frames in shots])
    each = np.split(similarities(pictures, views), ends[:-1], axis=1)
    table = np.stack([like.max(axis=1) for like in each], axis=1)
    flow, images = FlowEstimator("detailed"), _MatchImages(pictures)
    for shot, like in enumerate(each):
        for number in _worth_searching(table[:, shot], own, shot):
            frame = MatchImage(flow.prepare(shots[shot][int(like[number].argmax())]))
            picture = images.of(number, flow)
            found = matched_texture_share(picture, match_image(picture, frame, flow)[1]) / _WHOLE
            table[number, shot] = max(table[number, shot], min(1.0, found))
    return table


def _worth_searching(similarity: Array, own: Sequence[int | None], shot: int) -> list[int]:
    """Which pictures to search for in a shot, by how alike they are."""
    open_to_all = shot not in own
    worth = [
        number
        for number in np.argsort(-similarity, kind="stable").tolist()
        if _WORTH <= similarity[number] < _ALIKE and (open_to_all or own[number] is None or own[number] == shot)
    ]
    return worth[:_SEARCHED] + [number for number in worth[_SEARCHED:] if own[number] == shot]


class _MatchImages:
    """Pictures prepared for matching, on demand; the latest are kept, since shots of one scene ask for the same."""

    def __init__(self, pictures: Sequence[Array]) -> None:
        self._pictures = pictures
        self._kept: dict[int, MatchImage] = {}

    def of(self, number: int, flow: FlowEstimator) -> MatchImage:
        """Of one picture."""
        image = self._kept.pop(number, None) or MatchImage(flow.prepare(self._pictures[number]))
        self._kept[number] = image
        if len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        return image
