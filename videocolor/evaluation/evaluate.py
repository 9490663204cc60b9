"""Methods on clips under a protocol: the work, in parallel processes, resumable.

    evaluation = evaluate(Path("clips"), Path("out"), EvaluateConfig())
    write_evaluation(evaluation)                 # table.md, table.json, index.html, costs.json

Each (clip, method) is kept in the output folder as soon as it is done, under a key of everything that it depends on:
the clip's and the hint's sha256, protocol, settings, weights, and the code that makes it.
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

import cv2
import numpy as np

from videocolor.concurrency.processes import Crew
from videocolor.concurrency.stages import opencv_single_threaded
from videocolor.errors import DeviceError, OutputError, UsageError
from videocolor.evaluation.clips import ClipFile, list_clips
from videocolor.evaluation.methods import MethodSpec, Results, build_method, parse_methods
from videocolor.evaluation.protocols import Case, Unit, deal, plan_units
from videocolor.evaluation.rows import TRUTH, Row, Store, code_digest, digest
from videocolor.evaluation.scoring import FilmScorer
from videocolor.evaluation.settings import EvaluateConfig
from videocolor.evaluation.tasks import Method, luma_codes
from videocolor.events import Event, Observer, ignore
from videocolor.types import Array
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
    """Methods that this protocol has no use for, and why."""
    identities: dict[str, dict[str, Any]]
    """What each method was."""


@dataclass(frozen=True)
class _Job:
    """One unit, with the methods that are not done yet."""

    unit: Unit
    config: EvaluateConfig
    todo: tuple[tuple[MethodSpec | None, str], ...]
    """(method, key); None is the truth."""
    output: Path


def evaluate(
    clips: Path,
    output: Path,
    config: EvaluateConfig | None = None,
    *,
    workers: int = 1,
    fresh: bool = False,
    observer: Observer = ignore,
) -> Evaluation:
    """Score methods on clips.

    Args:
        clips: a folder of videos with their true colours.
        output: a folder for rows, stills and tables; one that holds an earlier run's is taken up.
        config: see `EvaluateConfig`.
        workers: processes; the result does not depend on it.
        fresh: do everything again, whatever is done.
        observer: hears of progress, in units x methods.

    Raises:
        UsageError, ConfigError: methods, protocol and clips do not go together.
        InputError: a clip, hint or result is missing, unreadable or of another length.
        OutputError: the output folder cannot be written.
        DeviceError: a worker process was killed.
    """
    config = config or EvaluateConfig()
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


def _useful(specs: Sequence[MethodSpec], config: EvaluateConfig) -> tuple[list[MethodSpec], tuple[str, ...]]:
    """Without hints, methods that live by them are gray: they are left out, and said to be."""
    if config.protocol.name != "auto":
        return list(specs), ()
    from videocolor.evaluation.baselines import BASELINES

    idle = [spec.label for spec in specs if spec.kind in BASELINES and BASELINES[spec.kind].needs_hint]
    left = [spec for spec in specs if spec.label not in idle]
    if not left:
        raise UsageError(f"protocol auto gives no hints, and {', '.join(idle)} need one; name other methods")
    return left, tuple(f"{label}: needs a hint" for label in idle)


def _unused(clips: Sequence[ClipFile], units: Sequence[Unit]) -> tuple[str, ...]:
    """Clips that are in no unit."""
    used = {clip.name for unit in units for clip in unit.clips}
    return tuple(f"clip {clip.name}: in no film or pair" for clip in clips if clip.name not in used)


def _made_by(specs: Sequence[MethodSpec], units: Sequence[Unit], config: EvaluateConfig) -> dict[tuple[str, str], Any]:
    """Identity of each method, by (label, ""), and the files of others' results, by (label, unit).

    Each method is built once and let go; so what cannot be built or found is said before the work begins.
    """
    made: dict[tuple[str, str], Any] = {}
    for spec in specs:
        method = build_method(spec, config.network)
        made[spec.label, ""] = method.identity()
        if isinstance(method, Results):
            made.update({(spec.label, unit.name): method.fingerprint(unit.name) for unit in units})
    return made


def _key(unit: Unit, config: EvaluateConfig, spec: MethodSpec | None, made: dict[tuple[str, str], Any]) -> str:
    """Of everything that a unit's rows by a method depend on; `spec` None: the truth's."""
    settings = config.model_dump(mode="json", include={"clips", "protocol", "scores"})
    settings["clips"] = {k: v for k, v in settings["clips"].items() if k not in ("listed", "most")}
    settings["protocol"].pop("pairs")
    value = {
        "version": __version__,
        "code": code_digest(whole=spec is not None and spec.kind in ("network", "videocolor")),
        "clips": [clip.sha256 for clip in unit.clips],
        "names": [unit.name, *(clip.name for clip in unit.clips)],
        "hint": [unit.hint_sha256, unit.hint_at],
        "settings": settings,
        "seed": config.page.seed,
        "stills": config.page.stills,
        "method": TRUTH if spec is None else made[spec.label, ""],
        "files": None if spec is None else made.get((spec.label, unit.name)),
    }
    return digest(value)


def _work(jobs: Sequence[_Job], workers: int, observer: Observer) -> Iterator[list[Row]]:
    """Rows of one method on one unit at a time, as they are done."""
    total = sum(len(job.todo) for job in jobs)
    done, began = 0, time.monotonic()

    def told(rows: list[Row]) -> list[Row]:
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
                yield told(rows)
        return
    with _pool(min(workers, len(jobs))) as pool:
        waiting: set[Future[list[list[Row]]]] = {pool.submit(_run_all, job) for job in jobs}
        while waiting:
            ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ready:
                for rows in future.result():
                    yield told(rows)


@contextmanager
def _pool(workers: int) -> Iterator[Crew]:
    """Processes that do not outlive the block, however it ends."""
    try:
        with Crew(workers) as pool:
            yield pool
    except BrokenProcessPool as error:
        raise DeviceError(
            "a worker process was ended from outside, perhaps for want of memory; what is done is kept: run the "
            "command again with fewer --workers"
        ) from error


def _run_all(job: _Job) -> list[list[Row]]:
    return list(_run(job))


def _run(job: _Job) -> Iterator[list[Row]]:
    """Score what is left of a unit; each method's rows are stored before the next begins."""
    store, config = Store(job.output), job.config
    with tempfile.TemporaryDirectory(prefix="videocolor-") as name, opencv_single_threaded():
        cases = list(deal(job.unit, config, Path(name)))
        for spec, key in job.todo:
            method = None if spec is None else build_method(spec, config.network)
            label = TRUTH if spec is None else spec.label
            mine = _cases_for(method, cases)
            rows = [_score(case, method, label, key, store, config) for case in mine]
            store.write(job.unit.name, label, key, rows)
            yield rows


