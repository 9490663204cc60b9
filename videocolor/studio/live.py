"""Color the frame on screen at once, and hold the network that does it.

One frame is colored with the points that were just set, without fusion over time. A preview of the shot follows in the
background; its colors may differ a little, since they are fused with those of the neighboring frames and follow motion
from painted frames.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Final, Literal

import numpy as np

from videocolor.concurrency.stages import single_threaded_kernels
from videocolor.config import ColorizeConfig
from videocolor.hints.marks import places_of
from videocolor.hints.plan import MOST_PER_SHOT, hint_ab, hint_input, load_hint
from videocolor.images import encode_image
from videocolor.images import resized as resized_plane
from videocolor.keyframes.choose import propose_colors
from videocolor.models.automatic import AutomaticColorizer
from videocolor.models.base import Colorizer, HintInput, KeyframeMotion, ModelCard, Prediction
from videocolor.models.hint.colorizer import HintColorizer
from videocolor.models.hint.staged import KeptColorizer, Memo, StagedRuntime
from videocolor.pipeline.film import load_network
from videocolor.pipeline.upsample import plane_luma, upsample_chroma
from videocolor.preview import PreviewFrame, preview_rgb, preview_size, warm_up
from videocolor.shots.prepare import small_luma, working_size
from videocolor.studio.contradictions import contradictions
from videocolor.studio.errors import NotFoundError
from videocolor.studio.frames import ByteCache, FilmIndex, FrameSource, jpeg_bytes
from videocolor.studio.hints import points_layer
from videocolor.studio.pictures import Kind, frame_jpeg, resized
from videocolor.studio.project import ProjectStore
from videocolor.studio.projectdata import Point
from videocolor.types import Array, Frame, Given, Hint, Mark

__all__ = ["LiveColors", "Network"]

_KEPT: Final = 24
"""Lumas and hints that are kept for the next click, at the size that they are used in."""
_SHOWN: Final = 4
"""Colored frames that are kept for the page to fetch; unpacked, for packing takes as long as a third of the colors."""
_LOADED: Final = 256 * 2**20
"""Bytes of pictures of hints, at their full size."""
_PROPOSALS: Final = 3
_PATIENCE: Final = 2.0
"""Seconds that a preview waits for a click at most."""
_REGION_WIDTH: Final = 160
"""Of the regions that the page shows."""


class LiveColors:
    """Single frames in color; safe for threads.

    Args:
        store: the project.
        index: the frames of its film.
        source: reads them.
        network: colors them.
        make_way: called before a frame is colored, to stop work that can wait.
    """

    def __init__(
        self,
        store: ProjectStore,
        index: FilmIndex,
        source: FrameSource,
        network: Network,
        make_way: Callable[[], None],
    ) -> None:
        self._store, self._index, self._source, self._network, self._make_way = store, index, source, network, make_way
        self._lock, self._proposing = threading.Lock(), threading.Lock()
        self._memo, self._proposed = Memo(_KEPT), Memo(1)
        self._loaded: ByteCache[tuple[Path, tuple[Mark, ...]], Hint] = ByteCache(_LOADED, _bytes_in)
        self._frames: OrderedDict[int, PreviewFrame] = OrderedDict()
        self._number = 0

    def color(
        self, index: int, points: Sequence[Point], lines: int, kind: Kind = "after", saturation: float = 1.0
    ) -> dict[str, Any]:
        """Color a frame with these points in place of its saved ones.

        Args:
            index: of the frame.
            points: may be empty.
            lines: height of the picture.
            kind: of picture.
            saturation: factor on chroma.

        Returns:
            {id, frame, ms, jpeg}: base64 of the picture; `picture` returns the others of this id.

        Raises:
            NotFoundError, InputError, HintError, ModelError, DeviceError: as of a preview.
        """
        began = monotonic()
        self._make_way()
        frame = self._source.frame(index)
        with self._lock, self._network.first(), single_threaded_kernels():
            colored = self._colored(frame, points, lines)
            self._number += 1
            self._frames[self._number] = colored
            while len(self._frames) > _SHOWN:
                self._frames.popitem(last=False)
            jpeg = b64encode(frame_jpeg(colored, kind, saturation)).decode()
            return {"id": self._number, "frame": index, "ms": round(1000 * (monotonic() - began), 1), "jpeg": jpeg}

    def prepare(self, index: int, lines: int) -> None:
        """Compute beforehand what a point on this frame will need, as `color` takes it; errors as of `color`."""
        frame = self._source.frame(index)
        with self._lock, single_threaded_kernels():
            self._colored(frame, [Point(x=0.5, y=0.5, color="#808080")], lines)
        warm_up(self._index.info.color.matrix)

    def regions(self, index: int, points: Sequence[Point]) -> dict[str, Any]:
        """Say what each point governs of a frame, and which points contradict each other.

        Args:
            index: of the frame.
            points: of it, in place of its saved ones.

        Returns:
            {frame, width, height, regions, contradictions}: for each point base64 of (height, width) bytes, its share
            of each place, or "" where nothing is known; pairs of points that say different colors of one thing.

        Raises:
            NotFoundError, InputError, HintError, ModelError, DeviceError: as of a preview.
        """
        frame = self._source.frame(index)
        network = self._network.colorizer(self._store.config(), live=True)
        with self._lock, single_threaded_kernels():
            luma, inputs = self._seen(frame, points, network.card)
            found = network.regions(network.begin(inputs), luma) if points and inputs else {}
        size = (round(_REGION_WIDTH * luma.shape[0] / luma.shape[1]), _REGION_WIDTH)
        shares = {number - 1: resized_plane(share, size) for (hint, number), share in found.items() if hint == 0}
        coded = [shares.get(n) for n in range(len(points))]
        return {
            "frame": index,
            "width": size[1],
            "height": size[0],
            "regions": ["" if plane is None else b64encode(_bytes_of(plane)).decode() for plane in coded],
            "contradictions": contradictions(points, coded),
        }

    def picture(self, number: int, kind: Kind, saturation: float) -> bytes:
        """Return the JPEG of a colored frame.

        Raises:
            NotFoundError: it is not kept any more.
        """
        frame = self._frames.get(number)
        if frame is None:
            raise NotFoundError(f"picture {number} is not kept any more")
        return frame_jpeg(frame, kind, saturation)

    def png(self, index: int) -> bytes:
        """Return a frame in its present colors at the film's height, as PNG; errors as of `color`.

        The shot's saturation is not applied, as it is once more when the picture comes back painted.
        """
        hints = [
            hint for hint in self._store.data.hints if (hint.kind, hint.frame) == ("points", index) and hint.enabled
        ]
        points = hints[0].points if hints else ()
        with self._lock, single_threaded_kernels():
            colored = self._colored(self._source.frame(index), points, self._index.info.height)
        return encode_image(preview_rgb(colored, 1.0))

    def proposal(
        self, index: int, number: int, kind: Literal["jpg", "png"], *, saturation: float = 1.0, cast: float = 1.0
    ) -> bytes:
        """Return a frame in colors that the network proposes without a hint: a small JPEG, or a PNG of the film's size.

        Args:
            index: of the frame.
            number: of the proposal, from 0, the likeliest.
            kind: of picture.
            saturation: factor on chroma.
            cast: share of the frame's mean chroma that stays; below 1 it has less of one color, of sepia say.

        Raises:
            NotFoundError: the network makes fewer proposals.
            InputError, ModelError, DeviceError: as of a preview.
        """
        config = self._store.config()
        key = index, config.model.model_dump_json()
        with self._proposing:
            found = self._proposed.get(key, lambda: self._propose(index, config))
        if number >= len(found):
            raise NotFoundError(f"the network makes {len(found)} proposals of a frame")
        ab = found[number].ab
        whole = replace(found[number], ab=ab - (1 - cast) * ab.mean(axis=(1, 2), keepdims=True))
        rgb = preview_rgb(whole, saturation)
        return encode_image(rgb) if kind == "png" else jpeg_bytes(resized(rgb, 240, self._index.aspect))

    def _propose(self, index: int, config: ColorizeConfig) -> list[PreviewFrame]:
        network = self._network.colorizer(config)
        return propose_colors(self._source.frame(index), network, _PROPOSALS)

    def _colored(self, frame: Frame, points: Sequence[Point], lines: int) -> PreviewFrame:
        info, network = self._index.info, self._network.colorizer(self._store.config(), live=True)
        shown = self._luma(frame, preview_size(info, lines)[::-1])
        painted = self._painted(frame.index, shown.shape)
        if painted is not None:
            return PreviewFrame(frame.index, frame.pts, frame.time_base, shown, painted, info.color.matrix)
        luma, inputs = self._seen(frame, points, network.card)
        predicted = network.step(network.begin(inputs), luma[None]).ab[0]
        guide = luma if luma.shape == predicted.shape[1:] else plane_luma(luma, 8, "full", predicted.shape[:0:-1])
        ab = upsample_chroma(predicted, guide, shown)
        return PreviewFrame(frame.index, frame.pts, frame.time_base, shown, ab, info.color.matrix)

    def _seen(self, frame: Frame, points: Sequence[Point], card: ModelCard) -> tuple[Array, list[HintInput]]:
        """Return a frame's luma and the hints as the network sees them, its points first."""
        info, hints = self._index.info, self._hints(frame.index)
        reference = any(own and hint.mask is None for own, hint in hints)
        given: Given = "reference" if reference else "style" if points or hints else "automatic"
        size = working_size(info.width, info.height, card, hints=given)
        luma = self._luma(frame, size)
        inputs = [self._drawn(luma, points)] if points else []
        inputs += [self._scaled(hint, size, own) for own, hint in hints]
        return luma, inputs[: {"none": 0, "one": 1, "many": MOST_PER_SHOT}[card.hints]]

    def _hints(self, index: int) -> list[tuple[bool, Hint]]:
        """Return the shot's other hints, and whether each was painted on a frame of it."""
        shot, found = self._store.state.shot_of(index), []
        for hint in self._store.data.hints:
            if hint.enabled and shot in hint.shots and (hint.kind, hint.frame) != ("points", index):
                path = self._store.image_path(hint)  # its name follows from its bytes
                own = hint.frame is not None and self._store.state.shot_of(hint.frame) == shot
                marks = tuple(point.mark() for point in hint.points)
                found.append((own, self._load(path, marks)))
        return found

    def _load(self, path: Path, marks: tuple[Mark, ...] = ()) -> Hint:
        """Load a hint, a frame of 4K as much as 130 MB."""
        hint = self._loaded.get((path, marks))
        if hint is None:
            hint = load_hint(None, path, marks=marks)
            self._loaded.put((path, marks), hint)
        return hint

    def _painted(self, index: int, size: tuple[int, int]) -> Array | None:
        """Return (2, *size) a*b* of a hint that is this very frame, painted everywhere."""
        for hint in self._store.data.hints:
            if hint.enabled and (hint.kind, hint.frame) == ("painted", index):
                path = self._store.image_path(hint)
                loaded = self._load(path)
                return None if loaded.mask is not None else self._memo.get((path, size), partial(hint_ab, loaded, size))
        return None

    def _luma(self, frame: Frame, size: tuple[int, int]) -> Array:
        return self._memo.get((frame.index, size), lambda: small_luma(frame, size))

    def _scaled(self, hint: Hint, size: tuple[int, int], own: bool) -> HintInput:
        reach = self._store.config().hints.reach
        key = hint.name, hint.marks, size, own, reach
        return self._memo.get(key, lambda: hint_input(hint, size, in_shot=own, reach=reach))

    def _drawn(self, luma: Array, points: Sequence[Point]) -> HintInput:
        """Return points drawn at the network's working size, whose pixels are not square."""
        height, width = luma.shape
        ab, mask = points_layer(luma, points, sar=self._index.aspect * height / width)
        found = places_of(tuple(point.mark() for point in points), ab, mask, "thing")
        return HintInput(luma, ab, mask, True, *(found or ()))


