"""The network of a studio: loaded once, used by a preview and by clicks in turn."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, TypeVar, cast

import numpy as np

from videocolor.config import ColorizeConfig
from videocolor.models.base import Colorizer, HintInput, Prediction
from videocolor.models.hint.colorizer import HintColorizer, Runtime
from videocolor.pipeline.film import load_network
from videocolor.types import Array

__all__ = ["Memo", "Network"]

_KEPT: Final = 12
"""Results of the network that are kept: a click changes one hint, and the rest is computed once."""
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


class Network:
    """The network that the settings name; safe for threads, which use it in turn, one batch at a time."""

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._loaded: tuple[str, Colorizer, Colorizer] | None = None

    def colorizer(self, config: ColorizeConfig, *, remembers: bool = False) -> Colorizer:
        """Return the network, loaded at the first call.

        Args:
            config: names it.
            remembers: keep intermediate results, for many requests about one frame.

        Raises:
            ModelError, DeviceError: it cannot be loaded.
        """
        name = config.model.model_dump_json()
        with self._loading:
            if self._loaded is None or self._loaded[0] != name:
                self._loaded = None  # frees the memory first
                network, turn = load_network(config), threading.Lock()
                remembering = network
                if type(network) is HintColorizer:
                    remembering = HintColorizer(network.card, _Remembering(network.runtime))
                self._loaded = name, _InTurn(network, turn), _InTurn(remembering, turn)
            return self._loaded[2] if remembers else self._loaded[1]


class _InTurn(Colorizer):
    """A network that several threads share."""

    def __init__(self, network: Colorizer, turn: threading.Lock) -> None:
        self.card, self._network, self._turn = network.card, network, turn

    def begin(self, hints: Sequence[HintInput]) -> Any:
        with self._turn:
            return self._network.begin(hints)

    def step(self, memory: Any, luma: Array, *propagated: Array | None) -> Prediction:
        with self._turn:
            return self._network.step(memory, luma, *propagated)


class _Remembering(Runtime):
    """A runtime that computes nothing twice: hints are encoded one by one, equal inputs return the kept result."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self._memo = runtime, Memo(_KEPT)
        self.name, self.key_channels, self.value_channels = runtime.name, runtime.key_channels, runtime.value_channels

    def encode(self, luma: Array, ab: Array, mask: Array) -> tuple[Array, Array, Array]:
        made = [self._encode(*(plane[n : n + 1] for plane in (luma, ab, mask))) for n in range(len(luma))]
        keys, values, valid = (np.concatenate(planes) for planes in zip(*made, strict=True))
        return keys, values, valid

    def _encode(self, *hint: Array) -> tuple[Array, Array, Array]:
        return self._memo.get(("encode", *_keys(hint)), lambda: self._runtime.encode(*hint))

    def colorize(self, *inputs: Array) -> tuple[Array, Array, Array]:
        return self._memo.get(("colorize", *_keys(inputs)), lambda: self._runtime.colorize(*inputs))


def _keys(arrays: Sequence[Array]) -> list[Hashable]:
    return [(array.shape, hash(array.tobytes())) for array in arrays]
