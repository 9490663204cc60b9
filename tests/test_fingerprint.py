"""Every setting says what it affects, and one list of them decides what is made again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, get_args

import pytest

from videocolor.config import COLOR, Affects, AssignedHint, ColorizeConfig, Effect
from videocolor.fingerprint import assigned_in, digest, effects, settings_of
from videocolor.models.registry import load_colorizer
from videocolor.shards.plan import settings_hash

_LISTED, _TEXT = {"keep_shards", "overwrite", "threads"}, re.compile(r'["\'.](\w+)["\']')
"""Settings that change no sample; and the last word of keys in quotes."""


def test_every_setting_is_marked_once() -> None:
    known = {f"{section}.{key}" for section, values in ColorizeConfig().as_dict().items() for key in values}
    assert set(effects()) == known
    assert set(effects().values()) == set(get_args(Effect))


def test_a_setting_without_a_mark_is_refused() -> None:
    class Unmarked(ColorizeConfig):
        restoration: type(ColorizeConfig().restoration) = ColorizeConfig().restoration  # type: ignore[valid-type]

    class Twice(ColorizeConfig):
        model: Annotated[type(ColorizeConfig().model), COLOR] = ColorizeConfig().model  # type: ignore[valid-type]

    for wrong in (Unmarked, Twice):
        with pytest.raises(TypeError, match="expected one mark"):
            effects(wrong)


def test_shards_are_colored_again_when_flare_stays_in() -> None:
    network, other = load_colorizer("gray"), ColorizeConfig.load(None, (), {"hints.remove_flare": False})
    assert settings_hash(ColorizeConfig(), network, "") != settings_hash(other, network, "")
    elsewhere = ColorizeConfig.load(None, (), {"model.threads": 3, "shots.shard": 9})
    assert settings_hash(ColorizeConfig(), network, "") == settings_hash(elsewhere, network, "")


def test_nobody_keeps_a_list_of_settings_beside_the_marks(root: Path) -> None:
    listed = [
        path.name for path in (root / "videocolor").rglob("*.py") if set(_TEXT.findall(path.read_text())) >= _LISTED
    ]
    assert listed == []


def test_settings_are_those_that_affect_what_is_asked_for() -> None:
    before = ColorizeConfig()
    for key, value, effect in (
        ("hints.remove_flare", False, "color"),
        ("model.device", "cpu", "rounding"),
        ("shots.shard", 30, "nothing"),
        ("output.crf", 20, "encoding"),
        ("chroma.saturation", 0.5, "saturation"),
        ("shots.detector", "none", "shots"),
    ):
        after = ColorizeConfig.load(None, (), {key: value})
        changed = {name for name in get_args(Effect) if settings_of(before, name) != settings_of(after, name)}
        assert changed == {effect} == {Affects(effects()[key]).effect}, key


def test_assigned_hints_of_a_shot() -> None:
    hints = (
        AssignedHint(image="/a/own.png", frame=5),
        AssignedHint(image="/b/both.png", frame=5, shots=(12,)),
        AssignedHint(image="c.png", shots=(10,)),
    )
    assert assigned_in(hints, 0, 10) == [("own.png", 5), ("both.png", 5)]
    assert assigned_in(hints, 10, 20) == [("both.png", None), ("c.png", None)]
    assert assigned_in(hints, 20, 30) == []
    assert digest(assigned_in(hints, 0, 10)) != digest(assigned_in(hints, 10, 20))
