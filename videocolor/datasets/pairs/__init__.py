"""Frame pairs: data sets built from footage, checked to show one scene, and read for training.

from videocolor.datasets.pairs import PairDataset, PairsConfig, build_pairs

build_pairs([Path("footage")], Path("pairs"), PairsConfig())
data = PairDataset("pairs", "train")        # torch is imported here, not before
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Archival": ".degrade",
    "Augment": "dataset",
    "BuildResult": "build",
    "PairBatches": "dataset",
    "PairDataset": "dataset",
    "PairRecord": "manifest",
    "PairsConfig": "settings",
    "apply_decisions": "review",
    "build_pairs": "build",
    "pair_stats": "verify",
    "read_manifest": "manifest",
    "verify_pairs": "verify",
    "write_shards": "shards",
}
"""Public name -> module that defines it."""

__all__ = [
    "Archival",
    "Augment",
    "BuildResult",
    "PairBatches",
    "PairDataset",
    "PairRecord",
    "PairsConfig",
    "apply_decisions",
    "build_pairs",
    "pair_stats",
    "read_manifest",
    "verify_pairs",
    "write_shards",
]

if TYPE_CHECKING:
    from videocolor.datasets.degrade import Archival
    from videocolor.datasets.pairs.build import BuildResult, build_pairs
    from videocolor.datasets.pairs.dataset import Augment, PairBatches, PairDataset
    from videocolor.datasets.pairs.manifest import PairRecord, read_manifest
    from videocolor.datasets.pairs.review import apply_decisions
    from videocolor.datasets.pairs.settings import PairsConfig
    from videocolor.datasets.pairs.shards import write_shards
    from videocolor.datasets.pairs.verify import pair_stats, verify_pairs


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value
