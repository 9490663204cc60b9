"""Runs that nobody watches: hours, pauses, other workers, hooks, heartbeat, log."""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from batch import fakes
from click.testing import CliRunner
from media import make_film

from videocolor.batch import gate as gates
from videocolor.batch.forecast import forecast_batch
from videocolor.batch.gate import Gate, pause, paused, resume, set_workers
from videocolor.batch.jobs import read_jobs
from videocolor.batch.lock import DriverLock
from videocolor.batch.run import BatchResult, failed_jobs, run_batch
from videocolor.batch.settings import BatchConfig, Hours, RunSettings
from videocolor.batch.state import give_up, state_folder
from videocolor.batch.status import batch_status
from videocolor.batch.watch import batch_log, call_hooks
from videocolor.cli import cli
from videocolor.engines.settings import EngineSettings
from videocolor.engines.worker import DRAIN, perform
from videocolor.errors import ConfigError, OutputError, UsageError
from videocolor.events import Event
from videocolor.presets import load_model
from videocolor.record import write_sidecar
from videocolor.shards.types import Task


def config(*settings: str) -> BatchConfig:
    return load_model(BatchConfig, "batch", None, ["work.backoff_seconds=0", "disk.reserve_gb=0", *settings])


def run(
    folder: Path, *settings: str, engine: Any = fakes.InlineEngine, heard: list[Event] | None = None
) -> BatchResult:
    made = config(*settings)
    jobs = read_jobs(folder / "in", folder / "out", made).jobs
    steps = fakes.fake_steps(engine)
    return run_batch(jobs, folder / "out", made, steps=steps, observer=([] if heard is None else heard).append)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "_LOOK", 0.0)
    monkeypatch.setattr("videocolor.batch.driver._TURN", 0.02)


@pytest.mark.parametrize(
    ("text", "moment", "hours"),
    [
        ("20:00-06:00", "2026-11-30 19:00", 1),
        ("20:00-06:00", "2026-11-30 23:59", 0),
        ("20:00-06:00", "2026-11-30 05:59", 0),  # begun on Sunday
        ("20:00-06:00", "2026-11-30 06:00", 14),
        ("mon-fri 20:00-06:00, sat-sun", "2026-12-05 05:00", 0),
        ("mon-fri 20:00-06:00, sat-sun", "2026-12-06 23:59", 0),
        ("mon-fri 20:00-06:00, sat-sun", "2026-11-30 00:00", 20),
        ("sun", "2026-11-30 00:00", 6 * 24),
        ("00:00-24:00", "2026-11-30 12:00", 0),
        ("sat-mon 08:30-09:00", "2026-11-30 08:45", 0),
    ],
)
def test_hours(text: str, moment: str, hours: float) -> None:
    assert Hours.parse(text).opens_in(datetime.fromisoformat(moment)) == hours * 3600


def test_hours_as_a_share_of_the_week() -> None:
    assert Hours.parse("20:00-06:00").share == pytest.approx(10 / 24)
    assert Hours.parse("mon-fri 20:00-06:00, sat-sun").share == pytest.approx((5 * 10 + 48 - 6) / 168)


@pytest.mark.parametrize("text", ["25:00-06:00", "20-06", "", "mon-xyz", "20:00-06:00,", "20:70-21:00"])
def test_hours_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ConfigError, match="hours"):
        config(f"run.hours={json.dumps(text)}")


def test_a_pause_drains_and_stays(tmp_path: Path, quick: None) -> None:
    folder = state_folder(tmp_path)
    gate = Gate(folder, RunSettings(drain_seconds=0), EngineSettings())
    assert gate.open() and gate.closed() is None
    pause(folder, "the scanner needs the disk")
    assert not gate.open() and (folder / DRAIN).exists() and gate.overdue
    assert "the scanner needs the disk" in str(paused(folder))
    again = Gate(folder, RunSettings(), EngineSettings())
    assert not (folder / DRAIN).exists() and again.closed() is not None, "a pause outlives its driver, a drain does not"
    resume(folder)
    assert again.open() and again.closed() is None
    with pytest.raises(UsageError, match="is not paused"):
        resume(folder)


def test_other_workers_from_the_next_shard_on(tmp_path: Path, quick: None) -> None:
    folder = state_folder(tmp_path)
    gate = Gate(folder, RunSettings(), EngineSettings(workers=3))
    assert gate.engine_settings().workers == 3 and gate.open()
    set_workers(folder, 5)
    assert not gate.open() and gate.closed() is None
    assert gate.engine_settings().workers == 5 and gate.open()
    assert Gate(folder, RunSettings(), EngineSettings(workers=3)).engine_settings().workers == 3, "for one run only"


