"""What is settled before the first frame of a film is colored."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from damage import pulldown, textured_pan
from media import make_film

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig


@pytest.mark.slow
def test_the_cadence_of_a_film_that_is_mended_is_noted(tmp_path: Path) -> None:
    woven, _ = pulldown(textured_pan(1, 40))
    height, width = woven[0].shape
    make_film(
        tmp_path / "in.mkv",
        [[luma] for luma in woven],
        pix_fmt="gray",
        size=(width, height),
        rate=Fraction(30000, 1001),
    )
    settings = ["output.codec=ffv1", "model.name=constant", "restoration.telecine=restore"]
    colorize_video(tmp_path / "in.mkv", tmp_path / "out.mkv", ColorizeConfig.load(None, settings))
    record = json.loads((tmp_path / "out.mkv.json").read_text())
    assert record["restored"] == ["telecine"]
    assert any("so luma changes: telecine" in note for note in record["notes"])
    assert any(note.startswith("cadence of the first frames: 3:2 pulldown") for note in record["notes"])
