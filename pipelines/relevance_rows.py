"""Measure the gain of using each hint on complete frames, as targets for the relevance gate.

Training sees crops, where that gate is right; on complete frames, as films give them, it is not. So the finished
network colors frames of the pack with right, similar and wrong hints at several degrees of relevance, and each
row holds the gate's input and the gain of each degree over no hint, in decibels.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from videocolor.color import rgb_to_lab, rgb_to_luma
from videocolor.datasets.degrade import gray_of, old_film
from videocolor.datasets.pack import PackReader
from videocolor.errors import InputError
from videocolor.evaluation.tasks import luma_codes, picture
from videocolor.files import write_atomically
from videocolor.images import resized
from videocolor.models.artifact import read_artifact
from videocolor.models.base import ModelCard
from videocolor.models.hint import AB_SCALE
from videocolor.models.hint.network import HintNet, Match, no_propagated, no_tokens
from videocolor.models.hint.runtimes import network_of
from videocolor.shots.prepare import working_size
from videocolor.types import Array

__all__ = ["DEGREES", "KINDS", "Rows", "measure_relevance", "one_thread"]

DEGREES: Final = (0.0, 0.5, 1.0)
"""Degrees of relevance that are tried; 0 is coloring without a hint."""
Kind = Literal["right", "far", "rotated", "scribbles", "two", "similar", "wrong", "wrong scribbles"]
KINDS: Final[tuple[Kind, ...]] = ("right", "far", "rotated", "scribbles", "two", "similar", "wrong", "wrong scribbles")
"""Of the same shot (a pair's hint; anywhere in the clip; a picture cropped and rotated; scribbles; with a second one),
of a similar source, of any other source (complete; scribbles)."""
_OLD_FILM, _FINE = 0.25, 0.6
"""Share of targets degraded like old film; share with a working size of shots with hints."""
_FINE_AREAS: Final = (416 * 240, 512 * 288)
_MOST_DB: Final = 25.0

Place = tuple[int, int]
"""Item of the pack, and number of its frame."""


class Rows(NamedTuple):
    """What was measured, n rows."""

    evidence: Array
    """(n, 48) float32, input of the gate."""
    gain: Array
    """(n, len(DEGREES)) float32, RGB-PSNR in dB over coloring without a hint."""
    kind: Array
    """(n,) int64, index into `KINDS`."""
    relevance: Array
    """(n,) float32, output of the gate so far."""
    group: Array
    """(n, 2) int64, sources of target and hint, numbered."""

    def save(self, path: Path) -> None:
        """Write them atomically as .npz.

        Raises:
            OutputError: the folder cannot be written or the disk is full.
        """
        content = io.BytesIO()
        np.savez_compressed(content, **self._asdict())
        write_atomically(path, content.getvalue())

    @classmethod
    def joined(cls, several: Sequence[Rows]) -> Rows:
        """Concatenate the rows of several runs."""
        return cls(*(np.concatenate(parts) for parts in zip(*several, strict=True)))

    @classmethod
    def load(cls, path: Path) -> Rows:
        """Read what `save` wrote.

        Raises:
            InputError: it is no such file.
        """
        try:
            with np.load(path) as stored:
                return cls(*(stored[name] for name in cls._fields))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: not rows measured for the relevance gate ({error})") from error


@dataclass(frozen=True)
class _Case:
    """Hints of one target."""

    kind: Kind
    hints: tuple[Place, ...]
    spots: int = 0
    """Number of painted squares; 0: the complete hint."""


def measure_relevance(pack: Path, weights: Path, *, frames: int = 1, images: int = 150, seed: int = 5) -> Rows:
    """Color frames of a pack with right, similar and wrong hints at each of `DEGREES`.

    Args:
        pack: packed footage; never held back.
        weights: file of the finished network.
        frames: targets a clip.
        images: of the pack's images that are targets.
        seed: of all draws.

    Raises:
        InputError: held-back footage, footage of one source, or no pack.
        ModelError: weights that cannot be read, or of another network.
    """
    reader = PackReader(pack)
    if reader.notes.get("held"):
        raise InputError(f"{pack}: packed held-back footage; nothing is fitted to it")
    if len({item.source for item in reader.items}) < 2:
        raise InputError(f"{pack}: footage of one source; a wrong hint comes from another")
    net = network_of(read_artifact(weights))
    places = _targets(reader, frames, images, seed)
    with one_thread():
        known = np.stack([_describe(net, reader, place) for place in tqdm(places, unit="frame", desc="describe")])
        known -= known.mean(axis=0)
        known /= np.linalg.norm(known, axis=1, keepdims=True) + 1e-6
        rows = []
        for n, place in enumerate(tqdm(places, unit="frame", desc="measure")):
            rows += _measure(net, reader, place, _similar(reader, places, known, n), np.random.default_rng([seed, n]))
    sources = {name: n for n, name in enumerate(sorted({item.source for item in reader.items}))}
    numbered = {i: sources[item.source] for i, item in enumerate(reader.items)}
    return Rows(
        np.array([row[0] for row in rows], np.float32),
        np.array([row[1] for row in rows], np.float32),
        np.array([row[2] for row in rows], np.int64),
        np.array([row[3] for row in rows], np.float32),
        np.array([[numbered[i] for i in row[4]] for row in rows], np.int64),
    )


def _targets(pack: PackReader, frames: int, images: int, seed: int) -> list[Place]:
    """Draw some originals of the pairs of every clip, and some of the images."""
    rng = np.random.default_rng(seed)
    clips = [n for n, item in enumerate(pack.items) if item.kind != "image"]
    pictures = [n for n, item in enumerate(pack.items) if item.kind == "image"]
    drawn = rng.permutation(pictures)[:images]
    places = [(int(n), 0) for n in drawn]
    for n in clips:
        places += [(n, int(j)) for j in rng.permutation(np.unique(pack.pairs(pack.items[n])[:, 0]))[:frames]]
    return places


def _similar(pack: PackReader, places: Sequence[Place], known: Array, index: int) -> list[Place]:
    """Find the 100 targets of other sources with the nearest deepest features, nearest first."""
    own = pack.items[places[index][0]].source
    order = np.argsort(-(known @ known[index]), kind="stable")
    others = (places[n] for n in order if pack.items[places[n][0]].source != own)
    return [place for place, _ in zip(others, range(100), strict=False)]


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one CPU thread: for work too small to share, and sums that are the same on every machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _describe(net: HintNet, pack: PackReader, place: Place) -> Array:
    """Mean of the deepest features of a frame."""
    rgb = cv2.resize(pack.frame(pack.items[place[0]], place[1]), (160, 96), interpolation=cv2.INTER_AREA)
    with torch.inference_mode():
        return np.asarray(net.encoder(_tensor(_luma(rgb)[None]))[4].mean(dim=(0, 2, 3)).numpy())


_Row = tuple[Array, list[float], int, float, tuple[int, int]]


def _measure(
    net: HintNet, pack: PackReader, place: Place, similar: list[Place], rng: np.random.Generator
) -> list[_Row]:
    """Measure the rows of one target."""
    frame = pack.frame(pack.items[place[0]], place[1])
    area = int(rng.choice(_FINE_AREAS)) if rng.random() < _FINE else 288 * 160
    card = ModelCard("", "", "many", 0, None, area=area)
    height, width = size = working_size(frame.shape[1] * 4, frame.shape[0] * 4, card)
    rgb = resized(frame, size)
    luma = old_film(gray_of(rgb, rng), rng) if rng.random() < _OLD_FILM else _luma(rgb)
    truth = resized(frame, (height // 2, width // 2))
    with torch.inference_mode():
        seen = _tensor(luma[None])
        taps = net.encoder(seen)
        features = net.matcher(taps)
        degrees = torch.tensor(DEGREES[1:])[:, None, None, None]
        several = [tap.expand(len(degrees), -1, -1, -1) for tap in taps]
        nothing = net.attend(features, *no_tokens(net.null.in_channels))
        plain = net.decoder(seen, taps, *nothing.gated(torch.zeros(1, 1, 1, 1)), no_propagated(seen))[0]
        rows: list[_Row] = []
        for case in _cases(pack, place, similar, rng):
            tokens = _tokens(net, pack, case, size, rng)
            if tokens is None:
                continue
            found = net.attend(features, *tokens)
            found_so = Match(*(part.expand(len(degrees), -1, -1, -1) for part in found))
            seen_so = seen.expand(len(degrees), -1, -1, -1)
            hinted = net.decoder(seen_so, several, *found_so.gated(degrees), no_propagated(seen_so))[0]
            ab = torch.cat((plain, hinted)).numpy() * AB_SCALE
            gain = _gains(ab, truth)
            relevance = float(net.relevance(found.evidence))
            numbers = found.evidence.flatten().numpy()
            rows.append((numbers, gain, KINDS.index(case.kind), relevance, (place[0], case.hints[0][0])))
    return rows


def _gains(ab: Array, truth: Array) -> list[float]:
    """RGB-PSNR of each a*b* minus that of the first, in dB."""
    codes, goal = luma_codes(truth, "bt601"), truth.astype(np.float32)
    errors = [float(np.mean((picture(codes, one, "bt601") - goal) ** 2)) for one in ab]
    return [float(np.clip(10 * np.log10((errors[0] + 1e-3) / (e + 1e-3)), -_MOST_DB, _MOST_DB)) for e in errors]


def _cases(pack: PackReader, place: Place, similar: list[Place], rng: np.random.Generator) -> Iterator[_Case]:
    """Draw the hints of a target."""
    index, item = place[0], pack.items[place[0]]
    clips = [n for n, other in enumerate(pack.items) if len(other.times) > 1 and other.source != item.source]
    images = [n for n, other in enumerate(pack.items) if other.kind == "image" and other.source != item.source]

    def other(among: list[int]) -> Place:
        n = int(rng.choice(among or clips or images))
        return n, int(rng.integers(len(pack.items[n].times)))

    def like(top: int) -> Place:
        return similar[int(rng.integers(min(top, len(similar))))]

    if item.kind == "image":
        yield _Case("wrong", (other(clips if rng.random() < 0.3 else images),))
        yield from (_Case("similar", (like(top),)) for top in (5, 50))
        if rng.random() < 0.5:
            yield _Case("rotated", (place,))
        return
    pairs = pack.pairs(item)
    near = pairs[pairs[:, 0] == place[1], 1]

    def right() -> Place:
        return index, int(rng.choice(near))

    yield from (_Case("right", (right(),)) for _ in range(2))
    yield _Case("far", ((index, int(rng.integers(len(item.times)))),))
    yield from (_Case("wrong", (other(among),)) for among in (clips, clips, images))
    yield from (_Case("similar", (like(top),)) for top in (5, 20, 100))
    yield _Case("scribbles", (right(),), int(rng.integers(1, 51)))
    yield _Case("two", (right(), other(clips) if rng.random() < 0.5 else right()))
    yield _Case("wrong scribbles", (other(clips),), int(rng.integers(1, 51)))


def _tokens(
    net: HintNet, pack: PackReader, case: _Case, size: tuple[int, int], rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Concatenate the tokens of a case's hints; None where no token is painted."""
    parts = []
    for index, number in case.hints:
        frame = pack.frame(pack.items[index], number)
        rgb = resized(_rotated(frame, rng) if case.kind == "rotated" else frame, size)
        luma = _luma(rgb, "bt709" if rng.random() < 0.5 else "bt601")
        ab = rgb_to_lab(np.moveaxis(rgb.astype(np.float32) / 255, -1, 0))[1:] / np.float32(AB_SCALE)
        mask = _squares(size, case.spots, rng)
        parts.append(net.encode_hint(_tensor(luma[None]), _tensor(ab), _tensor(mask[None])))
    keys, values, valid = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
    kept = valid[0] > 0
    return (keys[:, kept], values[:, kept], valid[:, kept]) if bool(kept.any()) else None


def _rotated(frame: Array, rng: np.random.Generator) -> Array:
    """Cut out, rotate and shear a part of a picture, to be a hint for the complete one."""
    height, width = frame.shape[:2]
    scale, linear = rng.uniform(0.6, 0.95), np.eye(2) + rng.uniform(-0.12, 0.12, (2, 2))
    middle = np.array([width, height]) * (0.5 + (1 - scale) * rng.uniform(-0.5, 0.5, 2))
    linear *= scale
    matrix = np.column_stack((linear, middle - linear @ np.array([width, height]) / 2)).astype(np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(frame, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT))


def _squares(size: tuple[int, int], count: int, rng: np.random.Generator) -> Array:
    """(h, w) float32: that many small painted squares; all of it for 0."""
    if not count:
        return np.ones(size, np.float32)
    mask, half = np.zeros(size, np.float32), max(2, round(7 * min(size) / 480))
    for row, column in (rng.random((count, 2)) * size).astype(int):
        mask[max(0, row - half) : row + half + 1, max(0, column - half) : column + half + 1] = 1
    return mask


def _luma(rgb: Array, matrix: Literal["bt601", "bt709"] = "bt601") -> Array:
    return np.clip(rgb_to_luma(np.moveaxis(rgb.astype(np.float32) / 255, -1, 0), matrix), 0, 1).astype(np.float32)


def _tensor(planes: Array) -> Tensor:
    """(c, h, w) -> (1, c, h, w)."""
    return torch.from_numpy(np.ascontiguousarray(planes, np.float32))[None]
