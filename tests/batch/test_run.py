"""The driver: films out, events in, resume from facts, retries, failures that stay with their film."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from batch import fakes

from videocolor.batch.amend import repair_films
from videocolor.batch.finish import merge_one
from videocolor.batch.jobs import read_jobs
from videocolor.batch.lock import DriverLock
from videocolor.batch.receipts import read_receipt
from videocolor.batch.run import BatchResult, failed_jobs, run_batch
from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import give_up
from videocolor.batch.status import batch_status
from videocolor.batch.steps import Batch, Steps
from videocolor.batch.verify import verify_batch
from videocolor.errors import InputError, Interrupted, OutputError, UsageError
from videocolor.events import Event
from videocolor.presets import load_model

QUICK = ["work.backoff_seconds=0", "disk.reserve_gb=0"]


def run(
    folder: Path,
    *settings: str,
    films: tuple[str, ...] = (),
    steps: Steps | None = None,
    events: list[Event] | None = None,
    **more: Any,
) -> BatchResult:
    """Run the reels of folder/in into folder/out."""
    config = load_model(BatchConfig, "batch", None, [*QUICK, *settings])
    jobs = read_jobs(folder / "in", folder / "out", config, films).jobs
    heard = [] if events is None else events
    return run_batch(jobs, folder / "out", config, steps=steps or fakes.fake_steps(), observer=heard.append, **more)


def result(folder: Path, name: str) -> Path:
    return folder / "out" / f"{name}_colorized.mkv"


def rows(folder: Path) -> dict[str, Any]:
    return {row.name: row for row in batch_status(folder / "out").films}


@pytest.mark.parametrize("settings", [(), ("engine.workers=3",), ("work.plan=ahead",), ("work.shards_per_task=1",)])
def test_films_come_out_whole(settings: tuple[str, ...], tmp_path: Path) -> None:
    reels = [fakes.reel(tmp_path / "in" / name, range(1, n)) for name, n in (("a.mkv", 4), ("b.mp4", 9), ("c.mov", 2))]
    done = run(tmp_path, *settings)
    assert done.ok and len(done.done) == 3 and all(film.made_now for film in done.films)
    for path in reels:
        assert result(tmp_path, path.stem).read_text() == fakes.expected(path)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        ".videocolor",
        *(f"{p.stem}_colorized.mkv" for p in reels),
        "manifest-sha256.txt",
    ]
    assert not list((tmp_path / "out/.videocolor/shards").iterdir()), "shards of finished films are removed"
    assert {row.state for row in rows(tmp_path).values()} == {"done"}
    row = rows(tmp_path)["b"]
    assert (row.shards, row.shards_done, row.frames, row.frames_done, row.seconds) == (4, 4, 36, 36, 1.0)


def test_nothing_is_done_twice(tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in/a.mkv")
    run(tmp_path)
    before = result(tmp_path, "a").stat()
    again = run(tmp_path, steps=fakes.fake_steps(_no_engine))
    assert again.ok and not again.films[0].made_now
    assert result(tmp_path, "a").stat() == before


def _no_engine(*_: Any) -> Any:
    raise AssertionError("an engine was started")


def test_shards_that_lie_there_are_taken_as_they_are(tmp_path: Path) -> None:
    path = fakes.reel(tmp_path / "in/a.mkv", [3] * 10, trouble={"shard": 3, "kind": "broken"})
    first = run(tmp_path)
    assert [film.error for film in first.failed] == [f"{path}: broken"]
    shards = tmp_path / "out/.videocolor/shards/a"
    kept = {file.name: file.stat().st_mtime_ns for file in shards.glob("*.txt")}
    assert sorted(kept) == ["0000.txt", "0001.txt", "0002.txt"]
    (shards / "0001.txt").write_text("damaged since")
    fakes.trouble_file(path).write_text("1000000")  # it is well now
    assert run(tmp_path, films=("output.keep_shards=true",), retry=True).ok
    now = {file.name: file.stat().st_mtime_ns for file in shards.glob("*.txt")}
    assert [name for name in kept if kept[name] != now[name]] == ["0001.txt"]
    assert result(tmp_path, "a").read_text() == fakes.expected(path)


@pytest.mark.parametrize(
    ("kind", "times", "ok"), [("lost", 2, True), ("lost", 3, False), ("os", 1, True), ("os", 3, False)]
)
def test_what_may_pass_is_tried_again(kind: str, times: int, ok: bool, tmp_path: Path) -> None:
    path = fakes.reel(tmp_path / "in/a.mkv", trouble={"shard": 1, "kind": kind, "times": times})
    other = fakes.reel(tmp_path / "in/b.mkv")
    done = run(tmp_path, "work.retries=2")
    assert result(tmp_path, "b").read_text() == fakes.expected(other)
    assert done.ok is ok
    if ok:
        assert result(tmp_path, "a").read_text() == fakes.expected(path)
        return
    assert not result(tmp_path, "a").exists()
    assert "attempt 3 of 3" in str(done.failed[0].error)
    row = rows(tmp_path)["a"]
    assert (row.state, row.shards_done, row.shards) == ("failed", 1, 2) and row.error == done.failed[0].error
    log = (tmp_path / "out/.videocolor/logs/a.log").read_text()
    assert log.count("attempt") >= 3 and str(done.failed[0].error) in log


def test_what_cannot_be_mended_is_not_tried_again(tmp_path: Path) -> None:
    path = fakes.reel(tmp_path / "in/a.mkv", trouble={"shard": 0, "kind": "nothing there"})
    done = run(tmp_path, "work.retries=5")
    assert "nothing there" in str(done.failed[0].error)
    assert fakes.trouble_file(path).read_text() == "1"


def test_a_bad_reel_is_named_and_the_others_are_whole(tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in/a.mkv", refused="is encrypted")
    (tmp_path / "in/b.mkv").write_text("no reel")
    good = fakes.reel(tmp_path / "in/c.mkv")
    events: list[Event] = []
    done = run(tmp_path, events=events)
    assert [film.name for film in done.failed] == ["a", "b"]
    assert result(tmp_path, "c").read_text() == fakes.expected(good)
    said = [event.data["message"] for event in events if event.kind == "warning"]
    assert any("a: failed" in text and "is encrypted" in text for text in said)
    assert rows(tmp_path)["b"].error and "is no reel" in rows(tmp_path)["b"].error


def test_priority_then_length(tmp_path: Path) -> None:
    for name, frames in (("short", 2), ("long", 50), ("middle", 9)):
        fakes.reel(tmp_path / "in" / f"{name}.mkv", [frames])
    fakes.reel(tmp_path / "in/urgent.mkv", [1])
    order: list[str] = []
    (tmp_path / "jobs.csv").write_text(
        "film,priority\n"
        + "".join(f"in/{n}.mkv,{5 if n == 'urgent' else 0}\n" for n in ("short", "long", "middle", "urgent"))
    )
    config = load_model(BatchConfig, "batch", None, QUICK)
    jobs = read_jobs(tmp_path / "jobs.csv", tmp_path / "out", config).jobs

    def watch(event: Event) -> None:
        if event.kind == "done":
            order.append(event.data["film"])

    run_batch(jobs, tmp_path / "out", config, steps=fakes.fake_steps(), observer=watch)
    assert order == ["urgent", "long", "middle", "short"]


def test_only_plans(tmp_path: Path) -> None:
    path = fakes.reel(tmp_path / "in/a.mkv")
    done = run(tmp_path, only="plan")
    assert [film.state for film in done.films] == ["planned"]
    plan = tmp_path / "out/.videocolor/shards/a/plan.yaml"
    assert plan.exists() and not result(tmp_path, "a").exists()
    edited = json.loads(plan.read_text())
    edited["shards"][0]["key"] = "edited"
    plan.write_text(json.dumps(edited))
    run(tmp_path, films=("output.keep_shards=true",))
    assert json.loads(plan.read_text())["shards"][0]["key"] == "edited", "what a person wrote is used"
    assert result(tmp_path, "a").read_text() == fakes.expected(path)


def test_only_merges(tmp_path: Path) -> None:
    a = fakes.reel(tmp_path / "in/a.mkv")
    fakes.reel(tmp_path / "in/b.mkv")

    def refuse(job: Any, _: Any) -> Any:
        raise OutputError(f"{job.target}: no space")

    assert not run(tmp_path, steps=fakes.fake_steps(merge=refuse)).ok
    (tmp_path / "out/.videocolor/shards/b/0001.json").unlink()
    done = run(tmp_path, only="merge", steps=fakes.fake_steps(_no_engine))
    assert [(film.name, film.state) for film in done.films] == [("a", "done"), ("b", "planned")]
    assert result(tmp_path, "a").read_text() == fakes.expected(a)


def test_other_settings_make_no_mixture(tmp_path: Path) -> None:
    path = fakes.reel(tmp_path / "in/a.mkv", [4] * 6, trouble={"shard": 2, "kind": "broken", "times": 1})
    assert not run(tmp_path).ok
    assert run(tmp_path, films=("chroma.saturation=0.5",)).ok
    assert result(tmp_path, "a").read_text() == fakes.expected(path, 0.5)
    third = run(tmp_path)
    assert "made with other settings" in str(third.failed[0].error), "a finished film is not replaced silently"
    assert result(tmp_path, "a").read_text() == fakes.expected(path, 0.5)
    assert run(tmp_path, films=("output.overwrite=true",)).ok
    assert result(tmp_path, "a").read_text() == fakes.expected(path)


def test_strangers_are_not_overwritten(tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in/a.mkv")
    (tmp_path / "out").mkdir()
    result(tmp_path, "a").write_text("somebody's")
    done = run(tmp_path)
    assert "exists already" in str(done.failed[0].error)
    assert result(tmp_path, "a").read_text() == "somebody's"


def test_restart_forgets_unfinished_work_only(tmp_path: Path) -> None:
    a = fakes.reel(tmp_path / "in/a.mkv")
    b = fakes.reel(tmp_path / "in/b.mkv", trouble={"shard": 1, "kind": "lost", "times": 3})
    run(tmp_path)
    finished = result(tmp_path, "a").stat()
    shard = tmp_path / "out/.videocolor/shards/b/0000.txt"
    shard.with_name("stray").write_text("")
    fakes.reel(b)
    run(tmp_path, films=("output.keep_shards=true",), restart=True)
    assert not shard.with_name("stray").exists()
    assert result(tmp_path, "a").stat() == finished
    assert result(tmp_path, "b").read_text() == fakes.expected(b)
    again = run(tmp_path, films=("output.overwrite=true",), restart=True)
    assert all(film.made_now for film in again.films) and result(tmp_path, "a").read_text() == fakes.expected(a)


def test_a_merge_that_was_killed_after_its_rename(tmp_path: Path) -> None:
    """The film is there, its receipt is not: it is recognized as the batch's own and made again."""
    path = fakes.reel(tmp_path / "in/a.mkv")
    config = load_model(BatchConfig, "batch", None, QUICK)
    jobs = read_jobs(tmp_path / "in", tmp_path / "out", config).jobs

    def refuse(*_: Any) -> Any:
        raise OutputError("later")

    def killed(*_: Any) -> Any:
        raise KeyboardInterrupt

    run_batch(jobs, tmp_path / "out", config, steps=fakes.fake_steps(merge=refuse))
    with pytest.raises(KeyboardInterrupt):
        merge_one(jobs[0], Batch(tmp_path / "out", config, fakes.fake_steps(finish=killed)), seconds=1.0)
    assert result(tmp_path, "a").exists() and read_receipt(tmp_path / "out", "a") is None
    assert run(tmp_path).ok
    assert result(tmp_path, "a").read_text() == fakes.expected(path)


