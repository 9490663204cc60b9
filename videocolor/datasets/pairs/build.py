"""Build a data set of pairs source by source; resumable at each source, with the same bytes as without a stop."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import yaml

from videocolor.datasets.held_back import HeldBack
from videocolor.datasets.pairs.manifest import (
    HASHES,
    MANIFEST,
    PairRecord,
    SourceState,
    drop_source,
    read_hashes,
    read_state,
    read_states,
    state_path,
    write_hashes,
    write_manifest,
    write_state,
)
from videocolor.datasets.pairs.review import read_decisions
from videocolor.datasets.pairs.settings import PairsConfig, SplitConfig, settings_id
from videocolor.datasets.pairs.sources import Source, allowed_licence, expand
from videocolor.datasets.pairs.sourcework import FrameStore, work_on
from videocolor.datasets.pairs.splits import held_back_of, plan_splits, write_split_settings
from videocolor.errors import InputError, OutputError, UnsupportedVideoError, VideocolorError
from videocolor.events import Event, Observer, ignore
from videocolor.files import file_sha256, write_atomically
from videocolor.video import probe

__all__ = ["BuildResult", "assemble", "build_pairs"]

_EVERY: Final = 0.5
"""Seconds between two progress events."""


@dataclass
class BuildResult:
    """What a build did."""

    folder: Path
    sources: int = 0
    """Sources of the data set, those of earlier builds included."""
    built: int = 0
    """Sources that this call worked on."""
    reused: int = 0
    """Sources that were complete already."""
    decisions: Counter[str] = field(default_factory=Counter)
    """Pairs of the data set by decision."""
    splits: Counter[str] = field(default_factory=Counter)
    """Accepted pairs by split."""
    refused: list[str] = field(default_factory=list)
    """Messages about sources that are readable but not wanted: rate, length, no color, HDR."""
    failed: list[str] = field(default_factory=list)
    """Messages about sources that could not be read."""
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every source gave what it should."""
        return not self.refused and not self.failed

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**values, "decisions": dict(self.decisions), "splits": dict(self.splits), "ok": self.ok}


class _Progress:
    """Counts frames over all sources and both passes, and reports them with an estimate of the time left."""

    def __init__(self, sources: Sequence[Source], observer: Observer) -> None:
        self._observer = observer
        self._weights = {source.name: _weight(source) for source in sources}
        self.total = sum(self._weights.values())
        self._done = 0
        self._credit = 0
        """Frames done by an earlier run: they say nothing about the speed."""
        self._began = self._told = time.monotonic()

    def within(self, frames: int) -> None:
        """Report frames of the current source that are done."""
        now = time.monotonic()
        if now - self._told >= _EVERY:
            self._told = now
            self._tell(self._done + frames, now - self._began)

    def finish(self, source: Source, *, reused: bool) -> None:
        """Count a source as done, whatever came of it."""
        self._done += self._weights[source.name]
        self._credit += self._weights[source.name] if reused else 0
        self._tell(self._done, time.monotonic() - self._began)

    def _tell(self, frames: int, seconds: float) -> None:
        frames = min(frames, self.total)
        fps = max(0, frames - self._credit) / seconds if seconds > 0 else 0.0
        eta = (self.total - frames) / fps if fps > 0 else None
        data = {"stage": "pairs", "frames": frames, "total": self.total, "fps": fps, "eta_s": eta}
        self._observer(Event("progress", data))


def _weight(source: Source) -> int:
    """Frames to be decoded: a film is read twice."""
    if source.kind == "image":
        return 1
    try:
        return 2 * (probe(source.path).frames or 1)
    except VideocolorError:
        return 1  # reported when its turn comes


def build_pairs(
    inputs: Iterable[Path],
    folder: Path,
    config: PairsConfig | None = None,
    *,
    shards: bool = False,
    observer: Observer = ignore,
) -> BuildResult:
    """Build a data set, or go on with one, or add to one.

    A source that is complete under the same settings is not touched again; one that was built with other settings is
    built again. Unusable sources are reported, counted and skipped.

    Args:
        inputs: films, pictures, folders of them, tars of pictures.
        folder: of the data set; made if it is not there.
        config: settings; None: the defaults.
        shards: also write WebDataset tars of the accepted pairs.
        observer: receives progress (frames of both passes, eta_s), notes and warnings.

    Raises:
        InputError: a manifest.csv beside a source cannot be read.
        OutputError: the data set cannot be written; what was complete by then stays.
        ConfigError: the held-back list cannot be used.
    """
    config = config or PairsConfig()
    began = time.monotonic()
    result = BuildResult(folder)
    held = held_back_of(config.split)
    _check_folder(folder)
    sources, problems = expand(inputs, without=folder)
    for problem in problems:
        _report(result.failed, f"skipped: {problem}", observer)
    progress = _Progress(sources, observer)
    seen: dict[str, str] = {}
    for source in sources:
        reused = False
        try:
            reused = _one(source, folder, config, seen, progress, result)
        except UnsupportedVideoError as error:
            _report(result.refused, f"refused: {error}", observer)
        except InputError as error:
            _report(result.failed, f"skipped: {error}", observer)
        progress.finish(source, reused=reused)
    states = read_states(folder) if any(folder.glob(".build/*.json")) else []
    if states:
        result.sources = len(states)
        _settle(folder, states, config, shards, result, held, observer)
    result.seconds = time.monotonic() - began
    return result


