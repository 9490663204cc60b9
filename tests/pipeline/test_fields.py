"""Interlaced film that stays interlaced: color follows the luma of each field, not of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from media import make_film

from videocolor.chromatable import ChromaTable
from videocolor.images import resized
from videocolor.pipeline.chroma import _by_field, _codes
from videocolor.shots.prepare import small_luma
from videocolor.types import ColorSpec
from videocolor.video import open_video
from videocolor.video.interlace import is_combed

SIZE, BAR, STEP = (128, 192), 40, 12
SPEC = ColorSpec("bt601", "limited", 6, 6)


def bar(left: int) -> np.ndarray:
    """Make a dark picture with a bright bar."""
    picture = np.full(SIZE, 60, np.uint8)
    picture[:, left : left + BAR] = 180
    return picture


def moving(subsampling: tuple[int, int]) -> tuple[Any, Any]:
    """Make a frame whose bar moves between the fields; its color is known as the network sees it, from both at once."""
    upper, lower = bar(60), bar(60 + STEP)
    woven = upper.copy()
    woven[1::2] = lower[1::2]
    small = resized(woven.astype(np.float32) / 255, (32, 48))
    ab = np.stack([60 * (small - 0.235), -40 * (small - 0.235)]).astype(np.float32)
    frame = SimpleNamespace(luma=woven, earlier_field="top", layout=SimpleNamespace(depth=8), color=SPEC)
    shot = SimpleNamespace(number=0)
    work = SimpleNamespace(
        item=SimpleNamespace(frame=frame, luma=small), ab=ab, reference=None, propagated=(), shot=shot
    )
    plan = SimpleNamespace(chroma_size=(SIZE[1] >> subsampling[0], SIZE[0] >> subsampling[1]))
    config = SimpleNamespace(chroma=SimpleNamespace(upsample="guided"))
    return work, SimpleNamespace(plan=plan, config=config, saturation=lambda _: 1.0)


@pytest.mark.parametrize("subsampling", [(1, 1), (1, 0), (0, 0)])
def test_color_of_a_moving_thing_does_not_smear_between_fields(subsampling: tuple[int, int]) -> None:
    work, film = moving(subsampling)
    assert is_combed(work.item.frame.luma, 8)
    table = ChromaTable(SPEC, 8)
    apart = _by_field(work, film, table)
    at_once = _codes(work, film, table, work.item.frame.luma, film.plan.chroma_size)
    across = subsampling[0]
    for one, both in zip(apart, at_once, strict=True):
        assert one.shape == both.shape == film.plan.chroma_size[::-1]
        color, ground = float(one[0, 82 >> across]), float(one[0, 10 >> across])
        assert abs(color - ground) > 8
        errors = []
        for plane in (one, both):
            truth = np.full(plane.shape, ground)
            for parity, left in ((0, 60), (1, 60 + STEP)):
                truth[parity::2, left >> across : (left + BAR) >> across] = color
            errors.append(np.abs(plane - truth).mean())
        if subsampling[1]:  # a row of chroma has lines of both fields above it, unless it is of one field
            assert errors[0] < 0.8 * errors[1]
        else:
            assert errors[0] == pytest.approx(errors[1])


@pytest.mark.parametrize(("order", "name"), [(2, "top"), (3, "bottom"), (1, "")])
def test_the_network_sees_one_field_of_what_moves(tmp_path: Path, order: int, name: str) -> None:
    fields = bar(60), bar(60 + STEP)
    woven = fields[0].copy()
    woven[1::2] = fields[1][1::2]
    make_film(tmp_path / "x.mkv", [[woven], [fields[0]]], "ffv1", "gray", size=SIZE[::-1], field_order=order)
    with open_video(tmp_path / "x.mkv") as film:
        moving, still = film
    assert (moving.earlier_field, still.earlier_field) == (name, "")
    seen, truth = small_luma(moving, (32, 64)), small_luma(replace(still, luma=fields[name == "bottom"]), (32, 64))
    np.testing.assert_array_equal(small_luma(still, (32, 64)), small_luma(replace(still, luma=fields[0]), (32, 64)))
    if name:
        np.testing.assert_allclose(seen, truth, atol=1e-6)
    else:
        whole = small_luma(replace(moving, earlier_field=""), (32, 64))
        np.testing.assert_array_equal(seen, whole)
        assert np.abs(seen - truth).max() > 0.2
