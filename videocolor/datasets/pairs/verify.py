"""Is a data set what its manifest says? Hashes, counts, bounds, leaks."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from videocolor.datasets.pairs.frames import SUFFIX
from videocolor.datasets.pairs.manifest import MANIFEST, PairRecord, frame_name, pair_id, read_manifest
from videocolor.datasets.pairs.near_duplicates import group_twins
from videocolor.datasets.pairs.reading import locate
from videocolor.datasets.pairs.settings import PairsConfig
from videocolor.datasets.pairs.shards import shard_ids
from videocolor.datasets.pairs.sources import Source
from videocolor.datasets.pairs.splits import find_leaks, read_held_back, read_split_settings
from videocolor.datasets.pairs.state import SourceState, read_hashes, read_states
from videocolor.errors import ConfigError, InputError
from videocolor.files import file_sha256
from videocolor.presets import load_model

__all__ = ["verify_pairs"]

Tick = Callable[[int, int], None]


def verify_pairs(folder: Path, *, root: Path | None = None, tick: Tick = lambda done, total: None) -> list[str]:
    """Check a data set.

    Every listed file is there with its sha256 and no other frame is; every pair has its frames (or its source, in the
    mode of references), an id that fits its content and an offset within its settings' bounds; no pair stands
    twice; no source, and no group of sources that look alike, is in two splits; nothing held back is trained on;
    the tars hold exactly the accepted pairs.

    Args:
        folder: the data set.
        root: where sources are, in the mode of references.
        tick: called with (files checked, files).

    Returns:
        What is wrong, one sentence each; empty if all is well.

    Raises:
        InputError: there is no manifest, or a line of it cannot be used.
    """
    records = read_manifest(folder)
    hashes = read_hashes(folder)
    configs, problems = _configs(folder, records)
    problems += _check_files(folder, hashes, tick)
    problems += _check_records(records, configs)
    problems += _check_counts(folder, records, configs, hashes)
    problems += _check_sources(folder, records, configs, root)
    try:
        states = read_states(folder)
    except InputError as error:
        return [*problems, str(error), *find_leaks(records)]
    problems += _check_states(records, states)
    problems += _check_splits(folder, records, states)
    return problems


def _configs(folder: Path, records: Sequence[PairRecord]) -> tuple[dict[str, PairsConfig], list[str]]:
    configs, problems = {}, []
    for name in sorted({record.settings for record in records}):
        try:
            configs[name] = load_model(PairsConfig, "pairs", folder / "settings" / f"{name}.yaml")
        except ConfigError as error:
            problems.append(f"settings {name}: {error}")
    return configs, problems


def _check_files(folder: Path, hashes: dict[str, str], tick: Tick) -> Iterator[str]:
    for number, (name, digest) in enumerate(sorted(hashes.items()), 1):
        path = folder / name
        tick(number, len(hashes))
        if not path.is_file():
            yield f"{name}: is missing"
        elif (found := file_sha256(path)) != digest:
            yield f"{name}: its sha256 is {found[:16]}..., the list says {digest[:16]}...: changed or damaged"
    if MANIFEST not in hashes:
        yield f"{MANIFEST}: is not in the list of hashes"
    for area in ("frames", "shards"):
        for path in sorted((folder / area).rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name not in hashes:
                yield f"{name}: belongs to no pair (left by a build that was stopped; build again, or remove it)"


def _check_records(records: Sequence[PairRecord], configs: dict[str, PairsConfig]) -> Iterator[str]:
    for key, count in Counter(record.pair_id for record in records).items():
        if count > 1:
            yield f"pair {key}: stands {count} times in the manifest"
    for record in records:
        base = Fraction(record.time_base)
        offset = (record.hint_pts - record.original_pts) * base
        if record.pair_id != pair_id(record.source_sha256, record.original_pts, record.hint_pts, base):
            yield f"pair {record.pair_id}: its id does not fit its source and times"
        if float(offset) != record.offset_s:
            yield f"pair {record.pair_id}: offset_s is {record.offset_s}, its times say {float(offset)}"
        config = configs.get(record.settings)
        if config is None or record.self_pair:
            continue
        low, high = (Fraction(str(v)) for v in (config.sampling.min_s, config.sampling.max_s))
        if not low <= abs(offset) <= high:
            yield f"pair {record.pair_id}: {float(offset):.3f} s apart, outside {float(low):g}..{float(high):g} s"


def _check_counts(
    folder: Path, records: Sequence[PairRecord], configs: dict[str, PairsConfig], hashes: dict[str, str]
) -> Iterator[str]:
    needed = set()
    for record in records:
        config = configs.get(record.settings)
        if config is None or config.store.mode != "frames":
            continue
        suffix = SUFFIX[config.store.format]
        needed.add(frame_name(record.source_sha256, record.original_pts, suffix=suffix))
        needed.add(frame_name(record.source_sha256, record.hint_pts, warped=record.self_pair, suffix=suffix))
    listed = {name for name in hashes if name.startswith("frames/")}
    for name in sorted(needed - listed):
        yield f"{name}: a pair needs it and it is not in the list of hashes"
    if extra := listed - needed:
        yield f"{len(extra)} listed frames belong to no pair of the manifest, among them {min(extra)}"
    shards = sorted(name for name in hashes if name.startswith("shards/"))
    if not shards:
        return
    held: dict[str, str] = {}
    for name in shards:
        if not (folder / name).is_file():
            continue
        for key, kinds in shard_ids(folder / name).items():
            held[key] = Path(name).name.rpartition("-")[0]
            if len(kinds) != 3:
                yield f"{name}: pair {key} has {len(kinds)} members; expected original, hint and json"
    wanted = {r.pair_id: r.split for r in records if r.decision == "accepted" and r.split != "held_back"}
    if held != wanted:
        wrong = sum(held.get(key) != split for key, split in wanted.items()) + len(held.keys() - wanted.keys())
        yield f"shards: {wrong} pairs differ from the manifest; write them again with `pairs build ... --shards`"


def _check_sources(
    folder: Path, records: Sequence[PairRecord], configs: dict[str, PairsConfig], root: Path | None
) -> Iterator[str]:
    """In the mode of references the sources are the data: each is there, with its bytes."""
    seen: set[str] = set()
    for record in records:
        config = configs.get(record.settings)
        if config is None or config.store.mode != "references" or record.source_sha256 in seen:
            continue
        seen.add(record.source_sha256)
        try:
            path = locate(folder, record, root)
            if path.suffix.lower() == ".tar":
                member = record.source.partition(f"{path.name}/")[2]
                digest = hashlib.sha256(Source(record.source, path, "image", member).data()).hexdigest()
            else:
                digest = file_sha256(path)
        except InputError as error:
            yield str(error)
            continue
        if digest != record.source_sha256:
            yield f"{record.source}: is another file now (its sha256 differs)"


def _check_states(records: Sequence[PairRecord], states: Sequence[SourceState]) -> Iterator[str]:
    pairs = Counter(record.source_sha256 for record in records)
    for state in states:
        if pairs[state.sha256] != len(state.pairs):
            yield f"{state.source}: {len(state.pairs)} pairs were built, the manifest holds {pairs[state.sha256]}"
    for sha in sorted(pairs.keys() - {state.sha256 for state in states}):
        yield f"source {sha[:16]}...: is in the manifest and was never built"


def _check_splits(folder: Path, records: Sequence[PairRecord], states: Sequence[SourceState]) -> Iterator[str]:
    config = read_split_settings(folder)
    prints = {state.source: [int(value, 16) for value in state.prints] for state in states}
    yield from find_leaks(records, group_twins(prints, config.likeness) if config.near_duplicates else [])
    try:
        held = read_held_back(config.model_copy(update={"held_back_root": None}))
    except ConfigError as error:
        yield str(error)
        return
    listed = {state.sha256: state.source for state in states if held.names(state)}
    wrong = {r.source for r in records if r.source_sha256 in listed and r.split != "held_back"}
    yield from (f"{name}: is on the held-back list and its pairs are not held back" for name in sorted(wrong))