class Pausing(fakes.InlineEngine):
    """Pauses the batch at each task but the first, resumes it when it is started again."""

    opened = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        type(self).opened += 1

    def _collect(self, timeout: float) -> Any:
        if self.tasks:
            folder = Path(self.tasks[0].job["folder"]).parent.parent
            pause(folder, "")
            threading.Timer(0.05, (folder / "pause.json").unlink, [True]).start()
            return ()
        return super()._collect(timeout)


def test_a_run_that_is_paused_goes_on(tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    reel = fakes.reel(tmp_path / "in/a.mkv", [2] * 8)
    monkeypatch.setattr(Pausing, "opened", 0)
    heard: list[Event] = []
    settings = (
        "work.shards_per_task=1",
        "work.plan=ahead",
        "run.drain_seconds=0",
        "work.retries=0",
    )
    done = run(tmp_path, *settings, engine=Pausing, heard=heard)
    assert done.ok and (tmp_path / "out/a_colorized.mkv").read_text() == fakes.expected(reel)
    notes = [event.data["message"] for event in heard if event.kind == "note"]
    assert Pausing.opened >= 3 and "work goes on" in notes and any("paused since" in note for note in notes)
    assert (
        not (tmp_path / "out/.videocolor" / DRAIN).exists() and not (tmp_path / "out/.videocolor/pause.json").exists()
    )


def test_a_worker_ends_between_two_shards(tmp_path: Path) -> None:
    """It finishes the shard that it is at, and the driver gives the rest to the next one."""
    sent: list[dict[str, Any]] = []
    task = Task("t", {"folder": str(tmp_path / "shards/a")}, (0, 1))

    def work(_: Task, tell: Any) -> None:
        for shard in range(2):
            tell({"kind": "progress", "frames": shard})
            (tmp_path / DRAIN).touch()
            tell({"kind": "progress", "frames": shard})
            tell({"kind": "shard", "record": {}})

    perform(work, task, sent.append)
    assert [message["kind"] for message in sent] == ["progress", "progress", "shard", "progress", "failed"]
    assert sent[-1]["type"] == "Drained"
    sent.clear()
    perform(work, task, sent.append)
    assert [message["kind"] for message in sent] == ["progress", "failed"]


def test_outside_its_hours_a_run_waits(tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes.reel(tmp_path / "in/a.mkv")
    waits = iter([3600.0, 3600.0])
    monkeypatch.setattr(Hours, "opens_in", lambda *_: next(waits, 0.0))
    heard: list[Event] = []
    assert run(tmp_path, "run.hours=20:00-06:00", heard=heard).ok
    assert any("waits for run.hours, until " in str(event.data.get("message")) for event in heard)


def test_pausing_by_command(tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in/a.mkv")
    run(tmp_path)
    out = str(tmp_path / "out")
    assert CliRunner().invoke(cli, ["batch", "pause", out, "--reason", "tea"]).exit_code == 0
    status = batch_status(tmp_path / "out")
    assert "tea" in str(status.waiting) and "tea" in status.lines()[1] and "tea" in status.as_dict()["waiting"]
    assert CliRunner().invoke(cli, ["batch", "resume", out]).exit_code == 0
    assert CliRunner().invoke(cli, ["batch", "resume", out]).exit_code == 2
    assert "no process works on it" in CliRunner().invoke(cli, ["batch", "workers", out, "2"]).output
    assert "1..4096" in CliRunner().invoke(cli, ["batch", "workers", out, "many"]).output
    assert "no batch was run here" in CliRunner().invoke(cli, ["batch", "pause", str(tmp_path)]).output


# ---- who hears of it ------------------------------------------------------------------------------------------------


def test_a_hook_hears_how_a_run_ended(tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in/a.mkv")
    fakes.reel(tmp_path / "in/b.mkv", trouble={"shard": 0, "kind": "torn"})
    program = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read())"
    words = [sys.executable, "-c", program, str(tmp_path / "heard $HOME;x")]
    assert not run(tmp_path, f"run.hook={json.dumps(words)}").ok
    summary = json.loads((tmp_path / "heard $HOME;x").read_text())
    assert (summary["films"], summary["done"], summary["error"]) == (2, 1, None)
    assert summary["failed"][0]["film"] == "b" and "torn" in summary["failed"][0]["error"]


def test_a_run_that_could_not_be_is_heard_of_too(tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in/a.mkv", bytes=10**18)
    words = [
        sys.executable,
        "-c",
        "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())",
        str(tmp_path / "heard"),
    ]
    with pytest.raises(OutputError, match="reserve"):
        run(tmp_path, f"run.hook={json.dumps(words)}")
    summary = json.loads((tmp_path / "heard").read_text())
    assert "needs about" in summary["error"] and summary["ok"] is False
    (tmp_path / "heard").unlink()
    (tmp_path / "in/a.mkv").unlink()
    asked = ["--set", f"run.hook={json.dumps(words)}"]
    assert (
        CliRunner().invoke(cli, ["batch", "run", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *asked]).exit_code
    )
    assert "contains no film" in json.loads((tmp_path / "heard").read_text())["error"]


def test_a_reel_that_is_left_out_is_heard_of(tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in/a.mkv")
    jobs = read_jobs(tmp_path / "in", tmp_path / "out", config()).jobs
    result = run_batch(jobs, tmp_path / "out", config(), refused=["b: its name"], steps=fakes.fake_steps())
    assert not result.ok and result.as_dict()["refused"] == ["b: its name"]


def test_a_film_given_up_is_not_retried_with_the_rest(tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in/a.mkv", trouble={"shard": 0, "kind": "torn"})
    run(tmp_path)
    give_up(tmp_path / "out", "a", "nitrate decay")
    (film,) = batch_status(tmp_path / "out").films
    assert film.state == "given up" and "nitrate decay" in str(film.error)
    assert failed_jobs(tmp_path / "out") == () and len(failed_jobs(tmp_path / "out", ["a"])) == 1


@pytest.mark.parametrize(
    ("words", "seconds", "problem"),
    [
        (["/no/such/program"], 100, "cannot be run"),
        ([sys.executable, "-c", "import sys; sys.exit('no mail today')"], 100, "ended with 1: no mail today"),
        ([sys.executable, "-c", "import time; time.sleep(60)"], 0.2, "was ended after 0.2 s"),
    ],
)
def test_a_hook_that_fails_costs_no_film(words: list[str], seconds: float, problem: str, tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in/a.mkv")
    heard: list[Event] = []
    assert run(tmp_path, f"run.hook={json.dumps(words)}", f"run.hook_seconds={seconds}", heard=heard).ok
    assert any(problem in str(event.data.get("message")) for event in heard if event.kind == "warning")
    assert problem in (tmp_path / "out/.videocolor/batch.log").read_text()


class Answering(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    got: list[bytes]

    def do_POST(self) -> None:
        self.got.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(302 if self.path == "/moved" else 200)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_a_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answering, "got", [], raising=False)
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("HOOK", f"{address}/secret")
        try:
            assert call_hooks(RunSettings(webhook="env:HOOK"), {"films": 3}) == []
            assert json.loads(Answering.got[0]) == {"films": 3}
            assert call_hooks(RunSettings(webhook=f"{address}/moved"), {}) == ["run.webhook: 127.0.0.1 answered 302"]
        finally:
            server.shutdown()
            thread.join()
    with socket.create_server(("127.0.0.1", 0)) as silly:

        def babble() -> None:
            with silly.accept()[0] as caller:
                caller.sendall(b"rubbish\r\n\r\n")

        answer = threading.Thread(target=babble)
        answer.start()
        assert call_hooks(RunSettings(webhook=f"http://127.0.0.1:{silly.getsockname()[1]}/"), {})
        answer.join()
    (problem,) = call_hooks(RunSettings(webhook="env:HOOK"), {})
    assert "127.0.0.1" in problem and "secret" not in problem


@pytest.mark.parametrize(
    "address",
    ["file:///etc/passwd", "env:NOT_SET_ANYWHERE", "example.org", "http://[::1", "http://a:secret@b/", "http://a:x/"],
)
def test_an_address_that_is_none(address: str, tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in/a.mkv")
    with pytest.raises(UsageError, match=r"run\.webhook"):
        run(tmp_path, f"run.webhook={address}")


def test_the_heart_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videocolor.batch.watch._BEAT", 0.01)
    beats: list[dict[str, Any]] = []

    class Slow(fakes.InlineEngine):
        def _collect(self, timeout: float) -> Any:
            deadline = time.monotonic() + 10
            while not beats or time.monotonic() > deadline:
                found = json.loads((tmp_path / "beat/b.json").read_text())
                beats.extend([found] if found["turn"] and found["state"] == "working" and found["films"] else [])
            return super()._collect(timeout)

    fakes.reel(tmp_path / "in/a.mkv")
    assert run(tmp_path, f"run.heartbeat={tmp_path}/beat/b.json", engine=Slow).ok
    assert beats[0]["pid"] and beats[0]["films"]
    last = json.loads((tmp_path / "beat/b.json").read_text())
    assert last["state"] == "ended" and last["error"] is None and last["films"] == {"done": 1}


def test_a_log_with_rotation(tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in/a.mkv", [1] * 30)
    assert run(tmp_path, "run.log_mb=0.0003", "run.log_files=2").ok
    folder = tmp_path / "out/.videocolor"
    assert sorted(path.name for path in folder.glob("batch.log*")) == ["batch.log", "batch.log.1", "batch.log.2"]
    assert all(path.stat().st_size <= 300 for path in folder.glob("batch.log*"))
    assert "the run ends: 1 done, 1 now, 0 failed" in (folder / "batch.log").read_text()


def test_the_log_has_the_warnings_of_libraries(tmp_path: Path) -> None:
    with batch_log(tmp_path, RunSettings()):
        logging.getLogger("videocolor.video").warning("odd timestamps")
    assert "odd timestamps" in (tmp_path / "batch.log").read_text()


# ---- a dry run ------------------------------------------------------------------------------------------------------


def planned(source: Path, _: Path, settings: Any) -> Any:
    """The dry run of a film of text."""
    data = fakes.read_reel(source)
    scan = SimpleNamespace(frames=sum(data["shots"]), losses=tuple(data.get("losses", ())), offsets=(1,))
    output = SimpleNamespace(dropped=tuple(data.get("loses", ())))
    return SimpleNamespace(scan=scan, output=output, warnings=("odd",), seconds=7200.0, size=3 * 10**9)


def test_what_a_batch_would_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes.reel(tmp_path / "in/a.mkv")
    run(tmp_path)
    fakes.reel(tmp_path / "in/b.mkv", loses=["its teletext"])
    fakes.reel(tmp_path / "in/c.mkv", losses=["12 frames are lost"])
    fakes.reel(tmp_path / "in/d.mkv", refused="no film")
    (tmp_path / "in/MD5SUMS").write_text(f"{'0' * 32}  b.mkv\n")
    made = config("run.hours=20:00-22:00", "disk.reserve_gb=1")
    monkeypatch.setattr("videocolor.batch.forecast.free_bytes", lambda _: 5 * 10**9)
    before = sorted(tmp_path.rglob("*"))
    jobs = read_jobs(tmp_path / "in", tmp_path / "out", made).jobs
    found = forecast_batch(jobs, tmp_path / "out", made, plan=planned)
    assert [film.state for film in found.films] == ["done", "to do", "cannot be done", "cannot be done"]
    assert found.seconds == 7200 and found.days == pytest.approx(1) and not found.ok
    text = "\n".join(found.lines())
    for part in (
        "b: 18 frames, about 2:00 h, 3.00 GB",
        "loses its teletext",
        "warning: odd",
        "md5 by ",
        "12 frames are",
    ):
        assert part in text
    assert "1 to do, 1 done, 2 cannot be done; about 2:00 h of one worker (1 days of run.hours)" in text
    assert "6.00 GB DOES NOT FIT into 4.00 GB" in text
    assert json.dumps(found.as_dict(), allow_nan=False) and sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_a_dry_run_by_command(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    make_film(tmp_path / "in/a.mkv", 12, pix_fmt="gray")
    words = ["batch", "run", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--set", "model.name=constant"]
    done = CliRunner().invoke(cli, [*words, "--dry-run"])
    assert done.exit_code == 0 and "a: 12 frames" in done.output, done.output
    assert not (tmp_path / "out").exists()
    (tmp_path / "in/b.mkv").write_bytes(b"")
    done = CliRunner().invoke(cli, [*words, "--dry-run", "--json"])
    assert done.exit_code == 3 and json.loads(done.stdout)["films"][1]["state"] == "cannot be done"


@pytest.mark.slow
def test_the_page_of_a_batch(tmp_path: Path) -> None:
    for name, more in (("a", {}), ("b", {"trouble": {"shard": 0, "kind": "torn <tape>"}}), ("c & d", {})):
        fakes.reel(tmp_path / f"in/{name}.mkv", **more)
    run(tmp_path)
    out = tmp_path / "out"
    shots = [{"index": n, "start": n, "end": n + 1, "start_seconds": n, "confidence": 1 - n / 20} for n in range(20)]
    write_sidecar(out / "a_colorized.mkv", {"shots": [*shots, {"index": 20, "confidence": None}]})
    (out / "a_colorized.mkv.html").write_text("the film's own page")
    done = CliRunner().invoke(cli, ["batch", "report", str(out)])
    assert done.exit_code == 0 and done.output.strip() == str(out / "batch.html")
    text = (out / "batch.html").read_text()
    assert "2 done, 1 failed" in text and "9 doubtful shots" in text and "0.53" in text
    assert 'href="a_colorized.mkv.html#shot-19"' in text and "0:00:19.000, 0.05" in text
    assert "torn &lt;tape&gt;" in text and "c &amp; d" in text and text.index("torn") < text.index("c &amp; d")
    assert any(line.endswith("  batch.html") for line in (out / "manifest-sha256.txt").read_text().splitlines())
    with DriverLock(state_folder(out)):
        assert "is working on it" in CliRunner().invoke(cli, ["batch", "report", str(out)]).output
        other = CliRunner().invoke(cli, ["batch", "report", str(out), "-o", str(tmp_path / "p.html")])
    assert other.exit_code == 0 and 'href="out/a_colorized.mkv.html#shot-19"' in (tmp_path / "p.html").read_text()
