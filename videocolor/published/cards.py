"""What can be built of the published systems, with exact parameter counts; needs no torch (a test counts again)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

__all__ = ["PUBLISHED", "PublishedModel"]


@dataclass(frozen=True)
class PublishedModel:
    """A preset of `configs/train/published/` and the network that it trains."""

    name: str
    """Of the preset: `published/NAME` is what `videocolor train --config` takes, NAME what `--model` does."""
    title: str
    hints: str
    """none or one; empty: an autoencoder, which colors nothing by itself."""
    parts: dict[str, int]
    """Parameters part by part, frozen ones too."""

    @property
    def parameters(self) -> int:
        """Of all parts together."""
        return sum(self.parts.values())

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {**asdict(self), "parameters": self.parameters}


_GRAY: Final = 528_129
_HINT: Final = 1_194_627
_CODES: Final = {"gray encoder": _GRAY, "outlines encoder": _GRAY, "hint encoder": _HINT}
_FIRST: Final = {"first features": 1_168}
_LITE0_ALL: Final = 4_630_424
_FUSED: Final = {"extractor": _LITE0_ALL, "fusion": 377_088, "decoder": 424_802}


def _hetero(name: str, kinds: tuple[str, ...], color: int, more: dict[str, int] | None = None) -> PublishedModel:
    parts = {f"{kind} encoder": _CODES[f"{kind} encoder"] for kind in kinds}
    inputs = " + ".join([*kinds, *("features" for _ in more or ())])
    hints = "one" if "hint" in kinds else "none"
    return PublishedModel(name, f"H: {inputs}", hints, {**parts, **(more or {}), "color": color})


PUBLISHED: Final = (
    PublishedModel("h_gray", "H: autoencoder gray -> gray", "", {"encoder": _GRAY, "decoder": 532_227}),
    PublishedModel("h_outlines", "H: autoencoder gray -> outlines", "", {"encoder": _GRAY, "decoder": 532_227}),
    PublishedModel("h_hint", "H: autoencoder hint -> hint", "", {"encoder": _HINT, "decoder": _HINT}),
    PublishedModel("h1", "H: image, fully connected, 64 px", "none", {"color": 8_401_408}),
    _hetero("h2", ("gray",), 265_411),
    _hetero("h3", ("gray", "outlines"), 266_435),
    _hetero("h4", ("gray", "hint"), 268_483),
    _hetero("h5", ("gray", "outlines", "hint"), 144_518),
    _hetero("h5_cured", ("gray", "outlines", "hint"), 269_507),
    _hetero("h6", ("gray", "outlines", "hint"), 145_542, _FIRST),
    _hetero("h6_cured", ("gray", "outlines", "hint"), 270_531, _FIRST),
    PublishedModel("r", "R: ResNet-18 for gray, decoder", "none", {"front": 11_170_240, "decoder": 1_572_610}),
    PublishedModel("r_lite0", "R: EfficientNet-Lite0, decoder", "none", {"front": 2_938_544, "decoder": 1_130_242}),
    *(
        PublishedModel(name, f"F: EfficientNet-Lite0 for the encoder, fusion, decoder; {how}", "none", _FUSED)
        for name, how in (("f", "stretched"), ("f_batch5", "padded white"), ("f_batch10", "padded white"))
    ),
    PublishedModel(
        "f_published",
        "F: encoder, 1000 global features, fusion, decoder",
        "none",
        {"extractor": _LITE0_ALL, "encoder": 5_827_200, "fusion": 321_792, "decoder": 424_802},
    ),
    PublishedModel("p", "P: 3x3 patches, 50+50, 9 colors", "none", {"perceptron": 3_509}),
)
"""In the order of the papers' table."""
