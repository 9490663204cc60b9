"""Evaluate methods on clips under a protocol, in parallel processes, resumable.

    evaluation = evaluate(Path("clips"), Path("out"), EvaluateConfig())
    write_evaluation(evaluation)                 # table.md, table.json, index.html, costs.json

The rows of each (clip, method) are stored in the output folder when they are done, under a key of everything that they
depend on: sha256 of clip and hint, protocol, settings, weights, and code.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from videocolor.concurrency.processes import Crew
from videocolor.concurrency.stages import single_threaded_kernels
from videocolor.errors import DeviceError, OutputError, PluginError, UsageError
from videocolor.evaluation.clips import ClipFile, list_clips
from videocolor.evaluation.methods import MethodSpec, Results, build_method, needs_hint, parse_methods
from videocolor.evaluation.metrics import metric_kinds
from videocolor.evaluation.metrics.base import Metric
from videocolor.evaluation.protocols import Case, Unit, cases_of, plan_units
from videocolor.evaluation.rows import TRUTH, Row, Store, code_digest, digest
from videocolor.evaluation.scoring import FilmScorer, ScoreOptions
from videocolor.evaluation.settings import EvaluateConfig
from videocolor.evaluation.tasks import Method, luma_codes, write_png
from videocolor.events import Event, Observer, ignore
from videocolor.files import file_sha256
from videocolor.plugins import identify, name_of, origins
from videocolor.version import __version__

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """All that was measured."""

    output: Path
    config: EvaluateConfig
    labels: tuple[str, ...]
    """Methods in the order of the table, the truth first."""
    units: tuple[str, ...]
    rows: tuple[Row, ...]
    """By unit, case and method, in this order."""
    left_out: tuple[str, ...]
    """Methods and clips that this protocol does not use, and why."""
    identities: dict[str, dict[str, Any]]
    """`Method.identity` by label."""


@dataclass(frozen=True)
class _Job:
    """A unit, with the methods that are not done yet."""

    unit: Unit
    config: EvaluateConfig
    todo: tuple[tuple[MethodSpec | None, str], ...]
    """(method, key); None is the truth."""
    output: Path


def evaluate(
    clips: str | Path,
    output: str | Path,
    config: EvaluateConfig | None = None,
    *,
    methods: Sequence[str | type[Method]] | None = None,
    metrics: Sequence[str | type[Metric]] | None = None,
    workers: int = 1,
    fresh: bool = False,
    observer: Observer = ignore,
) -> Evaluation:
    """Score methods on clips.

    Args:
        clips: a folder of videos with their true colors.
        output: a folder for rows, stills and tables; an earlier run's rows in it are used.
        config: see `EvaluateConfig`.
        methods: in place of the settings': names, or classes at the top level of a module.
        metrics: what is measured, in place of the settings', likewise.
        workers: processes; the result does not depend on it.
        fresh: ignore rows that are done.
        observer: receives progress, in units x methods.

    Raises:
        UsageError, ConfigError: methods, protocol and clips do not fit together.
        PluginError: a method or metric returned what it must not.
        InputError: a clip, hint or result is missing, unreadable or of another length.
        OutputError: the output folder cannot be written.
        DeviceError: a worker process was killed.
    """
    clips, output, config = Path(clips), Path(output), _with(config or EvaluateConfig(), methods, metrics)
    if workers < 1:
        raise UsageError(f"--workers {workers}: expected 1 or more")
    specs, left_out = _useful(parse_methods(config.methods), config)
    found = list_clips(clips, config.clips)
    units = plan_units(found, clips, config)
    _make_folder(output)
    store, jobs = Store(output), []
    made = _made_by(specs, units, config)
    kept: dict[tuple[str, str], list[Row]] = {}
    for unit in units:
        todo: list[tuple[MethodSpec | None, str]] = []
        for spec in (None, *specs):
            label = TRUTH if spec is None else spec.label
            key = _key(unit, config, spec, made)
            rows = None if fresh else store.read(unit.name, label, key)
            if rows is None:
                todo.append((spec, key))
            else:
                kept[unit.name, label] = rows
        if todo:
            jobs.append(_Job(unit, config, tuple(todo), output))
    for rows in _work(jobs, workers, observer):
        kept[rows[0].unit, rows[0].method] = rows
    labels = (TRUTH, *(spec.label for spec in specs))
    ordered = [row for unit in units for label in labels for row in kept[unit.name, label]]
    identities = {spec.label: made[spec.label, ""] for spec in specs}
    names = tuple(unit.name for unit in units)
    idle = (*left_out, *_unused(found, units))
    return Evaluation(output, config, labels, names, tuple(ordered), idle, identities)


def _with(
    config: EvaluateConfig, methods: Sequence[str | type[Method]] | None, metrics: Sequence[str | type[Metric]] | None
) -> EvaluateConfig:
    """Put methods and metrics into the settings, by the names under which worker processes find them."""
    if methods is not None:
        config = config.model_copy(update={"methods": tuple(name_of(method, "methods") for method in methods)})
    if metrics is None:
        return config
    kinds = tuple(metric_kinds(names := [name_of(metric, "metrics") for metric in metrics]))
    chosen = tuple(name for name in kinds if name in names)
    return config.model_copy(update={"scores": config.scores.model_copy(update={"metrics": chosen})})


def _useful(specs: Sequence[MethodSpec], config: EvaluateConfig) -> tuple[list[MethodSpec], tuple[str, ...]]:
    """Leave methods that need a hint out of a protocol without hints, and say so."""
    if config.protocol.name != "auto":
        return list(specs), ()
    idle = [spec.label for spec in specs if needs_hint(spec)]
    left = [spec for spec in specs if spec.label not in idle]
    if not left:
        raise UsageError(f"protocol auto gives no hints, and {', '.join(idle)} need one; name other methods")
    return left, tuple(f"{label}: needs a hint" for label in idle)


def _unused(clips: Sequence[ClipFile], units: Sequence[Unit]) -> tuple[str, ...]:
    """Clips that are in no unit."""
    used = {clip.name for unit in units for clip in unit.clips}
    return tuple(f"clip {clip.name}: in no film or pair" for clip in clips if clip.name not in used)


def _made_by(specs: Sequence[MethodSpec], units: Sequence[Unit], config: EvaluateConfig) -> dict[tuple[str, str], Any]:
    """Identity of each method, by (label, ""), and fingerprints of others' results, by (label, unit).

    Each method is built once, so that what cannot be built or found is an error before the work begins.
    """
    made: dict[tuple[str, str], Any] = {}
    for spec in specs:
        method = build_method(spec, config.network)
        made[spec.label, ""] = {**method.identity(), **_code(method)}
        if isinstance(method, Results):
            made.update({(spec.label, unit.name): method.fingerprint(unit.name) for unit in units})
    return made


def _code(method: Method) -> dict[str, Any]:
    """Name the code of a method that is not ours."""
    code = identify(type(method))
    return {} if code is None else {"code": code}


def _scored_by(options: ScoreOptions) -> list[str]:
    """Name what scores depend on besides the settings and our own code: plug-ins, and weights."""
    weights = [] if options.lpips_weights is None else [file_sha256(options.lpips_weights)]
    return [*origins(*((name, "metrics") for name in options.metrics)), *weights]


def _key(unit: Unit, config: EvaluateConfig, spec: MethodSpec | None, made: dict[tuple[str, str], Any]) -> str:
    """Digest of everything that a unit's rows by a method depend on; `spec` None: the truth's."""
    settings = config.model_dump(mode="json", include={"clips", "protocol", "scores"})
    settings["clips"] = {k: v for k, v in settings["clips"].items() if k not in ("listed", "most")}
    settings["protocol"].pop("pairs")
    value = {
        "version": __version__,
        "code": code_digest(package=spec is not None and spec.kind in ("network", "videocolor", "plug-in")),
        "scored by": _scored_by(config.scores),
        "clips": [clip.sha256 for clip in unit.clips],
        "names": [unit.name, *(clip.name for clip in unit.clips)],
        "hint": [unit.hint_sha256, unit.hint_at],
        "settings": settings,
        "seed": config.page.seed,
        "stills": [config.page.stills, config.page.hints],
        "method": TRUTH if spec is None else made[spec.label, ""],
        "files": None if spec is None else made.get((spec.label, unit.name)),
    }
    return digest(value)


def _work(jobs: Sequence[_Job], workers: int, observer: Observer) -> Iterator[list[Row]]:
    """Yield the rows of one method on one unit as they are done."""
    total = sum(len(job.todo) for job in jobs)
    done, began = 0, time.monotonic()

    def reported(rows: list[Row]) -> list[Row]:
        nonlocal done
        done += 1
        rate = done / max(time.monotonic() - began, 1e-6)
        data = {
            "stage": "evaluate",
            "row": f"{rows[0].unit} {rows[0].method}",
            "frames": done,
            "total": total,
            "fps": round(rate, 2),
        }
        observer(Event("progress", {**data, "eta_s": round((total - done) / rate, 1)}))
        return rows

    if workers == 1 or len(jobs) <= 1:
        for job in jobs:
            for rows in _run(job):
                yield reported(rows)
        return
    with _pool(min(workers, len(jobs))) as pool:
        waiting: set[Future[list[list[Row]]]] = {pool.submit(_run_all, job) for job in jobs}
        while waiting:
            ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ready:
                for rows in future.result():
                    yield reported(rows)


@contextmanager
def _pool(workers: int) -> Iterator[Crew]:
    """Run processes that end with the block, however it ends."""
    try:
        with Crew(workers) as pool:
            yield pool
    except BrokenProcessPool as error:
        raise DeviceError(
            "a worker process was killed, perhaps for lack of memory; finished rows are kept: run the command again "
            "with fewer --workers"
        ) from error


def _run_all(job: _Job) -> list[list[Row]]:
    return list(_run(job))


def _run(job: _Job) -> Iterator[list[Row]]:
    """Score the methods of a job; each one's rows are stored before the next begins."""
    store, config = Store(job.output), job.config
    with tempfile.TemporaryDirectory(prefix="videocolor-") as name, single_threaded_kernels():
        cases = list(cases_of(job.unit, config, Path(name)))
        for spec, key in job.todo:
            method = None if spec is None else build_method(spec, config.network)
            label = TRUTH if spec is None else spec.label
            mine = _cases_for(method, cases)
            rows = [_score(case, method, label, key, store, config) for case in mine]
            store.write(job.unit.name, label, key, rows)
            yield rows


