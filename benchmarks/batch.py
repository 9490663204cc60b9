"""What a batch costs beside the coloring itself.

    python benchmarks/batch.py scale [--films 1000] [--shots 200] [--workers 2] [-o benchmarks/results/batch_scale.json]
    python benchmarks/batch.py overhead FILM [--rounds 3] [-o benchmarks/results/batch_overhead.json]

`scale`: a synthetic archive whose colorizer does nothing: each shot is a shard, each shard a file of a few bytes
with its record (not synced, which is the colorizer's business). Driver, plans, worker processes, receipts and
status are the real ones. While it runs a second process asks for the status; at last the batch is run again, with
nothing left to do.

`overhead`: `colorize` in one go (output.resume=false), the same in shards, and `batch run` with one and two workers,
taking turns within a round; the medians are compared.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from videocolor.batch.inspection import Outlook
from videocolor.batch.jobs import read_jobs
from videocolor.batch.run import run_batch
from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import plan_path, state_folder
from videocolor.batch.status import batch_status
from videocolor.batch.steps import Steps
from videocolor.engines.base import open_engine
from videocolor.events import Event
from videocolor.files import write_atomically
from videocolor.presets import load_model
from videocolor.shards.merge import MergeReport
from videocolor.shards.plan import with_shards
from videocolor.shards.planfile import read_plan, write_plan
from videocolor.shards.records import discard_work, finished_shards, shard_path
from videocolor.shards.types import FilmJob, FilmPlan, PlannedShot, ShardRecord, Task, Tell

FRAMES = 120
"""Frames of a shot: five seconds."""


def noop(task: Task, tell: Tell) -> None:
    """What the workers do: a plan where it is asked for, else a file and a record for each shard."""
    job = FilmJob.from_dict(task.job)
    if task.job.get("stage") == "plan" or not plan_path(job).exists():
        shots = int(job.source.read_text())
        plan = FilmPlan(
            job.source,
            hashlib.sha256(job.name.encode()).hexdigest(),
            shots * FRAMES,
            Fraction(1, 24),
            tuple(PlannedShot(n, n * FRAMES, (n + 1) * FRAMES, n * FRAMES, (n + 1) * FRAMES - 1) for n in range(shots)),
            (),
        )
        plan = with_shards(plan, [(n * FRAMES, n * FRAMES) for n in range(shots)], shots * FRAMES)
        job.folder.mkdir(parents=True, exist_ok=True)
        write_plan(plan_path(job), plan)
        tell({"kind": "planned"})
        if task.job.get("stage") == "plan":
            return
    plan = read_plan(plan_path(job))
    wanted = range(len(plan.shards)) if task.shards is None else task.shards
    for number in wanted:
        shard, path = plan.shards[number], shard_path(job.folder, number)
        path.write_bytes(b"color")
        digest = hashlib.sha256(b"color").hexdigest()
        record = ShardRecord(
            number, shard.key, path.name, digest, 5, FRAMES, shard.start_pts, shard.end_pts - 1, 0.0, "noop"
        )
        path.with_suffix(".json").write_text(json.dumps(asdict(record)))
        tell({"kind": "shard", "record": asdict(record)})


def merge(job: FilmJob, observer: Any) -> MergeReport:
    """Look at every shard, as a merge does, and write a film of a few bytes."""
    plan = read_plan(plan_path(job))
    assert len(finished_shards(job, plan)) == len(plan.shards)
    write_atomically(job.target, "a film\n")
    return MergeReport(job.target, plan.frames, "0" * 64, 0.0, (), None)


def steps() -> Steps:
    """The steps of films that are not there."""
    return Steps(
        work="batch:noop",
        inspect=lambda job: Outlook(int(job.source.read_text()) * FRAMES, 1000),
        read_plan=read_plan,
        finished=finished_shards,
        merge=merge,
        finish=lambda job, report, config, sha256, stop: [],
        damage=lambda job, plan: None,
        recolor=lambda job, shots, reusing, observer: merge(job, observer),
        discard=discard_work,
        engine=open_engine,
    )


def ask(out: str, seconds: float, answers: Any) -> None:
    """Another process: how long does `status` take while the batch runs?"""
    found = []
    while not (state_folder(Path(out)) / "status.json").exists():
        time.sleep(0.2)
    began = time.monotonic()
    while time.monotonic() - began < seconds and os.getppid() > 1:
        start = time.perf_counter()
        try:
            status = batch_status(Path(out))
        except Exception as error:
            found.append({"error": str(error)})
            break
        lines = status.lines()
        found.append(
            {
                "seconds": round(time.perf_counter() - start, 4),
                "done": status.counts["done"],
                "lines": len(lines),
            }
        )
        answers.put(found[-1])
        if status.counts["done"] == len(status.films) and status.films:
            break
        time.sleep(2)


def memory() -> int:
    """Resident memory of this process now, MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 2**20


@click.group(help=__doc__)
def main() -> None:
    """See the module."""


