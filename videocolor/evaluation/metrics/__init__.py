"""All metrics, by name, in the order of results and tables. A new one is a file and a line here."""

from __future__ import annotations

from typing import Final

from videocolor.evaluation.metrics.base import Metric
from videocolor.evaluation.metrics.beyond_tint import BeyondTint
from videocolor.evaluation.metrics.color import Ciede2000, EdgeCiede2000, ReferenceCiede2000
from videocolor.evaluation.metrics.lpips import Lpips
from videocolor.evaluation.metrics.pixels import Colorfulness, LumaMaxDiff, PsnrAb, PsnrRgb, Ssim
from videocolor.evaluation.metrics.temporal import Cdc, Flicker, WarpError

__all__ = ["METRICS"]

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
        ReferenceCiede2000,
        Lpips,
        LumaMaxDiff,
    )
}
