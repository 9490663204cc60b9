"""The published systems: exact parameter counts (a test counts again), where weights are, errors. Needs no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from videocolor.errors import ModelError
from videocolor.models.artifact import read_card
from videocolor.models.registry import published_file

__all__ = ["PUBLISHED", "PublishedModel", "trained_systems"]


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
_CODES: Final = {"gray encoder": _GRAY, "outlines encoder": _GRAY, "hint encoder": _HINT, "before encoder": _HINT}
_FIRST: Final = {"first features": 1_168}
_LITE0_ALL: Final = 4_630_424
_FUSED: Final = {"extractor": _LITE0_ALL, "fusion": 377_088, "decoder": 424_802}


def _hetero(
    name: str, kinds: tuple[str, ...], color: int, more: dict[str, int] | None = None, how: str = ""
) -> PublishedModel:
    parts = {f"{kind} encoder": _CODES[f"{kind} encoder"] for kind in kinds}
    inputs = " + ".join([*kinds, *("features" for _ in more or ())])
    hints = "one" if "hint" in kinds else "none"
    return PublishedModel(name, f"H: {inputs}{how}", hints, {**parts, **(more or {}), "color": color})


PUBLISHED: Final = (
    PublishedModel("h_gray", "H: autoencoder gray -> gray", "", {"encoder": _GRAY, "decoder": 532_227}),
    PublishedModel("h_outlines", "H: autoencoder gray -> outlines", "", {"encoder": _GRAY, "decoder": 532_227}),
    PublishedModel("h_hint", "H: autoencoder hint -> hint", "", {"encoder": _HINT, "decoder": _HINT}),
    PublishedModel("h1", "H: image, fully connected, 64 px", "none", {"color": 8_401_408}),
    _hetero("h2", ("gray",), 265_411),
    _hetero("h3", ("gray", "outlines"), 266_435),
    _hetero("h4", ("gray", "hint"), 268_483),
    _hetero("h4_deep", ("gray", "hint"), 4_995_395, how="; deeper and wider"),
    _hetero("h4_recurrent", ("gray", "hint", "before"), 271_555),
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


def trained_systems() -> list[dict[str, Any]]:
    """Describe all systems as plain values.

    Returns:
        Of each, besides the fields of `PublishedModel`: `weights` (`packaged`, or the file that was trained here, or
        empty), `error` (dE00 on held-back clips with the true first frame as hint, where it was measured; else the
        error of the last epoch), `hours` that the packaged weights took on one thread, and `command`, which trains it.
    """
    found = []
    for model in PUBLISHED:
        path, packaged = published_file(model.name)
        weights = "" if path is None else "packaged" if packaged else path.as_posix()
        error, hours = _measured(path)
        command = f"videocolor train --config published/{model.name}"
        found.append({**model.as_dict(), "weights": weights, "error": error, "hours": hours, "command": command})
    return found


def _measured(path: Path | None) -> tuple[str, float | None]:
    """Error and hours."""
    if path is None or path.suffix == ".pt":
        return "", None
    try:
        card, _, notes = read_card(path)
        scores = path.parent / "scores.json"
        mine = json.loads(scores.read_text(encoding="utf-8")).get(card.sha256, {}) if scores.is_file() else {}
        if "e1" in mine:
            return f"dE00 {mine['e1']:.2f}", mine.get("hours")
        if notes.get("epochs"):
            last = notes["epochs"][-1]
            return f"MSE {last.get('mse', last['train_mse']):.4f}", None
        return f"{1 - notes['result']['test']:.0%} of pixels", None
    except (ModelError, OSError, ValueError, LookupError):
        return "unreadable", None