def _cases_for(method: Method | None, cases: Sequence[Case]) -> list[Case]:
    """Choose the cases of a method: one for the truth and for methods without hints, none where a hint is missing."""
    if method is None or not method.uses_hints:
        return [replace(cases[0], name="")]
    return [case for case in cases if case.hints or not method.needs_hint] or list(cases[:1])


def _score(case: Case, method: Method | None, label: str, key: str, store: Store, config: EvaluateConfig) -> Row:
    """Run a method on a case and score its frames."""
    clip, task = case.clip, case.task()
    chosen = still_frames(len(clip.truth), case.references, config.page.stills)
    files: list[str] = []
    bounds = [*clip.shots, len(clip.truth)]
    scorers = [FilmScorer(config.scores) for _ in clip.shots]
    made = iter(clip.truth) if method is None else method.color(task)
    _reset_peak()
    seconds, shot, luma_error = 0.0, 0, 0
    for index in range(len(clip.truth)):
        began = time.perf_counter()
        try:
            frame = next(made)
        except StopIteration:
            raise PluginError(f"{label} yielded {index} of the {len(clip.truth)} frames of {clip.name}") from None
        if not isinstance(frame, np.ndarray) or frame.shape != clip.truth[index].shape or frame.dtype != np.uint8:
            shown = f"{frame.shape} {frame.dtype}" if isinstance(frame, np.ndarray) else type(frame).__name__
            expected = f"{clip.truth[index].shape} uint8"
            raise PluginError(f"{label}: frame {index} of {clip.name} is {shown}; expected {expected}")
        seconds += time.perf_counter() - began
        shot += index >= bounds[shot + 1]
        error = luma_codes(frame, clip.matrix).astype(np.int16) - clip.luma[index]
        luma_error = max(luma_error, int(np.abs(error).max()))
        scorers[shot].add(clip.truth[index], frame, reference=index in case.references)
        if index in chosen:
            path = store.still(clip.name, label, key, case.name, index)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_png(path, frame)
            files.append(path.relative_to(store.folder).as_posix())
    began = time.perf_counter()
    if method is not None and next(made, None) is not None:
        raise PluginError(f"{label} yielded more than the {len(clip.truth)} frames of {clip.name}")
    seconds += time.perf_counter() - began
    scores = combine([scorer.result().as_dict() for scorer in scorers])
    scores["luma_code_diff"] = luma_error
    hints = {}
    for number, hint in enumerate(case.hints[: config.page.hints], 1):
        path = store.hint(clip.name, hint.rgb)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, hint.rgb)
        hints[f"hint {number}, " + ("no frame" if hint.frame is None else f"frame {hint.frame}")] = path
    about = {**clip.about, "references": sorted(case.references), "hints": len(case.hints)}
    return Row(
        clip.name,
        case.name,
        label,
        scores,
        tuple(files),
        chosen,
        {name: path.relative_to(store.folder).as_posix() for name, path in hints.items()},
        about,
        tuple(dict.fromkeys(task.notes)),
        round(seconds, 4),
        _peak(),
    )


def still_frames(count: int, references: frozenset[int], most: int) -> tuple[int, ...]:
    """Choose at most `most` frames, evenly spread, none of them a reference if possible."""
    open_ = [index for index in range(count) if index not in references] or list(range(count))
    return tuple(dict.fromkeys(open_[(2 * n + 1) * len(open_) // (2 * most)] for n in range(most)))


def combine(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Combine the scores of shots: sums of counts, the largest luma difference, means of all else.

    A shot without a score is left out of its mean; None where no shot has it.
    """
    if len(parts) == 1:
        return dict(parts[0])
    combined: dict[str, Any] = {}
    for name in parts[0]:
        values = [part[name] for part in parts if part.get(name) is not None]
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        if not values:
            combined[name] = None
        elif not numbers:
            combined[name] = values[0]
        elif name == "luma_max_diff":
            combined[name] = max(values)
        else:
            combined[name] = sum(values) if "frames" in name else float(np.mean(values))
    return combined


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output}: cannot be made: {error.strerror or error}") from error


def _reset_peak() -> None:
    """Reset the peak of resident memory, on Linux."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return  # another system, or a container that forbids it


def _peak() -> int | None:
    """Peak of resident memory since `_reset_peak`, in bytes; None on other systems."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