def _cases_for(method: Method | None, cases: Sequence[Case]) -> list[Case]:
    """The truth, and who looks at no hint, are the same in every case; who needs one is gray film without."""
    if method is None or not method.uses_hints:
        return [replace(cases[0], name="")]
    return [case for case in cases if case.hints or not method.needs_hint] or list(cases[:1])


def _score(case: Case, method: Method | None, label: str, key: str, store: Store, config: EvaluateConfig) -> Row:
    """Run a method on a case and score its frames as they come."""
    clip, task = case.clip, case.task()
    chosen = still_frames(len(clip.truth), case.references, config.page.stills)
    files: list[str] = []
    bounds = [*clip.shots, len(clip.truth)]
    scorers = [FilmScorer(config.scores) for _ in clip.shots]
    made = iter(clip.truth) if method is None else method.color(task)
    _forget_peak()
    seconds, shot, luma_error = 0.0, 0, 0
    for index in range(len(clip.truth)):
        began = time.perf_counter()
        try:
            frame = next(made)
        except StopIteration:
            raise RuntimeError(f"{label} yielded {index} of the {len(clip.truth)} frames of {clip.name}") from None
        seconds += time.perf_counter() - began
        shot += index >= bounds[shot + 1]
        error = luma_codes(frame, clip.matrix).astype(np.int16) - clip.luma[index]
        luma_error = max(luma_error, int(np.abs(error).max()))
        scorers[shot].add(clip.truth[index], frame, reference=index in case.references)
        if index in chosen:
            files.append(_keep(frame, store.still(clip.name, label, key, case.name, index), store.folder))
    began = time.perf_counter()
    if method is not None and next(made, None) is not None:
        raise RuntimeError(f"{label} yielded more than the {len(clip.truth)} frames of {clip.name}")
    seconds += time.perf_counter() - began
    scores = combine([scorer.result().as_dict() for scorer in scorers])
    scores["luma_code_diff"] = luma_error
    about = {**clip.about, "references": sorted(case.references), "hints": len(case.hints)}
    return Row(
        clip.name,
        case.name,
        label,
        scores,
        tuple(files),
        chosen,
        about,
        tuple(dict.fromkeys(task.notes)),
        round(seconds, 4),
        _peak(),
    )


def still_frames(count: int, references: frozenset[int], most: int) -> tuple[int, ...]:
    """At most `most` frames, evenly spread, none of them a reference unless there is nothing else."""
    open_ = [index for index in range(count) if index not in references] or list(range(count))
    return tuple(dict.fromkeys(open_[(2 * n + 1) * len(open_) // (2 * most)] for n in range(most)))


def combine(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Scores of a film of several shots: sums of counts, the largest luma difference, means of all else.

    A score that a shot does not have is left out of the mean; None where no shot has it.
    """
    if len(parts) == 1:
        return dict(parts[0])
    whole: dict[str, Any] = {}
    for name in parts[0]:
        values = [part[name] for part in parts if part.get(name) is not None]
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        if not values:
            whole[name] = None
        elif not numbers:
            whole[name] = values[0]
        elif name == "luma_max_diff":
            whole[name] = max(values)
        else:
            whole[name] = sum(values) if "frames" in name else float(np.mean(values))
    return whole


def _keep(frame: Array, path: Path, root: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(".png", np.ascontiguousarray(frame[..., ::-1]))
    if not done:
        raise OutputError(f"{path}: this frame cannot be written as PNG")
    path.write_bytes(data.tobytes())
    return path.relative_to(root).as_posix()


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output}: cannot be made: {error.strerror or error}") from error


def _forget_peak() -> None:
    """Let Linux count the largest resident memory anew."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return  # another system, or a container that forbids it: `_peak` says so


def _peak() -> int | None:
    """Largest resident memory since `_forget_peak`, in bytes; None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
