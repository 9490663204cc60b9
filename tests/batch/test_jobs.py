"""What a batch is about: folders, job files, names of results, mistakes with their lines."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from videocolor.batch.framemd5 import framemd5_path
from videocolor.batch.jobs import _LONGEST_TARGET, JobList, plan_reels, read_jobs
from videocolor.batch.listing import absolute_hint
from videocolor.batch.settings import BatchConfig, split_overrides
from videocolor.config import ColorizeConfig
from videocolor.errors import ConfigError, InputError, UsageError, VideocolorError
from videocolor.files import part_name
from videocolor.presets import load_model


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def jobs_of(source: Path, out: Path, *settings: str, films: tuple[str, ...] = ()) -> JobList:
    return read_jobs(source, out, load_model(BatchConfig, "batch", None, settings), films)


def results(source: Path, out: Path, *settings: str) -> dict[str, str]:
    """Reel -> result, both relative."""
    found = jobs_of(source, out, *settings).jobs
    return {job.source.relative_to(source).as_posix(): job.target.relative_to(out).as_posix() for job in found}


def test_a_folder_in_depth(tmp_path: Path) -> None:
    reels, out = tmp_path / "reels", tmp_path / "reels/out"
    touch(
        *(reels / name for name in ("1931.MOV", "a/reel.mp4", "b/reel.mp4", "b/c/x.y.mxf", ".hidden.mkv", "notes.txt"))
    )
    touch(reels / ".cache/d.mkv", out / "old_colorized.mkv", reels / "1931.hints/shot0001_t00001.000s.png")
    touch(reels / "other/.videocolor/batch.json", reels / "other/done_colorized.mkv", reels / "b/poster.jpg")
    found = jobs_of(reels, out)
    assert results(reels, out) == {
        "1931.MOV": "1931_colorized.mkv",
        "a/reel.mp4": "a/reel_colorized.mkv",
        "b/c/x.y.mxf": "b/c/x.y_colorized.mkv",
        "b/reel.mp4": "b/reel_colorized.mkv",
    }
    assert [job.name for job in found.jobs] == ["1931", "a__reel", "b__c__x.y", "b__reel"]
    assert found.jobs[0].config["hints"]["folder"] == str(reels / "1931.hints")
    assert found.jobs[1].config["hints"]["folder"] is None
    assert found.jobs[1].folder == out / ".videocolor/shards/a__reel"
    notes = " ".join(found.notes)
    assert "1 .txt" in notes and "1 .jpg" in notes and "results of another batch" in notes


def test_folders_of_images(tmp_path: Path) -> None:
    reels, out = tmp_path / "reels", tmp_path / "out"
    touch(*(reels / f"scan/{n:04d}.dpx" for n in range(3)), reels / "mixed/a1.png", reels / "mixed/a2.png")
    touch(reels / "mixed/film.mkv", reels / "stills/one1.png")
    assert results(reels, out) == {"scan": "scan_colorized.mkv", "mixed/film.mkv": "mixed/film_colorized.mkv"}
    assert results(reels / "scan", out) == {".": "scan_colorized.mkv"}


def test_one_film_and_a_pattern(tmp_path: Path) -> None:
    touch(tmp_path / "reel.mov", *(tmp_path / f"seq/s_{n:03d}.png" for n in range(3)))
    (job,) = jobs_of(tmp_path / "reel.mov", tmp_path / "out", "films.container=.mp4", "films.label=-color").jobs
    assert job.target == tmp_path / "out/reel-color.mp4"
    (job,) = jobs_of(tmp_path / "seq/s_%03d.png", tmp_path / "out").jobs
    assert job.target == tmp_path / "out/s_colorized.mkv"


def test_names_that_would_be_one(tmp_path: Path) -> None:
    reels = tmp_path / "reels"
    touch(reels / "reel.mp4", reels / "reel.mov", reels / "a/b.mkv", reels / "a__b.mkv", reels / f"{'ü' * 97}.mkv")
    found = results(reels, tmp_path / "out")
    assert (found["reel.mp4"], found["reel.mov"]) == ("reel.mp4_colorized.mkv", "reel.mov_colorized.mkv")
    names = [job.name for job in jobs_of(reels, tmp_path / "out").jobs]
    assert len({name.casefold() for name in names}) == 5 and all(len(name.encode()) < 200 for name in names)


YAML = """\
films:
  - film: reels/a.mkv
    hints: stills/a
    preset: master
    priority: 5
    set:
      model: {batch: 4}
      output.crf: 12
  - film: reels/b.mkv
    output: deep/b_color.mov
    hints: [3.5=stills/b.png, other.mkv@12.0]
    preset: mine.yaml
  - reels/c.mkv
