"""`videocolor batch` as a person meets it: one film through every command, status in all its forms, mistakes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from batch import fakes
from click.testing import CliRunner
from media import make_film

from videocolor.batch.jobs import read_jobs
from videocolor.batch.lock import DriverLock
from videocolor.batch.run import run_batch
from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import state_folder
from videocolor.batch.status import FilmStatus, batch_status, span, write_status
from videocolor.cli import cli
from videocolor.errors import Interrupted
from videocolor.presets import config_root, list_presets, load_model
from videocolor.reports.verify import verify_film

SETTINGS = ["--set", "model.name=constant", "--set", "output.codec=ffv1", "--set", "work.backoff_seconds=0"]


def invoke(*words: str | Path) -> Any:
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.mark.slow
def test_one_film_through_all_commands(tmp_path: Path) -> None:
    reels, out = tmp_path / "reels", tmp_path / "out"
    reels.mkdir()
    make_film(reels / "reel.mkv", 48, pix_fmt="gray", audio=[{}])
    planned = invoke("batch", "plan", reels, "-o", out, *SETTINGS, "--set", "shots.shard=1")
    assert planned.exit_code == 0, planned.stderr
    lists = ("reels.yaml", "shards/reel/plan.yaml")
    assert planned.stdout.splitlines() == [str(out / ".videocolor" / name) for name in lists]
    assert "1 planned" in planned.stderr and not (out / "reel_colorized.mkv").exists()
    done = invoke("batch", "run", reels, "-o", out, *SETTINGS, "--set", "shots.shard=1", "--json")
    assert done.exit_code == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["film"] for event in events if event["event"] == "done"] == ["reel"]
    assert events[-1]["event"] == "batch" and events[-1]["made_now"] == 1 and events[-1]["ok"]
    assert verify_film(reels / "reel.mkv", out / "reel_colorized.mkv").exact
    status = json.loads(invoke("batch", "status", out, "--json").stdout)
    assert status["films"] == {"planned": 0, "running": 0, "done": 1, "failed": 0, "given up": 0}
    assert status["table"][0]["frames"] == status["frames"] == 48 and status["driver"] is None
    verified = invoke("batch", "verify", out)
    assert verified.exit_code == 0 and verified.stdout.startswith("reel: well"), verified.stderr
    shots = invoke("batch", "run", reels, "-o", out, *SETTINGS, "--only-shots", "1", "--set", "chroma.saturation=0.5")
    assert shots.exit_code == 0, shots.stderr
    assert verify_film(reels / "reel.mkv", out / "reel_colorized.mkv").exact
    again = invoke("batch", "verify", out)
    assert again.exit_code == 0, again.stdout
    (out / "reel_colorized.mkv").write_bytes(b"something else")
    assert invoke("batch", "verify", out, "--quick").exit_code == 1


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (["run", "REELS"], 2, ["-o"]),
        (["run", "none", "-o", "OUT"], 1, ["none: no such file or folder"]),
        (["run", "REELS", "-o", "REELS"], 2, ["need another folder"]),
        (["run", "REELS", "-o", "OUT", "--set", "enigne.workers=2"], 2, ["unknown section enigne", "engine?"]),
        (["run", "REELS", "-o", "OUT", "--set", "engine.worker=2"], 2, ["engine.worker", "workers?"]),
        (["run", "REELS", "-o", "OUT", "--set", "work.retries=-1"], 2, ["work.retries", "0..100"]),
        (["run", "REELS", "-o", "OUT", "--workers", "0"], 2, ["--workers"]),
        (["run", "REELS", "-o", "OUT", "--engine", "slurm"], 2, ["local", "ray"]),
        (["run", "REELS", "-o", "OUT", "--config", "mastr"], 2, ["did you mean master?"]),
        (["run", "REELS", "-o", "OUT", "--only-shots", "0"], 2, ["shots '0'"]),
        (["status", "OUT"], 1, ["no batch was run here"]),
        (["retry", "OUT"], 1, ["no batch was run here"]),
        (["retry", "OUT", "--set", "output.crf=3"], 2, ["their own settings"]),
    ],
)
def test_mistakes(words: list[str], code: int, parts: list[str], tmp_path: Path) -> None:
    fakes.reel(tmp_path / "REELS/a.mkv")
    places = {"REELS": str(tmp_path / "REELS"), "OUT": str(tmp_path / "OUT"), "none": str(tmp_path / "none")}
    done = invoke("batch", *(places.get(word, word) for word in words))
    assert done.exit_code == code, done.output
    for part in parts:
        assert part in done.output
    assert not (tmp_path / "OUT/.videocolor/shards").exists()


def config(*settings: str) -> BatchConfig:
    return load_model(BatchConfig, "batch", None, ["work.backoff_seconds=0", "disk.reserve_gb=0", *settings])


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A batch with a finished film, a failed one and one in the middle of its work."""
    out = tmp_path / "out"
    fakes.reel(tmp_path / "in/good.mkv", [10] * 4)
    fakes.reel(tmp_path / "in/ill.mkv", trouble={"shard": 0, "kind": "its emulsion\nhas gone"})
    fakes.reel(tmp_path / "in/long.mkv", [30] * 4)
    jobs = read_jobs(tmp_path / "in", out, config()).jobs
    run_batch(jobs[:2], out, config(), steps=fakes.fake_steps())
    run_batch(jobs[2:], out, config(), steps=fakes.fake_steps(), only="plan", others=True)
    plan = fakes.read_plan(jobs[2].folder / "plan.yaml")
    fakes.write_shard(jobs[2], plan.shards[0])
    long = FilmStatus(
        *("long", jobs[2].source, jobs[2].target, "running", "coloring", 2, 1, 120, 75, 60),
        **{"seconds": 0.25, "workers": 1, "worker": "host:42", "attempt": 2},
    )
    write_status(out, [*batch_status(out).films[:2], long], fps=7.5, eta_s=6.0)
    return out


