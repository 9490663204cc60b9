"""CPU time of the data path's parts while films are colored: `with measured() as parts: ...`.

Each part is timed in whatever thread runs it (`time.thread_time`), without the parts inside it.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

PARTS = {
    "prepare": ("videocolor.shots.prepare:small_luma", "videocolor.motion.flow:FlowEstimator.prepare"),
    "cuts": ("videocolor.shots.detect:CutFinder.push",),
    "motion": ("videocolor.motion.flow:FlowEstimator.motion",),
    "propagation": ("videocolor.pipeline.propagation:HintPropagator.follow", "videocolor.pipeline.propagated:judge"),
    "network": (
        "videocolor.pipeline.predict:Predictor.predict",
        "videocolor.pipeline.predict:Predictor.predict_together",
        "videocolor.models.hint.colorizer:HintColorizer.begin",
        "videocolor.models.hint.colorizer:HintColorizer.remember",
    ),
    "smoothing": ("videocolor.pipeline.smoothing:KalmanSmoother.smooth",),
    "chroma": ("videocolor.pipeline.chroma:chroma_at", "videocolor.chromatable:ChromaTable.codes"),
    "encode": ("videocolor.video.film:PictureEncoder.encode",),
}
"""Part -> the functions that do it; threads of codecs are not seen."""


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Patch the functions; yields part -> CPU seconds so far."""
    spent, local = defaultdict[str, float](float), threading.local()

    def wrapped(part: str, function: Any) -> Any:
        def timed(*args: Any, **named: Any) -> Any:
            inside = local.__dict__.setdefault("inside", [])
            began = time.thread_time()
            inside.append(0.0)
            try:
                return function(*args, **named)
            finally:
                whole = time.thread_time() - began
                spent[part] += whole - inside.pop()
                if inside:
                    inside[-1] += whole

        return timed

    with ExitStack() as patches:
        for part, names in PARTS.items():
            for name in names:
                module, _, path = name.partition(":")
                owner: Any = import_module(module)
                *outer, last = path.split(".")
                for step in outer:
                    owner = getattr(owner, step)
                patches.enter_context(patch.object(owner, last, wrapped(part, getattr(owner, last))))
        yield spent
