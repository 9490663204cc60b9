"""Two networks as one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from videocolor.errors import UsageError
from videocolor.models.automatic import AutomaticColorizer
from videocolor.models.base import HintInput, ModelCard
from videocolor.models.registry import ConstantColorizer, automatic_partner, load_colorizer


def test_shots_with_and_without_a_hint_go_to_their_own_network() -> None:
    card = load_colorizer("constant").card
    both = AutomaticColorizer(ConstantColorizer(card, (1, 2)), ConstantColorizer(card, (3, 4)))
    luma = np.zeros((1, 32, 32), np.float32)
    hint = HintInput(luma[0], np.zeros((2, 32, 32), np.float32))
    assert both.step(both.begin([hint]), luma).ab[0, :, 0, 0].tolist() == [1, 2]
    assert both.step(both.begin([]), luma).ab[0, :, 0, 0].tolist() == [3, 4]
    assert both.card.area_automatic == card.area
    assert both.card.title != card.title and card.title in both.card.title


def test_the_packaged_pair_is_one_choice() -> None:
    assert automatic_partner("hint", None) == automatic_partner("default", None) == "keyframe"
    assert automatic_partner("hint", "hint") == "hint" and automatic_partner("gray", None) is None
    assert automatic_partner("mine.onnx", "other.onnx") == "other.onnx"


def test_networks_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(UsageError, match="takes no hints"):
        load_colorizer("gray", automatic="keyframe")
    fixed = SimpleNamespace(card=ModelCard("fixed", "", "none", 0, 0, size=(256, 256)))
    hinted = SimpleNamespace(card=ModelCard("hinted", "", "many", 0, 0, multiple=8))
    with pytest.raises(UsageError, match="fixed: its size"):
        AutomaticColorizer(hinted, fixed)  # type: ignore[arg-type]
    wide = SimpleNamespace(card=ModelCard("wide", "", "none", 0, 0, multiple=12))
    assert AutomaticColorizer(hinted, wide).card.multiple == 24  # type: ignore[arg-type]
