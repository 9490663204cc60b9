"""adapters/vapoursynth in VapourSynth itself, where it is installed (its wheels need Python 3.12)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

vs: Any = pytest.importorskip("vapoursynth")

from scenes import pan  # noqa: E402
from small_networks import Brown  # noqa: E402

from videocolor.color import rgb_to_luma  # noqa: E402


@pytest.fixture
def adapter(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(root / "adapters/vapoursynth"))
    sys.modules.pop("videocolor_vs", None)
    return __import__("videocolor_vs")


def clip(lumas: list[np.ndarray[Any, Any]], name: str) -> Any:
    """A clip of luma in VapourSynth."""
    height, width = lumas[0].shape
    blank = vs.core.std.BlankClip(format=getattr(vs, name), width=width, height=height, length=len(lumas), keep=True)

    def fill(n: int, f: Any) -> Any:
        out = f.copy()
        np.copyto(np.asarray(out[0]), lumas[n])
        out.props["mark"] = n
        return out

    return blank.std.ModifyFrame(clips=blank, selector=fill)


@pytest.mark.parametrize(("name", "depth"), [("GRAY8", 8), ("YUV420P10", 10)])
def test_any_frame_can_be_asked_for_and_luma_stays(adapter: Any, name: str, depth: int) -> None:
    truth = np.concatenate([pan(3, 2), pan(3, 2)[::-1]]).astype(np.float32) / 255
    kind = np.uint8 if depth == 8 else np.uint16
    lumas = [np.rint(rgb_to_luma(np.moveaxis(rgb, -1, 0), "bt601") * (2**depth - 1)).astype(kind) for rgb in truth]
    seen: list[str] = []
    color = adapter.colorize(
        clip(lumas, name), shots=[0, 3], hints={4: truth[4]}, colorizer=Brown(), observer=lambda e: seen.append(e.kind)
    )
    assert (color.num_frames, color.format.bits_per_sample, color.format.subsampling_w) == (6, depth, 0)
    for n in (5, 4, 0):
        with color.get_frame(n) as frame:
            assert (np.asarray(frame[0]) == lumas[n]).all() and frame.props["mark"] == n
            assert np.asarray(frame[2]).std() > 1 or n == 0
    assert seen.count("done") == 2, "each shot was colored once"


def test_bad_clips_are_refused(adapter: Any) -> None:
    blank = vs.core.std.BlankClip(format=vs.RGB24, width=32, height=16, length=3)
    with pytest.raises(vs.Error, match="expected a GRAY or YUV clip"):
        adapter.colorize(blank)
    gray = vs.core.std.BlankClip(format=vs.GRAY8, width=32, height=16, length=3)
    with pytest.raises(vs.Error, match="shots must begin with frame 0"):
        adapter.colorize(gray, shots=[1])
