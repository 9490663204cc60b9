"""All metrics, by name, in the order of results and tables. A new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from videocolor.errors import UsageError
from videocolor.evaluation.metrics.base import Metric
from videocolor.evaluation.metrics.color import BeyondTint, Ciede2000, EdgeCiede2000, ReferenceCiede2000
from videocolor.evaluation.metrics.lpips import Lpips
from videocolor.evaluation.metrics.pixels import Colorfulness, LumaMaxDiff, PsnrAb, PsnrRgb, Ssim
from videocolor.evaluation.metrics.temporal import Cdc, Drift, Flicker, WarpError
from videocolor.plugins import find

__all__ = ["METRICS", "metric_kinds"]

METRICS: Final[dict[str, type[Metric]]] = {
    kind.name: kind
    for kind in (
        PsnrRgb,
        PsnrAb,
        Ssim,
        Ciede2000,
        EdgeCiede2000,
        Colorfulness,
        BeyondTint,
        Cdc,
        WarpError,
        Flicker,
        Drift,
        ReferenceCiede2000,
        Lpips,
        LumaMaxDiff,
    )
}


def metric_kinds(names: Iterable[str] = ()) -> dict[str, type[Metric]]:
    """Return all metrics of our own by name, and after them those of plug-ins among `names`.

    Raises:
        UsageError: there is no such metric, or one of its scores is another's already.
    """
    kinds = dict(METRICS)
    for name in names:
        if name in METRICS:
            continue
        kind = find(name, "metrics", "metrics", METRICS)
        if not (isinstance(kind, type) and issubclass(kind, Metric)):
            raise UsageError(f"metrics {name}: is no videocolor.evaluation.metrics.base.Metric")
        taken = {key for other in kinds.values() for key in other.keys} & set(kind.keys)
        if taken:
            raise UsageError(f"metrics {name}: the score {min(taken)} is there already; give it another key")
        kinds[name] = kind
    return kinds