def test_a_table_for_people(three: Path) -> None:
    with DriverLock(state_folder(three)):
        lines = batch_status(three).lines()
    assert "3 films: 1 running, 1 done, 1 failed; 115 of 160 frames" in lines[0]
    assert "frames/s" in lines[0] and "left" in lines[0] and lines[1].startswith("at work: process ")
    assert lines[3].split()[:5] == ["film", "state", "shards", "frames", "frames/s"]
    rows = {line.split()[0]: line for line in lines[4:]}
    assert list(rows) == ["long", "ill", "good"], "those at work and those that failed come first"
    assert "coloring" in rows["long"] and "1/2" in rows["long"] and "75/120" in rows["long"]
    assert "host:42, attempt 2" in rows["long"]
    assert "failed" in rows["ill"] and rows["ill"].endswith("its emulsion"), "the first line of the reason"
    assert rows["good"].split()[1:5] == ["done", "2/2", "40/40", "80.0"]
    idle = batch_status(three).lines()
    assert "nobody is working on it" in idle[1] and "stopped" in idle[4]


def test_what_is_not_planned_yet_has_the_frames_of_its_container(tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in/a.mkv", [10] * 4, trouble={"shard": 0, "kind": "os"})
    jobs = read_jobs(tmp_path / "in", tmp_path / "out", config()).jobs

    class Halted(fakes.InlineEngine):
        def _collect(self, _: float) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        run_batch(jobs, tmp_path / "out", config(), steps=fakes.fake_steps(Halted))
    row = batch_status(tmp_path / "out").lines()[4].split()
    assert row[:4] == ["a", "planned", "-", "0/40"]


def test_many_films_on_a_small_screen(three: Path) -> None:
    lines = batch_status(three).lines(6)
    assert len(lines) <= 7 and lines[-1] == "and 1 failed, 1 done"
    assert len(batch_status(three).lines(7)) == 7, "all three fit"


def test_long_names_on_a_narrow_screen(three: Path) -> None:
    found = batch_status(three)
    name = "1931_nitrate_negative_of_the_harbor_part_17"
    films = (dataclasses.replace(found.films[0], name=name), *found.films[1:])
    lines = dataclasses.replace(found, films=films).lines(24, 60)
    assert max(map(len, lines)) <= 60
    assert any(line.startswith("1931_") and "part_17  done " in line for line in lines)


def test_plain_values_for_programs(three: Path) -> None:
    with DriverLock(state_folder(three)):
        data = batch_status(three).as_dict()
    json.dumps(data, allow_nan=False)
    assert data["frames"] == 115 and data["total"] == 160 and data["fps"] == 7.5
    assert data["eta_s"] == 6.0
    row = {film["name"]: film for film in data["table"]}["long"]
    assert (row["state"], row["shards"], row["shards_done"], row["frames_done"], row["worker"]) == (
        *("running", 2, 1, 75, "host:42"),
    )


def test_watching_ends_with_the_driver(three: Path) -> None:
    done = invoke("batch", "status", three, "--watch", "--interval", "0.1")
    assert done.exit_code == 0 and done.output.count("films:") == 1


def test_status_never_writes(three: Path) -> None:
    before = {path: path.read_bytes() for path in state_folder(three).rglob("*") if path.is_file()}
    assert invoke("batch", "status", three).exit_code == 0
    assert before == {path: path.read_bytes() for path in state_folder(three).rglob("*") if path.is_file()}


def test_retry_takes_the_failed_ones(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videocolor.batch.run.film_steps", fakes.fake_steps)
    fakes.trouble_file(three.parent / "in/ill.mkv").write_text("9")
    fakes.reel(three.parent / "in/ill.mkv")
    assert "is done, not failed" in invoke("batch", "retry", three, "good").output
    assert "did you mean good?" in invoke("batch", "retry", three, "goood").output
    done = invoke("batch", "retry", three)
    assert done.exit_code == 0 and "1 films: 1 done (1 now)" in done.output
    states = {film.name: film.state for film in batch_status(three).films}
    assert states == {"good": "done", "ill": "done", "long": "planned"}
    assert (three / "ill_colorized.mkv").read_text() == fakes.expected(three.parent / "in/ill.mkv")


def test_shots_of_finished_films(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videocolor.batch.run.film_steps", fakes.fake_steps)
    done = invoke(
        *("batch", "run", three.parent / "in", "-o", three, "--only-shots", "2,4", "--set", "chroma.saturation=0.5")
    )
    assert done.exit_code == 3
    assert "ill" in done.output and "is not finished" in done.output
    lines = (three / "good_colorized.mkv").read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["1.0"] * 10 + ["0.5"] * 10 + ["1.0"] * 10 + ["0.5"] * 10
    jobs = read_jobs(three.parent / "in", three, config(), ["chroma.saturation=0.5"]).jobs
    kept = run_batch(jobs[:1], three, config(), steps=fakes.fake_steps())
    assert kept.ok and not kept.films[0].made_now, "the recolored film is the finished one"


@pytest.mark.parametrize("file", sorted((config_root() / "batch").glob("*.yaml")), ids=lambda file: file.stem)
def test_presets(file: Path) -> None:
    found = load_model(BatchConfig, "batch", file)
    if found.films.preset is not None:
        assert f"colorize/{found.films.preset}" in {preset.name for preset in list_presets()}
    assert file.read_text().startswith("# ")


def test_the_default_preset_is_the_defaults_in_full() -> None:
    body = "\n".join((config_root() / "batch/default.yaml").read_text().splitlines()[2:]) + "\n"
    assert body == invoke("config", "show", "batch/default").output == invoke("config", "show", "batch/local").output


def test_every_key_is_documented() -> None:
    for section in BatchConfig.model_fields.values():
        for name, field in section.annotation.model_fields.items():  # type: ignore[union-attr]
            assert field.description, f"{section.annotation}.{name}"


def test_spans() -> None:
    assert [span(s) for s in (0.4, 59, 125, 12_000, 200_000)] == ["0 s", "59 s", "2:05 min", "3:20 h", "2 d 7 h"]