def _report(into: list[str], message: str, observer: Observer) -> None:
    into.append(message)
    observer(Event("warning", {"message": message}))


def _check_folder(folder: Path) -> None:
    """Make the folder; refuse one that holds something else."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strange = [p.name for p in folder.iterdir() if not p.name.startswith(".")]
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    known = {MANIFEST, HASHES, "frames"}
    if strange and not known & set(strange) and not (folder / ".build").is_dir():
        raise OutputError(f"{folder}: holds something else ({strange[0]}); give an empty or a new folder")


def _one(
    source: Source,
    folder: Path,
    config: PairsConfig,
    seen: dict[str, str],
    progress: _Progress,
    result: BuildResult,
) -> bool:
    """Complete a source; True if it was complete."""
    sha256 = source.sha256()
    if sha256 in seen:
        result.warnings.append(f"{source.name}: the same bytes as {seen[sha256]}, used once")
        return True
    seen[sha256] = source.name
    state = read_state(state_path(folder, sha256))
    if state is not None and state.settings == settings_id(config) and state.sha256 == sha256:
        if (renamed := _renamed(state, source)) != state:
            write_state(folder, renamed)
        result.reused += 1
        return True
    drop_source(folder, sha256)
    store = FrameStore(folder, config.store)
    write_state(folder, work_on(source, sha256, config, store, progress.within))
    result.built += 1
    return False


def _renamed(state: SourceState, source: Source) -> SourceState:
    return replace(
        state,
        source=source.name,
        path=str(source.path.resolve()),
        origin=source.origin.name,
        licence=source.origin.licence,
    )


def _settle(
    folder: Path,
    states: Sequence[SourceState],
    config: PairsConfig,
    shards: bool,
    result: BuildResult,
    held: HeldBack,
    observer: Observer,
) -> None:
    """Write manifest, hashes, settings and shards; warn about what a person should know."""
    path = folder / "settings" / f"{settings_id(config)}.yaml"
    path.parent.mkdir(exist_ok=True)
    values = config.model_dump(mode="json", exclude={"split"})
    write_atomically(path, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
    records, notes = assemble(folder, config.split, states=states, held=held)
    result.decisions.update(record.decision for record in records)
    result.splits.update(record.split for record in records if record.decision == "accepted")
    for state in states:
        result.warnings += [f"{state.source}: {warning}" for warning in state.warnings]
    result.warnings += _licence_warnings(states)
    others = sum(state.settings != settings_id(config) for state in states)
    if others:
        result.warnings.append(f"{folder}: {others} sources of it were built with other settings (see `settings`)")
    result.warnings += notes
    if shards:
        from videocolor.datasets.pairs.shards import write_shards

        write_shards(folder)
    for message in result.warnings:
        observer(Event("warning", {"message": message}))


def _licence_warnings(states: Sequence[SourceState]) -> list[str]:
    """One warning for each non-commercial licence, with the first sources under it."""
    by_licence: dict[str, list[str]] = {}
    for state in states:
        if not allowed_licence(state.licence):
            by_licence.setdefault(state.licence, []).append(state.source)
    return [
        f"non-commercial licence ({licence}): {len(names)} sources: {', '.join(names[:3])}{', ...' * (len(names) > 3)}"
        for licence, names in sorted(by_licence.items())
    ]


def assemble(
    folder: Path, split: SplitConfig, *, states: Sequence[SourceState] | None = None, held: HeldBack | None = None
) -> tuple[list[PairRecord], tuple[str, ...]]:
    """Write the manifest and the hashes from the states of the sources, the splits and a person's decisions.

    Args:
        folder: the data set.
        split: how to divide.
        states: None: those in the folder.
        held: the held-back list; None: as `split` names it.

    Returns:
        The pairs, and notes about near-duplicates.
    """
    states = read_states(folder) if states is None else states
    plan = plan_splits(states, split, held_back_of(split) if held is None else held)
    by_hand = read_decisions(folder)
    records, hashes = [], {}
    for state in states:
        hashes.update(state.files)
        for pair in state.pairs:
            values = {**pair, "decision": by_hand.get(pair["pair_id"], pair["decision"])}
            records.append(
                PairRecord(
                    source=state.source,
                    source_sha256=state.sha256,
                    time_base=state.time_base,
                    split=plan.splits[state.sha256],
                    licence=state.licence,
                    settings=state.settings,
                    **values,
                )
            )
    write_split_settings(folder, split)
    write_manifest(folder, records)
    if (folder / HASHES).exists():
        hashes |= {name: digest for name, digest in read_hashes(folder).items() if name.startswith("shards/")}
    write_hashes(folder, {**hashes, MANIFEST: file_sha256(folder / MANIFEST)})
    return records, plan.notes
