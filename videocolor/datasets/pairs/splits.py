"""Divide sources into train, val, test and held_back; near-duplicates stay together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import yaml

from videocolor.datasets.held_back import HeldBack, read_held_back
from videocolor.datasets.pairs.manifest import PairRecord, SourceState, uniforms
from videocolor.datasets.pairs.settings import SplitConfig
from videocolor.errors import InputError
from videocolor.files import write_atomically
from videocolor.presets import find_preset, load_model

__all__ = [
    "find_leaks",
    "group_near_duplicates",
    "plan_splits",
    "held_back_of",
    "is_listed",
    "read_split_settings",
    "SplitPlan",
    "write_split_settings",
]

_SHARE: Final = 0.34
"""Share of the shorter film's fingerprints that must be found in the other."""
_BLOCK: Final = 2**22
"""Comparisons made at once: 32 MB of differences, whatever the number of fingerprints."""


def group_near_duplicates(prints: Mapping[str, Sequence[int]], bits: int) -> list[set[str]]:
    """Group sources that show the same footage.

    Two sources are near-duplicates if at least a third of the shorter one's fingerprints have a partner in the other
    within `bits` bits; the relation is made transitive. Mirrored copies are not found. Every fingerprint is compared
    with every other one: ten thousand take a second, a million hours.

    Args:
        prints: source -> fingerprints; sources without any have no near-duplicate.
        bits: Hamming distance, 0..64.

    Returns:
        The groups, sorted by their first member.
    """
    names = sorted(name for name, values in prints.items() if values)
    owner = np.concatenate([np.full(len(prints[name]), i) for i, name in enumerate(names)] or [np.zeros(0, int)])
    values = np.array([value for name in names for value in prints[name]], np.uint64)
    found: dict[tuple[int, int], set[int]] = {}
    rows = max(1, _BLOCK // max(1, len(values)))
    for start in range(0, len(values), rows):
        near = np.bitwise_count(values[start : start + rows, None] ^ values[None, :]) <= bits
        for row, column in zip(*np.nonzero(near), strict=True):
            a, b = int(owner[start + row]), int(owner[column])
            if a != b:
                found.setdefault((a, b), set()).add(start + int(row))
    parent = list(range(len(names)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    for (a, b), matched in found.items():
        count = len(prints[names[a]])
        shorter = count <= len(prints[names[b]])
        if shorter and len(matched) >= max(1, _SHARE * count):
            parent[root(a)] = root(b)
    groups: dict[int, set[str]] = {}
    for index, name in enumerate(names):
        groups.setdefault(root(index), set()).add(name)
    return sorted((group for group in groups.values() if len(group) > 1), key=min)


_REFERENCE: Final = "held back: "
_SETTINGS: Final = "settings/split.yaml"


@dataclass(frozen=True)
class SplitPlan:
    """The split of every source."""

    splits: dict[str, str]
    """sha256 of a source -> train, val, test or held_back."""
    groups: tuple[tuple[str, ...], ...]
    """Names of near-duplicate sources."""
    notes: tuple[str, ...]
    """Messages: groups found, sources held back as near-duplicates."""


def held_back_of(settings: SplitConfig) -> HeldBack:
    """Read the held-back lists that the settings name, with fingerprints where `held_back_root` has the films.

    Raises:
        ConfigError: a list is missing or has another form.
        InputError: `held_back_root` is no folder.
    """
    held = read_held_back([find_preset(name, "evaluate") for name in settings.held_back])
    return replace(held, prints=_prints(settings.held_back_root, held.files))


def is_listed(held: HeldBack, state: SourceState) -> bool:
    """Whether a source is on the lists itself."""
    return held.has(state.source, state.origin, state.sha256)


def _prints(root: Path | None, files: Iterable[str]) -> dict[str, tuple[int, ...]]:
    if root is None:
        return {}
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; split.held_back_root names the folder of the held-back films")
    from videocolor.datasets.pairs.first_pass import film_prints

    found = {path.name: path for path in sorted(root.rglob("*")) if path.name in set(files)}
    return {name: tuple(film_prints(path)) for name, path in found.items()}


def write_split_settings(folder: Path, settings: SplitConfig) -> None:
    """Note in DIR/settings/split.yaml how the data set was divided last.

    Raises:
        OutputError: it cannot be written.
    """
    (folder / _SETTINGS).parent.mkdir(exist_ok=True)
    write_atomically(folder / _SETTINGS, yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False))


def read_split_settings(folder: Path) -> SplitConfig:
    """How the data set was divided last; the defaults where nothing is noted.

    Raises:
        ConfigError: DIR/settings/split.yaml cannot be used.
    """
    path = folder / _SETTINGS
    return load_model(SplitConfig, "pairs", path) if path.exists() else SplitConfig()


def plan_splits(states: Sequence[SourceState], settings: SplitConfig, held: HeldBack) -> SplitPlan:
    """Divide sources.

    Near-duplicates form a group and share a split: held_back if one of them is on the list or looks like
    something that is; else a number in [0, 1), made of the seed and the group's smallest sha256, decides: below
    `test` it is the test, below `test + val` validation, else training. So a new source moves no other one,
    unless it joins two groups.

    Args:
        states: the sources of the data set.
        settings: shares, seed, likeness.
        held: what is never trained on.
    """
    names = {state.sha256: state.source for state in states}
    prints: dict[str, Sequence[int]] = {s.sha256: [int(p, 16) for p in s.prints] for s in states}
    prints |= {_REFERENCE + name: values for name, values in held.prints.items()}
    duplicates = group_near_duplicates(prints, settings.likeness) if settings.near_duplicates else []
    listed = {state.sha256 for state in states if is_listed(held, state)}
    group_of = {member: group for group in duplicates for member in group}
    splits: dict[str, str] = {}
    notes: list[str] = []
    for state in states:
        group = group_of.get(state.sha256, {state.sha256})
        guilty = sorted(m for m in group if m in listed or m.startswith(_REFERENCE))
        if guilty:
            splits[state.sha256] = "held_back"
            if state.sha256 not in listed:
                like = names.get(guilty[0], guilty[0].removeprefix(_REFERENCE))
                notes.append(f"{state.source}: looks like {like}, which is held back, so it is held back too")
            continue
        (place,) = uniforms(1, "split", settings.seed, min(group))
        val_end = float(settings.test) + float(settings.val)
        splits[state.sha256] = "test" if place < settings.test else "val" if place < val_end else "train"
    groups = tuple(tuple(sorted(names[m] for m in group if m in names)) for group in duplicates)
    groups = tuple(sorted(group for group in groups if len(group) > 1))
    notes += [f"look alike and share a split: {', '.join(group)}" for group in groups]
    return SplitPlan(splits, groups, tuple(notes))


def find_leaks(records: Sequence[PairRecord], groups: Iterable[Iterable[str]] = ()) -> list[str]:
    """Describe sources, or groups of near-duplicates, that are in more than one split."""
    by_hash: dict[str, set[str]] = defaultdict(set)
    by_name: dict[str, set[str]] = defaultdict(set)
    for record in records:
        by_hash[record.source_sha256].add(record.split)
        by_name[record.source].add(record.split)
    name_of = {record.source_sha256: record.source for record in records}
    leaks = {
        f"leak: {name_of[sha]} is in {' and '.join(sorted(splits))}"
        for sha, splits in by_hash.items()
        if len(splits) > 1
    }
    leaks |= {
        f"leak: {name} is in {' and '.join(sorted(splits))}" for name, splits in by_name.items() if len(splits) > 1
    }
    for group in groups:
        members = sorted(group)
        splits = set().union(*(by_name.get(name, set()) for name in members))
        if len(splits) > 1:
            leaks.add(f"leak: {', '.join(members)} look alike and are in {' and '.join(sorted(splits))}")
    return sorted(leaks)
