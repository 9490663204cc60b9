"""Two networks as one."""

from __future__ import annotations

import numpy as np

from videocolor.models.automatic import AutomaticColorizer
from videocolor.models.base import HintInput
from videocolor.models.registry import ConstantColorizer, load_colorizer


def test_shots_with_and_without_a_hint_go_to_their_own_network() -> None:
    card = load_colorizer("constant").card
    both = AutomaticColorizer(ConstantColorizer(card, (1, 2)), ConstantColorizer(card, (3, 4)))
    luma = np.zeros((1, 32, 32), np.float32)
    hint = HintInput(luma[0], np.zeros((2, 32, 32), np.float32))
    assert both.step(both.begin([hint]), luma).ab[0, :, 0, 0].tolist() == [1, 2]
    assert both.step(both.begin([]), luma).ab[0, :, 0, 0].tolist() == [3, 4]
    assert both.card.area_automatic == card.area
    assert both.card.title != card.title and card.title in both.card.title
