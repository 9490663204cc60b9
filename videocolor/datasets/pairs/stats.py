"""What a data set holds, in numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from videocolor.datasets.pairs.manifest import DECISIONS, SPLITS, PairRecord, read_manifest
from videocolor.datasets.pairs.state import SourceState, read_states
from videocolor.errors import InputError

__all__ = ["PairStats", "pair_stats"]


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
