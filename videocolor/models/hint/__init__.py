"""The packaged hint network, its runtimes and its export; what its parts agree on, without torch."""

from __future__ import annotations

from typing import Final

__all__ = ["AB_SCALE", "NEW", "PROPAGATED_CHANNELS", "SCRIBBLED", "SHOWN", "TOKEN"]

AB_SCALE: Final = 110.0
"""a*b* inside the network are divided by this."""
PROPAGATED_CHANNELS: Final = 4
"""Propagated a*b* / AB_SCALE, its confidence in 0..1, and how much brighter (Y') it is than the frame."""
SCRIBBLED: Final = 0.1
"""Share of a picture up to which its painted part counts as scribbles; above it the relevance gate can judge."""
NEW: Final = 0.8
"""Cosine to the nearest token of the hints up to which a remembered token counts fully."""
SHOWN: Final = 0.9
"""The same from which it does not count at all, since the hints show what it shows."""
TOKEN: Final = 8
"""Pixels to a side of what a token describes."""