def _bytes_in(hint: Hint) -> int:
    return int(hint.rgb.nbytes + (0 if hint.mask is None else hint.mask.nbytes))


def _bytes_of(share: Array) -> bytes:
    return bytes(np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8).tobytes())


class Network:
    """The network that the settings name; safe for threads, which use it in turn, one batch at a time."""

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._free = threading.Event()
        self._free.set()
        self._loaded: tuple[str, list[Colorizer]] | None = None

    def colorizer(self, config: ColorizeConfig, *, live: bool = False) -> Colorizer:
        """Return the network, loaded at the first call.

        Args:
            config: names it.
            live: for many requests about one frame: keep intermediate results, use all cores, and wait for no preview.

        Raises:
            ModelError, DeviceError: it cannot be loaded.
        """
        name = config.model.model_dump_json()
        with self._loading:
            if self._loaded is None or self._loaded[0] != name:
                self._loaded = None  # frees the memory first
                network = load_network(config)
                both = network, _staged(network, config.model.threads)
                self._loaded = (
                    name,
                    [_InTurn(one, _Turn(wait)) for one, wait in zip(both, (self._free, None), strict=True)],
                )
            return self._loaded[1][live]

    @contextmanager
    def first(self) -> Iterator[None]:
        """Let previews wait meanwhile, between two batches: a click is answered first; one thread at a time."""
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()