@main.command()
@click.option("--films", default=1000, show_default=True)
@click.option("--shots", default=200, show_default=True)
@click.option("--workers", default=2, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path))
def scale(films: int, shots: int, workers: int, output: Path | None) -> None:
    """A synthetic archive whose colorizer does nothing."""
    with tempfile.TemporaryDirectory(prefix="videocolor-batch-") as name:
        folder, out = Path(name) / "in", Path(name) / "out"
        folder.mkdir()
        for number in range(films):
            (folder / f"reel{number:05d}.mkv").write_text(str(shots))
        config = load_model(
            BatchConfig, "batch", None, [f"engine.workers={workers}", "work.plan=ahead", "disk.reserve_gb=0"]
        )
        found: dict[str, Any] = {"films": films, "shots": shots, "workers": workers, "shards": films * shots}
        began = time.perf_counter()
        jobs = read_jobs(folder, out, config).jobs
        found["read_jobs_s"] = round(time.perf_counter() - began, 2)
        answers: Any = multiprocessing.Queue()
        asker = multiprocessing.Process(target=ask, args=(str(out), 3600.0, answers), daemon=True)
        asker.start()
        memories: list[tuple[int, int]] = []

        def watch(event: Event) -> None:
            if event.kind == "done":
                memories.append((len(memories) + 1, memory()))
                if len(memories) % max(1, films // 10) == 0:
                    print(f"{len(memories)} films, {memory()} MiB", file=sys.stderr)

        began, cpu = time.perf_counter(), time.process_time()
        result = run_batch(jobs, out, config, steps=steps(), observer=watch)
        assert result.ok and len(result.done) == films, result.failed[:3]
        found["run_s"] = round(time.perf_counter() - began, 1)
        found["driver_cpu_s"] = round(time.process_time() - cpu, 1)
        found["driver_cpu_ms_a_shard"] = round(1000 * found["driver_cpu_s"] / (films * shots), 3)
        found["memory_mib"] = {
            str(share): memories[max(0, films * share // 100 - 1)][1] for share in (10, 25, 50, 75, 100)
        }
        found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        asker.join(30)
        asked = []
        while not answers.empty():
            asked.append(answers.get())
        found["status_s"] = {
            "asked": len(asked),
            "median": statistics.median(a["seconds"] for a in asked),
            "max": max(a["seconds"] for a in asked),
        }
        files = [state_folder(out) / name for name in ("batch.json", "status.json")]
        found["batch_and_status_mib"] = round(sum(file.stat().st_size for file in files) / 2**20, 1)
        began = time.perf_counter()
        again = run_batch(jobs, out, config, steps=steps())
        assert again.ok and not any(film.made_now for film in again.films)
        found["nothing_to_do_s"] = round(time.perf_counter() - began, 2)
        say(found, output)


@main.command()
@click.argument("film", type=click.Path(path_type=Path, exists=True))
@click.option("--rounds", default=3, show_default=True)
@click.option("--set", "settings", multiple=True, help="Of `videocolor colorize`.")
@click.option("-o", "--output", type=click.Path(path_type=Path))
def overhead(film: Path, rounds: int, settings: tuple[str, ...], output: Path | None) -> None:
    """One film by `colorize` and by `batch run`; two copies of it with one worker and with two."""
    rows: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="videocolor-batch-") as name:
        folder = Path(name)
        for number, copies in (("one", 1), ("two", 2)):
            (folder / number).mkdir()
            for copy in range(copies):
                shutil.copy(film, folder / number / f"{'ab'[copy]}{film.suffix}")
        sets = [word for value in settings for word in ("--set", value)]
        one = [str(folder / "one" / f"a{film.suffix}"), str(folder / "straight.mkv"), "--overwrite"]
        commands = {
            "colorize, in one go": ["colorize", *one, "--set", "output.resume=false"],
            "colorize, in shards": ["colorize", *one],
            "batch, 1 film, 1 worker": ["batch", "run", str(folder / "one"), "--workers", "1"],
            "batch, 1 film, 1 worker, planned ahead": [
                *("batch", "run", str(folder / "one"), "--workers", "1", "--set", "work.plan=ahead")
            ],
            "batch, 2 films, 1 worker": ["batch", "run", str(folder / "two"), "--workers", "1"],
            "batch, 2 films, 2 workers": ["batch", "run", str(folder / "two"), "--workers", "2"],
        }
        for turn in range(rounds):
            for label, words in commands.items():
                out = folder / f"out{turn}"
                extra = ["-o", str(out)] if words[0] == "batch" else []
                began, before = time.perf_counter(), children_cpu()
                subprocess.run(
                    [sys.executable, "-m", "videocolor", *words, *extra, *sets, "-q"], check=True, capture_output=True
                )
                rows.setdefault(label, []).append(time.perf_counter() - began)
                cpu.setdefault(label, []).append(children_cpu() - before)
                print(f"round {turn + 1}: {label}: {rows[label][-1]:.1f} s", file=sys.stderr)
                shutil.rmtree(out, ignore_errors=True)
    cpu_medians = {label: round(statistics.median(times), 2) for label, times in cpu.items()}
    medians = {label: round(statistics.median(times), 2) for label, times in rows.items()}
    straight = medians["colorize, in one go"]
    say(
        {
            "film": film.name,
            "settings": list(settings),
            "rounds": rounds,
            "seconds": medians,
            "cpu_seconds": cpu_medians,
            "all": {label: [round(t, 2) for t in times] for label, times in rows.items()},
            "against_one_go": {label: round(medians[label] / straight, 3) for label in list(medians)[1:4]},
            "cpu_against_one_go": {
                label: round(cpu_medians[label] / cpu_medians["colorize, in one go"], 3) for label in list(medians)[1:4]
            },
            "two_workers_against_one": round(
                medians["batch, 2 films, 1 worker"] / medians["batch, 2 films, 2 workers"], 3
            ),
        },
        output,
    )


def children_cpu() -> float:
    """CPU seconds of the processes that have ended, and of theirs: what a busy machine does not lengthen."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def say(found: dict[str, Any], output: Path | None) -> None:
    """Print, and write where asked."""
    found = {"machine": {"cores": os.cpu_count(), "python": platform.python_version()}, **found}
    text = json.dumps(found, indent=1) + "\n"
    print(text, end="")
    if output is not None:
        output.write_text(text)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
