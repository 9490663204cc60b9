"""What the tensors of the exported graphs mean, for the card beside them; axes that are text are free."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["OUTSIDE", "TENSORS"]


def _tensor(shape: list[int | str], meaning: str, unit: str, **more: Any) -> dict[str, Any]:
    return {"shape": shape, "type": "float32", "meaning": meaning, "unit": unit, **more}


_LUMA: Final = "Y' (full range)"
_PAINTED: Final = "which pixels of the hint are painted"
_TOKENS: Final[dict[str, dict[str, Any]]] = {
    "keys": _tensor(["k", "t", 67], "where a hint's places are matched", "of the network"),
    "values": _tensor(["k", "t", 38], "what a hint's places say", "of the network"),
    "valid": _tensor(["k", "t"], "how much of a place is painted", "share", range=[0, 1]),
}
_HALF: Final = ["h/2", "w/2"]
TENSORS: Final[dict[str, dict[str, dict[str, dict[str, Any]]]]] = {
    "simple": {
        "inputs": {
            "luma": _tensor(
                ["n", 1, "h", "w"], f"{_LUMA} of gray frames; h, w multiples of 32, from 64", "1", range=[0, 1]
            ),
            "hint_luma": _tensor(["k", 1, "y", "x"], f"{_LUMA} of the shot's hints, BT.709", "1", range=[0, 1]),
            "hint_ab": _tensor(["k", 2, "y", "x"], "their a*, b*", "CIE Lab, D65", range=[-110, 110]),
            "mask": _tensor(
                ["k", 1, "y", "x"],
                f"{_PAINTED}; where at most a tenth is: points set on a frame of this shot",
                "share",
                range=[0, 1],
                no_hint="zeros, with any hint_luma and hint_ab of one picture",
            ),
        },
        "outputs": {"ab": _tensor(["n", 2, *_HALF], "a*, b*", "CIE Lab, D65", range=[-110, 110])},
    },
    "encode": {
        "inputs": {
            "luma": _tensor(["n", 1, "h", "w"], f"{_LUMA} of hints, BT.709; h, w multiples of 32", "1", range=[0, 1]),
            "ab": _tensor(["n", 2, "h", "w"], "their a*, b*", "CIE Lab / 110", range=[-1, 1]),
            "mask": _tensor(["n", 1, "h", "w"], _PAINTED, "share", range=[0, 1]),
        },
        "outputs": _TOKENS,
    },
    "frame": {
        "inputs": {
            "luma": _tensor(["n", 1, "h", "w"], f"{_LUMA} of gray frames; h, w multiples of 32", "1", range=[0, 1]),
            "keys": {
                **_TOKENS["keys"],
                "meaning": "of all hints of the shot, joined along t",
                "no_hint": "1x1x67 zeros",
            },
            "values": {**_TOKENS["values"], "no_hint": "1x1x38 zeros"},
            "valid": {**_TOKENS["valid"], "no_hint": "1x1 zeros; t must not be 0"},
            "scribbles": _tensor(
                ["k", "s", 67],
                "keys of places with points set on a frame of this shot",
                "of the network",
                no_spots="1x1x67 of 10000: far outside of any picture",
            ),
            "propagated": _tensor(
                ["n", 4, "h2", "w2"],
                "what motion brought: a*, b*, its confidence, how much brighter (Y') it is; h2 = h/2, w2 = w/2",
                "CIE Lab / 110, share, 1",
                nothing="zeros",
            ),
        },
        "outputs": {
            "ab": _tensor(["n", 2, "h2", "w2"], "a*, b*", "CIE Lab, D65", range=[-110, 110]),
            "confidence": _tensor(["n", 1, "h2", "w2"], "that a hint supports the pixel", "share", range=[0, 1]),
            "error": _tensor(["n", 1, "h2", "w2"], "expected mean absolute error of a*, b*", "CIE Lab"),
        },
    },
}
"""Graph -> inputs or outputs -> name -> what it is, in the order of the file."""
OUTSIDE: Final = [
    "Sizes: scale frames and hints to about card.area pixels (area_reference with a frame of the shot as hint, "
    "area_style with other pictures), sides multiples of card.multiple, area-averaged.",
    "The correction that is fitted on hints (videocolor.models.hint.calibration) is in the simple graph alone.",
    "Where frames are larger than 1.5 times card.area, color without support is decided at card.area.",
    "From half size to the film's: guided by luma (videocolor.pipeline.upsample); over time: motion and smoothing.",
]
"""What the package does besides, in words."""
