"""How unsure the network is: of a shot as a number, of a frame as a picture."""

from __future__ import annotations

import threading
from typing import Final

import cv2
import numpy as np

from videocolor.hints.plan import MOST_PER_SHOT, hint_input, load_hint
from videocolor.models.hint.staged import Memo
from videocolor.shots.prepare import small_luma, working_size
from videocolor.studio.errors import NotFoundError
from videocolor.studio.frames import FilmIndex, FrameSource, jpeg_bytes
from videocolor.studio.live import Network
from videocolor.studio.pictures import resized
from videocolor.studio.project import ProjectStore
from videocolor.studio.projectdata import ProjectHint
from videocolor.studio.scan import Scan
from videocolor.studio.shots import Shots
from videocolor.types import Array, Given, Hint

__all__ = ["Doubts"]

_SURE: Final = 3.0
"""Expected error of a*b* at which the heat view is dark."""
_UNSURE: Final = 10.0
"""That at which it is brightest."""
_GROUND: Final = 0.4
"""Brightness of the heat view where the film is black."""


class Doubts:
    """What the network expects its own error of a*b* to be; safe for threads.

    Args:
        store: the project.
        index: the frames of its film.
        source: reads them.
        network: states the error.
        scan: knows which frame shows most of a shot.
        shots: of the project.
    """

    def __init__(
        self, store: ProjectStore, index: FilmIndex, source: FrameSource, network: Network, scan: Scan, shots: Shots
    ) -> None:
        self._store, self._index, self._source, self._network = store, index, source, network
        self._scan, self._shots, self._lock = scan, shots, threading.Lock()
        self._means, self._maps = Memo(10_000), Memo(4)

    def of_shot(self, start: int) -> float:
        """Return the expected mean absolute error of a*b* in the frame that shows most of a shot.

        Raises:
            NotFoundError: there is no such shot, or the network states no error.
            InputError, HintError, ModelError, DeviceError: as of a preview.
        """
        first, end = self._shots.span(start)
        view = self._scan.view(first, end)
        index = first if view is None else view.suggested[0]
        key = self._shots.colors(start, index, 0).key
        return round(float(self._means.get(key, lambda: self._error(start, index).mean())), 2)

    def picture(self, index: int, height: int) -> bytes:
        """Return the JPEG of a frame's expected error: dark where the network is sure; errors as of `of_shot`."""
        start = self._store.state.shot_of(index)
        key = index, self._shots.colors(start, index, 0).key
        error = self._maps.get(key, lambda: self._error(start, index))
        share = np.clip((error - _SURE) / (_UNSURE - _SURE), 0, 1)
        heat = cv2.applyColorMap(np.rint(share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
        shown = resized(np.ascontiguousarray(heat), height, self._index.aspect)
        luma = small_luma(self._source.frame(index), shown.shape[:2])
        return jpeg_bytes(np.rint(shown * (_GROUND + (1 - _GROUND) * luma[..., None])).astype(np.uint8))

    def _error(self, start: int, index: int) -> Array:
        with self._lock:
            info, network = self._index.info, self._network.colorizer(self._store.config())
            shot = self._scan.returns.get(start, start)
            hints = [hint for hint in self._store.data.hints if hint.enabled and shot in hint.shots]
            given: Given = "style" if hints else "automatic"
            size = working_size(info.width, info.height, network.card, hints=given)
            takes = {"none": 0, "one": 1, "many": MOST_PER_SHOT}[network.card.hints]
            reach = self._store.config().hints.reach
            inputs = [
                hint_input(self._loaded(hint), size, in_shot=self._inside(hint.frame, start), reach=reach)
                for hint in hints[:takes]
            ]
            luma = small_luma(self._source.frame(index), size)
            error = network.step(network.begin(inputs), luma[None]).error
        if error is None:
            raise NotFoundError(f"the network {network.card.name} does not say how sure it is")
        return np.asarray(error[0])

    def _loaded(self, hint: ProjectHint) -> Hint:
        return load_hint(None, self._store.image_path(hint), marks=tuple(point.mark() for point in hint.points))

    def _inside(self, frame: int | None, start: int) -> bool:
        return frame is not None and self._store.state.shot_of(frame) == start