def test_a_shard_that_is_damaged_before_the_merge_is_colored_again(tmp_path: Path) -> None:
    path = fakes.reel(tmp_path / "in/a.mkv", [2] * 8)
    merges: list[str] = []

    def merge(job: Any, observer: Any) -> Any:
        if not merges:
            (job.folder / "0002.txt").write_text("flipped bits")
        merges.append(job.name)
        if len(fakes.finished(job, fakes.read_plan(job.folder / "plan.yaml"))) < 4:
            raise InputError("shard 3 is damaged")
        return fakes.merge(job, observer)

    assert run(tmp_path, steps=fakes.fake_steps(merge=merge)).ok
    assert len(merges) == 2 and result(tmp_path, "a").read_text() == fakes.expected(path)


def test_a_driver_at_a_time(tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in/a.mkv")
    with (
        DriverLock(tmp_path / "out/.videocolor"),
        pytest.raises(UsageError, match=r"process \d+ on .* is working on it"),
    ):
        run(tmp_path)
    assert run(tmp_path).ok


@pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt(), 130), (Interrupted("x", 143), 143)])
def test_stopped(raised: BaseException, code: int, tmp_path: Path) -> None:
    path = fakes.reel(tmp_path / "in/a.mkv", [2] * 12)

    class Stopped(fakes.InlineEngine):
        def _collect(self, timeout: float) -> Any:
            yield from super()._collect(timeout)
            if len(self.tasks) == 2:
                raise raised

    with pytest.raises(Interrupted) as caught:
        run(tmp_path, "work.shards_per_task=1", "work.plan=ahead", steps=fakes.fake_steps(Stopped))
    assert caught.value.exit_code == code
    assert rows(tmp_path)["a"].state == "planned"
    assert run(tmp_path).ok
    assert result(tmp_path, "a").read_text() == fakes.expected(path)