"""
CSV = """\
film,hints,preset,output,priority,set
reels/a.mkv,stills/a,master,,5,model.batch=4; output.crf=12
reels/b.mkv,3.5=stills/b.png,mine.yaml,deep/b_color.mov,,

reels/c.mkv,,,,,
"""


@pytest.mark.parametrize(
    ("name", "text"), [("jobs.yaml", YAML), ("jobs.csv", CSV), ("jobs.csv", CSV.replace(",", ";"))]
)
def test_job_files(name: str, text: str, tmp_path: Path) -> None:
    if ";" in text and name.endswith("csv") and text.startswith("film;"):
        text = text.replace("model.batch=4; output.crf=12", '"model.batch=4; output.crf=12"')
    here = tmp_path / "here"
    touch(here / "stills/a/x.png", here / "stills/b.png", here / "other.mkv")
    (here / "mine.yaml").write_text("model: {keyframe_interval: 3}\n")
    (here / name).write_text(text)
    a, b, c = jobs_of(here / name, tmp_path / "out", "films.preset=fast", films=("model.batch=7",)).jobs
    assert [job.source for job in (a, b, c)] == [here / "reels" / f"{n}.mkv" for n in "abc"]
    assert a.target == tmp_path / "out/a_colorized.mkv" and b.target == tmp_path / "out/deep/b_color.mov"
    assert (a.priority, b.priority) == (5, 0)
    assert a.config["output"]["codec"] == "ffv1" and a.config["output"]["crf"] == 12
    assert a.config["model"]["batch"] == 7, "the command line comes last"
    assert b.config["model"]["keyframe_interval"] == 3, "a preset of the job file replaces the batch's"
    assert c.config["model"]["keyframe_interval_painted"] == 16, "where there is none, the batch's counts"
    assert a.config["hints"]["folder"] == str(here / "stills/a")
    items = [f"3.5={here}/stills/b.png"] + ([f"{here}/other.mkv@12.0"] if name == "jobs.yaml" else [])
    assert b.config["hints"]["items"] == items
    assert ColorizeConfig.model_validate(json.loads(json.dumps(a.config))).as_dict() == a.config


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        (
            "j.yaml",
            "films:\n  - film: a.mkv\n  - film: b.mkv\n    hnits: x\n",
            ["line 3", "unknown key hnits", "hints?"],
        ),
        ("j.yaml", "films:\n  - film: a.mkv\n    set: {model.bach: 1}\n", ["line 2", "model.bach", "batch?"]),
        ("j.yaml", "films:\n  - film: a.mkv\n    priority: high\n", ["line 2", "priority = 'high'"]),
        ("j.yaml", "films:\n  - {film: a.mkv}\n  - {film: a.mkv}\n", ["line 3", "line 2 already"]),
        ("j.yaml", "films:\n  - {film: a.mkv, preset: mastr}\n", ["line 2", "mastr", "master?"]),
        ("j.yaml", "films:\n  - {film: a.mkv, output: ../x.mkv}\n", ["line 2", "output"]),
        ("j.yaml", "films:\n  - 3\n", ["line 2", "found 3"]),
        ("j.yaml", "reels: []\n", ["films:", "reels"]),
        ("j.yaml", "films: []\n", ["contains no film"]),
        ("j.csv", "film,hint\na.mkv,b\n", ["line 2", "unknown key hint", "hints?"]),
        ("j.csv", "source\na.mkv\n", ["line 1", "column film"]),
        ("j.csv", "film,preset\na.mkv\n", ["line 2", "2 columns"]),
        ("j.csv", "film,priority\na.mkv,1\nb.mkv,2.5\n", ["line 3", "2.5"]),
        ("j.csv", "film,set\na.mkv,model.batch\n", ["line 2", "key=value"]),
    ],
)
def test_mistakes_name_their_line(name: str, text: str, parts: list[str], tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(VideocolorError) as caught:
        jobs_of(tmp_path / name, tmp_path / "out")
    for part in (name, *parts):
        assert part in str(caught.value)


def test_what_cannot_be_a_batch(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        jobs_of(tmp_path / "none", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    touch(tmp_path / "empty/readme.txt")
    with pytest.raises(InputError, match=r"contains no film .*1 \.txt"):
        jobs_of(tmp_path / "empty", tmp_path / "out")
    touch(tmp_path / "reels/a.mkv")
    with pytest.raises(UsageError, match="need another folder"):
        jobs_of(tmp_path / "reels", tmp_path / "reels")
    with pytest.raises(ConfigError, match=r"model\.batch = 0"):
        jobs_of(tmp_path / "reels", tmp_path / "out", films=("model.batch=0",))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_a_name_that_is_not_utf8_is_told_before_the_night(tmp_path: Path) -> None:
    touch(tmp_path / "reels/a.mkv")
    touch(Path(os.fsdecode(os.fsencode(tmp_path) + b"/reels/caf\xe9/b.mkv")))
    found = jobs_of(tmp_path / "reels", tmp_path / "out")
    assert len(found.jobs) == 1 and "caf\\xe9/b.mkv: the name is not UTF-8" in found.refused[0]
    with pytest.raises(InputError, match=r"out\\xff: the name is not UTF-8"):
        jobs_of(tmp_path / "reels/a.mkv", Path(os.fsdecode(os.fsencode(tmp_path) + b"/out\xff")))


def test_results_never_replace_reels(tmp_path: Path) -> None:
    touch(tmp_path / "out/a.mkv", tmp_path / "b.mkv")
    (tmp_path / "j.yaml").write_text("films:\n  - {film: out/a.mkv, output: b.mkv}\n  - {film: b.mkv, output: a.mkv}\n")
    found = jobs_of(tmp_path / "j.yaml", tmp_path / "out")
    assert len(found.jobs) == 1 and "line 3: " in found.refused[0] and "would replace a reel" in found.refused[0]
    (tmp_path / "j.yaml").write_text("films:\n  - {film: out/a.mkv, output: x.mkv}\n  - {film: b.mkv, output: x.mkv}\n")
    found = jobs_of(tmp_path / "j.yaml", tmp_path / "out")
    assert len(found.jobs) == 1 and "would both be written" in found.refused[0]


@pytest.mark.skipif(sys.platform == "win32", reason="such names cannot be there")
def test_a_name_that_cannot_be_written_costs_one_reel(tmp_path: Path) -> None:
    touch(tmp_path / "reels/a.mkv", tmp_path / "reels/line\nbreak.mkv", tmp_path / f"reels/{'ü' * 108}.mkv")
    found = jobs_of(tmp_path / "reels", tmp_path / "out")
    assert [job.name for job in found.jobs] == ["a"]
    assert any("line break" in reason for reason in found.refused)
    assert any("230 bytes" in reason for reason in found.refused), found.refused
    longest = framemd5_path(Path("x" * _LONGEST_TARGET), "source-luma")
    assert len(part_name(longest).name.replace(str(os.getpid()), "9999999")) <= 255


def test_hints_are_found_from_anywhere(tmp_path: Path) -> None:
    touch(tmp_path / "3=3.png", tmp_path / "x.png")
    assert absolute_hint("3=3.png", tmp_path) == str(tmp_path / "3=3.png"), "a file of the whole name wins"
    assert absolute_hint("1:02.5=x.png", tmp_path) == f"1:02.5={tmp_path}/x.png"
    assert absolute_hint("x.mkv@4", tmp_path) == f"{tmp_path}/x.mkv@4"
    assert absolute_hint("5=/else/x.png", tmp_path) == "5=/else/x.png"


def test_settings_find_their_place() -> None:
    assert not set(BatchConfig.model_fields) & set(ColorizeConfig.model_fields), "the rule needs distinct sections"
    batch, films = split_overrides(["engine.workers=4", "output.codec=ffv1", "disk.check=false", "nonsense"])
    assert batch == ("engine.workers=4", "disk.check=false") and films == ("output.codec=ffv1", "nonsense")
    with pytest.raises(ConfigError, match=r"unknown section engin; did you mean engine\? .*of films: input"):
        split_overrides(["engin.workers=4"])


def test_the_films_of_a_folder_as_a_job_file(tmp_path: Path) -> None:
    reels, out, config = tmp_path / "reels", tmp_path / "out", BatchConfig()
    for name in ("a/one.mkv", "two.mkv", "two.mov", "three.mkv"):
        (reels / name).parent.mkdir(parents=True, exist_ok=True)
        (reels / name).touch()
    (reels / "three.hints").mkdir()
    jobs = read_jobs(reels, out, config).jobs
    path = plan_reels(jobs, out)
    assert read_jobs(path, out, config).jobs == jobs, "the same plans, shards and receipts"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "two.mov" not in line))
    assert plan_reels(jobs, out) == path, "edits are kept"
    assert read_jobs(path, out, config).jobs == tuple(job for job in jobs if job.source.name != "two.mov")
