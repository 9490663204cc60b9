"""Check a data set against its manifest (hashes, counts, bounds, leaks), and count what it holds."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from videocolor.datasets.pairs.frames import SUFFIX
from videocolor.datasets.pairs.manifest import (
    DECISIONS,
    MANIFEST,
    SPLITS,
    PairRecord,
    SourceState,
    frame_name,
    pair_id,
    read_hashes,
    read_manifest,
    read_states,
)
from videocolor.datasets.pairs.reading import locate
from videocolor.datasets.pairs.settings import PairsConfig
from videocolor.datasets.pairs.shards import shard_ids
from videocolor.datasets.pairs.sources import Source
from videocolor.datasets.pairs.splits import (
    find_leaks,
    group_near_duplicates,
    held_back_of,
    is_listed,
    read_split_settings,
)
from videocolor.errors import ConfigError, InputError
from videocolor.files import file_sha256
from videocolor.presets import load_model

__all__ = ["pair_stats", "PairStats", "verify_pairs"]


@dataclass(frozen=True)
class PairStats:
    """The numbers; `as_dict` for programs, `lines` for people."""

    pairs: int
    self_pairs: int
    sources: int
    decisions: dict[str, int]
    splits: dict[str, dict[str, int]]
    """Split -> sources, pairs, accepted."""
    offsets: dict[str, int]
    """Pairs by whole seconds between the frames, self-pairs left out; `-` where the hint comes first."""
    distances: dict[str, dict[str, float]]
    """Decision -> quantiles (min, median, p90, max) of the distance, CIE delta E."""
    licences: dict[str, int]
    """Pairs by licence."""
    settings: dict[str, int]
    skipped: dict[str, int]
    """Draws that came to nothing, by reason."""
    slowest: list[tuple[str, float, float]]
    """(source, frames a second by timestamps, by content) where more than 2 % of the frames are repeats."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def lines(self) -> list[str]:
        """For people."""
        out = [
            f"{self.pairs} pairs of {self.sources} sources"
            + (f", {self.self_pairs} of them self-pairs" * bool(self.self_pairs))
        ]
        for name, count in self.decisions.items():
            share = count / self.pairs if self.pairs else 0.0
            spread = ", ".join(f"{key} {value:.1f}" for key, value in self.distances.get(name, {}).items())
            out.append(f"  {name:9} {count:7d}  {share:6.1%}" + (f"  distance {spread}" if spread else ""))
        out.append("splits")
        out += [
            f"  {name:9} {v['sources']:5d} sources {v['pairs']:7d} pairs {v['accepted']:7d} accepted"
            for name, v in self.splits.items()
        ]
        if self.offsets:
            out.append("seconds from original to hint")
            out += [f"  {key:>7} {count:7d}" for key, count in self.offsets.items()]
        out.append("licences")
        out += [f"  {count:7d}  {name}" for name, count in self.licences.items()]
        if self.skipped:
            out.append("drawn and left out")
            out += [f"  {count:7d}  {name}" for name, count in self.skipped.items()]
        if self.slowest:
            out.append("repeated frames: frames a second by timestamps, by content")
            out += [f"  {stamped:7.2f} {true:7.2f}  {name}" for name, stamped, true in self.slowest]
        return out


def pair_stats(folder: Path) -> PairStats:
    """Count a data set.

    Raises:
        InputError: it has no manifest that can be read.
    """
    records = read_manifest(folder)
    try:
        states: Sequence[SourceState] = read_states(folder)
    except InputError:
        states = []
    skipped: Counter[str] = Counter()
    for state in states:
        skipped.update(state.skipped)
    films = [record for record in records if not record.self_pair]
    return PairStats(
        pairs=len(records),
        self_pairs=len(records) - len(films),
        sources=len({record.source_sha256 for record in records}),
        decisions={name: sum(r.decision == name for r in records) for name in DECISIONS},
        splits=_splits(records),
        offsets=_offsets(films),
        distances=_distances(records),
        licences=dict(Counter(record.licence for record in records).most_common()),
        settings=dict(Counter(record.settings for record in records).most_common()),
        skipped=dict(skipped.most_common()),
        slowest=sorted((s.source, s.stamped_fps, s.true_fps) for s in states if s.repeats > 0.02),
    )


def _splits(records: Sequence[PairRecord]) -> dict[str, dict[str, int]]:
    found = {}
    for name in SPLITS:
        chosen = [record for record in records if record.split == name]
        if chosen:
            accepted = sum(record.decision == "accepted" for record in chosen)
            sources = len({record.source_sha256 for record in chosen})
            found[name] = {"sources": sources, "pairs": len(chosen), "accepted": accepted}
    return found


def _offsets(records: Sequence[PairRecord]) -> dict[str, int]:
    counts: dict[int, int] = defaultdict(int)
    most = np.nextafter(np.ceil(max((abs(r.offset_s) for r in records), default=1.0)), 0.0)  # exactly 5 s to 4..5
    for record in records:
        whole = int(min(abs(record.offset_s), most))  # exactly 1 s counts to 1..2, on either side
        counts[whole if record.offset_s >= 0 else -whole - 1] += 1
    return {f"{low}..{low + 1}": counts[low] for low in sorted(counts)}


def _distances(records: Sequence[PairRecord]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name in DECISIONS:
        values = [record.distance for record in records if record.decision == name]
        if values:
            quantiles = np.quantile(values, (0, 0.5, 0.9, 1))
            found[name] = dict(zip(("min", "median", "p90", "max"), map(float, quantiles), strict=True))
    return found


Tick = Callable[[int, int], None]


def verify_pairs(folder: Path, *, root: Path | None = None, tick: Tick = lambda _done, _total: None) -> list[str]:
    """Check a data set.

    Every listed file is there with its sha256 and no other frame is; every pair has its frames (or its source, in the
    mode of references), an id that fits its content and an offset within its settings' bounds; no pair is
    listed twice; no source, and no group of near-duplicates, is in two splits; nothing held back is trained on;
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
            yield f"pair {key}: is {count} times in the manifest"
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
    yield from find_leaks(records, group_near_duplicates(prints, config.likeness) if config.near_duplicates else [])
    try:
        held = held_back_of(config.model_copy(update={"held_back_root": None}))
    except ConfigError as error:
        yield str(error)
        return
    listed = {state.sha256: state.source for state in states if is_listed(held, state)}
    wrong = {r.source for r in records if r.source_sha256 in listed and r.split != "held_back"}
    yield from (f"{name}: is on the held-back list and its pairs are not held back" for name in sorted(wrong))