def test_disk_space(tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in/a.mkv", bytes=10**17)
    with pytest.raises(OutputError, match=r"needs about .* TB and 0\.00 GB in reserve .* are free"):
        run(tmp_path)
    assert run(tmp_path, "disk.check=false").ok


def test_disk_space_of_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("bagit")
    fakes.reel(tmp_path / "in/a.mkv", bytes=10**9)
    monkeypatch.setattr("videocolor.batch.inspection.free_bytes", lambda _: 25 * 10**8)
    with pytest.raises(OutputError, match=r"needs about 3\.00 GB"):
        run(tmp_path, "archive.bag=true", "archive.bag_tar=true")
    assert run(tmp_path).ok


def _no_space(*_: Any) -> None:
    raise OutputError("status.json: cannot be written")


def test_a_full_disk_ends_the_run_and_the_next_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fakes.reel(tmp_path / "in/a.mkv", trouble={"shard": 1, "kind": "os", "times": 2})
    monkeypatch.setattr("videocolor.batch.driver.free_bytes", lambda _: 1000)
    with pytest.raises(OutputError, match="the disk is full"):
        run(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("videocolor.batch.reporting.Reporter.end", _no_space)
        with pytest.raises(OutputError, match="the disk is full"):  # the first error is raised
            run(tmp_path)
    assert rows(tmp_path)["a"].state == "planned"
    monkeypatch.undo()
    assert run(tmp_path).ok and result(tmp_path, "a").read_text() == fakes.expected(path)


def test_workers_that_are_processes(tmp_path: Path) -> None:
    """The real engine: a worker kills itself in the middle of a film."""
    path = fakes.reel(tmp_path / "in/a.mkv", [2] * 8, trouble={"shard": 1, "kind": "lost", "times": 1})
    other = fakes.reel(tmp_path / "in/b.mkv", [2] * 8)
    done = run(tmp_path, "engine.workers=2", steps=fakes.process_steps())
    assert done.ok, done.failed
    assert result(tmp_path, "a").read_text() == fakes.expected(path)
    assert result(tmp_path, "b").read_text() == fakes.expected(other)
    assert "SIGKILL" in (tmp_path / "out/.videocolor/logs/a.log").read_text()


def test_a_film_that_failed_for_good_is_not_tried_every_night(tmp_path: Path) -> None:
    path = fakes.reel(tmp_path / "in/a.mkv", trouble={"shard": 0, "kind": "nothing there"})
    fakes.reel(tmp_path / "in/b.mkv")
    run(tmp_path)
    again = run(tmp_path)
    assert "unchanged since it failed" in str(again.failed[0].error)
    assert fakes.trouble_file(path).read_text() == "1"
    run(tmp_path, films=("chroma.saturation=0.5", "output.overwrite=true"))
    assert fakes.trouble_file(path).read_text() == "2", "other settings are tried"
    give_up(tmp_path / "out", "a", "nitrate decay")
    last = run(tmp_path)
    assert last.films[0].state == "given up" and "nitrate decay" in str(last.films[0].error)
    assert rows(tmp_path)["a"].state == "given up"
    assert [job.name for job in failed_jobs(tmp_path / "out")] == ["b"]
    assert len(failed_jobs(tmp_path / "out", ["a"])) == 1
    run(tmp_path, retry=True)
    assert fakes.trouble_file(path).read_text() == "3" and rows(tmp_path)["a"].state == "failed"


def test_a_batch_goes_on_where_its_folder_is_now(tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in" / "a.mkv")
    fakes.reel(tmp_path / "in" / "b.mkv", refused="no film")
    assert not run(tmp_path).ok
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    fakes.reel(tmp_path / "in" / "b.mkv")
    out = tmp_path / "elsewhere"
    assert {film.target.parent for film in batch_status(out).films} == {out}
    assert run_batch(failed_jobs(out), out, None, steps=fakes.fake_steps(), others=True, retry=True).ok
    assert (out / "b_colorized.mkv").is_file() and not (tmp_path / "out").exists()


def test_a_film_that_repair_gives_up_is_colored_again(tmp_path: Path) -> None:
    path = fakes.reel(tmp_path / "in" / "a.mkv")
    assert run(tmp_path).ok
    result(tmp_path, "a").write_text("damaged")
    assert "colors it again" in repair_films(tmp_path / "out")["a"]
    done = run(tmp_path)
    assert done.ok, done.failed
    assert result(tmp_path, "a").read_text() == fakes.expected(path)
    assert not verify_batch(tmp_path / "out", decode=False)[-1].problems
