"""The hint network for many requests about one frame: what a request does not change is computed once.

Coloring has stages: features of a frame, tokens of a hint, colors. A click on a frame changes the last two only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Any, Final, TypeVar, cast

import numpy as np

from videocolor.models.base import Colorizer, HintInput, KeyframeMotion, Prediction
from videocolor.models.hint.colorizer import Runtime
from videocolor.models.hint.export import STAGED
from videocolor.models.hint.runtimes import OnnxRuntime
from videocolor.models.runtimes import open_session
from videocolor.types import Array

__all__ = ["KeptColorizer", "Memo", "StagedRuntime"]

_RESULTS: Final = 12
"""Results of each stage that are kept; features of a frame take about 4 MB."""
T = TypeVar("T")


class Memo:
    """Cache of the most recently used results.

    Args:
        most: results.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the result of `make`, which is called once per key."""
        if key not in self._values:
            self._values[key] = make()
        self._values.move_to_end(key)
        while len(self._values) > self._most:
            self._values.popitem(last=False)
        return cast("T", self._values[key])


class StagedRuntime(Runtime):
    """A runtime that computes nothing twice: hints are encoded one by one, equal inputs return the kept result.

    Args:
        runtime: computes; of ONNX Runtime the stages are executed one by one, by sessions of their own.
        threads: CPU threads of these sessions; None: as many as this process may use.
    """

    def __init__(self, runtime: Runtime, threads: int | None) -> None:
        self._runtime, self._threads, self.name = runtime, threads, runtime.name
        self._memo = Memo(_RESULTS)
        self._features = Memo(_RESULTS)

    @property
    def key_channels(self) -> int:
        """Length of a token's key."""
        return self._runtime.key_channels

    @property
    def value_channels(self) -> int:
        """Length of a token's value."""
        return self._runtime.value_channels

    def encode(self, luma: Array, ab: Array, mask: Array) -> tuple[Array, Array, Array]:
        """Encode hints into tokens."""
        made = [self._encoded(*(plane[n : n + 1] for plane in (luma, ab, mask))) for n in range(len(luma))]
        keys, values, valid = (np.concatenate(planes) for planes in zip(*made, strict=True))
        return keys, values, valid

    def _encoded(self, *hint: Array) -> tuple[Array, Array, Array]:
        return self._memo.get(("encode", *_keys(hint)), lambda: self._encode(*hint))

    def colorize(self, *inputs: Array) -> tuple[Array, Array, Array]:
        """Compute a*b*, confidence and expected error of frames."""
        return self._memo.get(("colorize", *_keys(inputs)), lambda: self._colorize(*inputs))

    def _encode(self, luma: Array, ab: Array, mask: Array) -> tuple[Array, Array, Array]:
        if self._sessions is None:
            return self._runtime.encode(luma, ab, mask)
        keys, values, valid = self._sessions["tokens"].run(
            None, {"luma": luma, "features": self.features(luma)["features"], "ab": ab, "mask": mask}
        )
        return keys, values, valid

    def _colorize(self, luma: Array, *rest: Array) -> tuple[Array, Array, Array]:
        if self._sessions is None or len(luma) != 1:
            return self._runtime.colorize(luma, *rest)
        named = zip(("keys", "values", "valid", "scribbles", "propagated"), rest, strict=True)
        feed = {"luma": luma, **self.features(luma), **dict(named)}
        ab, confidence, error = self._sessions["decide"].run(None, feed)
        return ab, confidence, error

    def features(self, luma: Array) -> dict[str, Array]:
        """Compute features of a frame (1, 1, h, w): the encoder's, and at 1/8, `features`, those that are matched."""
        assert self._sessions is not None
        session = self._sessions["features"]
        return self._features.get(
            _keys([luma])[0], lambda: dict(zip(STAGED, session.run(None, {"luma": luma}), strict=True))
        )

    @cached_property
    def _sessions(self) -> dict[str, Any] | None:
        if not isinstance(self._runtime, OnnxRuntime):
            return None
        artifact = self._runtime.artifact
        return {part: open_session(artifact, part, self._threads) for part in ("features", "tokens", "decide")}


class KeptColorizer(Colorizer):
    """Another network, whose colors of frames without a hint are computed once.

    Args:
        network: takes no hints, or none here.
    """

    def __init__(self, network: Colorizer) -> None:
        self.card, self._network, self._memo = network.card, network, Memo(_RESULTS)

    @property
    def plugins(self) -> tuple[str, ...]:
        """See `Colorizer`."""
        return self._network.plugins

    def begin(self, hints: Sequence[HintInput]) -> Any:
        """Start a shot."""
        return self._network.begin(hints)

    def step(self, state: Any, luma: Array, propagated: Array | None = None, /) -> Prediction:
        """Color frames."""
        return self._memo.get(_keys([luma])[0], lambda: self._network.step(state, luma, propagated))

    def step_together(self, state: Any, luma: Array, motion: KeyframeMotion) -> Prediction:
        """Color keyframes."""
        return self._network.step_together(state, luma, motion)

    def propose(self, luma: Array, count: int) -> list[Array]:
        """Color a frame in several ways."""
        return self._network.propose(luma, count)


def _keys(arrays: Sequence[Array]) -> list[Hashable]:
    return [(array.shape, hash(array.tobytes())) for array in arrays]