def _staged(network: Colorizer, threads: int | None) -> Colorizer:
    if isinstance(network, AutomaticColorizer):
        return AutomaticColorizer(_staged(network.hinted, threads), KeptColorizer(network.automatic))
    if type(network) is HintColorizer:
        return HintColorizer(network.card, StagedRuntime(network.runtime, threads), fast=True)
    return network


class _Turn:
    """A lock that is taken when nothing more urgent is done."""

    def __init__(self, free: threading.Event | None) -> None:
        self._free, self._lock = free, threading.Lock()

    def __enter__(self) -> None:
        if self._free is not None:
            self._free.wait(_PATIENCE)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class _InTurn(Colorizer):
    """A network that several threads share."""

    def __init__(self, network: Colorizer, turn: _Turn) -> None:
        self.card, self._network, self._turn = network.card, network, turn

    def begin(self, hints: Sequence[HintInput]) -> Any:
        with self._turn:
            return self._network.begin(hints)

    def remember(self, state: Any, frames: Sequence[HintInput]) -> Any:
        with self._turn:
            return self._network.remember(state, frames)

    def step(self, memory: Any, luma: Array, *propagated: Array | None) -> Prediction:
        with self._turn:
            return self._network.step(memory, luma, *propagated)

    def step_over(self, state: Any, luma: Array, base: Prediction) -> Prediction:
        with self._turn:
            return self._network.step_over(state, luma, base)

    def regions(self, state: Any, luma: Array) -> dict[tuple[int, int], Array]:
        with self._turn:
            return self._network.regions(state, luma)

    def unlike(self, hint: HintInput) -> Array | None:
        with self._turn:
            return self._network.unlike(hint)

    def step_together(self, state: Any, luma: Array, motion: KeyframeMotion) -> Prediction:
        with self._turn:
            return self._network.step_together(state, luma, motion)

    def propose(self, luma: Array, count: int) -> list[Array]:
        with self._turn:
            return self._network.propose(luma, count)

    @property
    def plugins(self) -> tuple[str, ...]:
        return self._network.plugins

    @property
    def holds_scribbles(self) -> bool:
        return self._network.holds_scribbles
