"""In and out: the archive's checksums, its catalog, the results in its words."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from batch import fakes

from videocolor.batch.catalog import info_lines
from videocolor.batch.fixity import SourceChecks, checked_before, known_checksums
from videocolor.batch.jobs import read_jobs
from videocolor.batch.manifest import MANIFEST
from videocolor.batch.reel import Reel
from videocolor.batch.run import BatchResult, run_batch
from videocolor.batch.settings import ArchiveSettings, BatchConfig
from videocolor.batch.verify import verify_batch
from videocolor.errors import ConfigError, InputError, Interrupted, OutputError
from videocolor.presets import load_model
from videocolor.shards.types import FilmJob


def run(folder: Path, source: str = "in", *settings: str, **more: Any) -> BatchResult:
    config = load_model(BatchConfig, "batch", None, ["work.backoff_seconds=0", "disk.reserve_gb=0", *settings])
    jobs = read_jobs(folder / source, folder / "out", config).jobs
    return run_batch(jobs, folder / "out", config, steps=fakes.fake_steps(), **more)


def digest(path: Path, algorithm: str) -> str:
    return hashlib.new(algorithm, path.read_bytes()).hexdigest()


def job(path: Path, **more: Any) -> FilmJob:
    return FilmJob("a", path, path.parent / "out/a.mkv", {}, path.parent / "out/.videocolor/shards/a", **more)


HEAD = "film,id,title,rights,md5,priority,Format,x-set\n"


def test_what_the_archive_says_of_a_film(tmp_path: Path) -> None:
    reel = fakes.reel(tmp_path / "reels/a.mkv")
    fakes.reel(tmp_path / "reels/b.mkv", trouble={"shard": 0, "kind": "torn"})
    known = digest(reel, "md5").upper()
    text = HEAD + f'reels/a.mkv,F 12,"Harbor, 1931",PD,{known},3,35 mm,=1\nreels/b.mkv,F 13,,,,,16 mm,\n'
    (tmp_path / "reels.csv").write_text(text)
    done = run(tmp_path, "reels.csv")
    assert [film.name for film in done.failed] == ["b"] and "torn" in str(done.failed[0].error)
    results = tmp_path / "out/results.csv"
    rows = {row["film"]: row for row in csv.DictReader(results.read_text().splitlines())}
    assert (rows["a"]["id"], rows["a"]["title"], rows["a"]["Format"]) == ("F 12", "Harbor, 1931", "35 mm")
    assert (rows["a"]["state"], rows["a"]["result"], rows["a"]["frames"]) == ("done", "a_colorized.mkv", "18")
    assert len(rows["a"]["sha256"]) == 64 and rows["a"]["source_sha256"] == digest(reel, "sha256")
    assert (rows["b"]["state"], rows["b"]["sha256"], rows["b"]["id"]) == ("failed", "", "F 13")
    assert "torn" in rows["b"]["error"] and "md5" not in rows["a"]
    assert (
        f"{digest(tmp_path / 'out/results.csv', 'sha256')}  results.csv\n" in (tmp_path / "out" / MANIFEST).read_text()
    )
    assert all(film.ok for film in verify_batch(tmp_path / "out", decode=False))
    receipt = json.loads((tmp_path / "out/.videocolor/films/a.json").read_text())
    assert receipt["catalog"] == {
        "id": "F 12",
        "title": "Harbor, 1931",
        "rights": "PD",
        "Format": "35 mm",
        "x-set": "=1",
    }
    assert info_lines(receipt["catalog"]) == {
        **{"External-Identifier": "F 12", "Title": "Harbor, 1931", "Rights": "PD", "Format": "35 mm", "set": "=1"}
    }


@pytest.mark.parametrize(
    ("head", "row", "parts"),
    [
        ("film,tittle", "a.mkv,x", ["line 2", "unknown key tittle", "title?", "x-tittle"]),
        ("film,Hints", "a.mkv,x", ["unknown key Hints", "hints?"]),
        ("film,md5", "a.mkv,123", ["md5 = '123'", "32 hexadecimal digits"]),
        ("film,", "a.mkv,x", ["without a name"]),
        ("film,note,note", "a.mkv,x,y", ["line 1", "two columns are named note"]),
    ],
)
def test_columns_that_cannot_be_meant(head: str, row: str, parts: list[str], tmp_path: Path) -> None:
    (tmp_path / "reels.csv").write_text(f"{head}\n{row}\n")
    with pytest.raises(ConfigError) as error:
        run(tmp_path, "reels.csv")
    for part in parts:
        assert part in str(error.value)


def test_a_job_file_in_yaml_has_the_same(tmp_path: Path) -> None:
    text = "films:\n  - {film: a.mkv, id: 12, year: 1931, silent: true}\n"
    (tmp_path / "j.yaml").write_text(text)
    (found,) = read_jobs(tmp_path / "j.yaml", tmp_path / "out", BatchConfig()).jobs
    assert found.catalog == {"id": "12", "year": "1931", "silent": "True"}
    assert FilmJob.from_dict(json.loads(json.dumps(found.as_dict()))) == found
    (tmp_path / "j.yaml").write_text("films:\n  - {film: a.mkv, reels: [1, 2]}\n")
    with pytest.raises(ConfigError, match="expected one value"):
        read_jobs(tmp_path / "j.yaml", tmp_path / "out", BatchConfig())


# ---- checksums ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "line", "algorithm"),
    [
        ("MD5SUMS", "{md5}  a.mkv\n", "md5"),
        ("all.sha256", "# by hand\n\n{sha256} *./a.mkv\r\n", "sha256"),
        ("sums.sha512", "SHA512 (a.mkv) = {sha512}\n", "sha512"),
        ("a.mkv.sha1", "{sha1}\n", "sha1"),
        ("a.md5", "{md5}", "md5"),
        ("../manifest-sha256.txt", "{sha256}  reels/a.mkv\n", "sha256"),
        ("far/away.md5", "{md5}  ../a.mkv\n", "md5"),
        ("windows.md5", "{md5} *.\\a.mkv\r\n", "md5"),
        ("a.mkv.md5", "{md5}  -\n", "md5"),
    ],
)
def test_lists_of_checksums(name: str, line: str, algorithm: str, tmp_path: Path) -> None:
    reel = fakes.reel(tmp_path / "reels/a.mkv")
    path = tmp_path / "reels" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(line.format(**{each: digest(reel, each) for each in ("md5", "sha1", "sha256", "sha512")}))
    settings = ArchiveSettings(checksum_lists=(str(path),) if "far" in name else ())
    (found,) = known_checksums(job(reel), settings)
    assert (found.algorithm, found.digest) == (algorithm, digest(reel, algorithm))
    assert known_checksums(job(reel), ArchiveSettings(checksums="off")) == []


def test_a_wrong_checksum_costs_its_reel_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = (fakes.reel(tmp_path / f"in/{name}.mkv") for name in ("good", "bad"))
    (tmp_path / "in/SHA256SUMS").write_text(f"{digest(good, 'sha256')}  good.mkv\n{'0' * 64}  bad.mkv\n")
    done = run(tmp_path)
    assert [film.name for film in done.failed] == ["bad"]
    assert "its sha256 is" in str(done.failed[0].error) and "SHA256SUMS" in str(done.failed[0].error)
    assert not list((tmp_path / "out/.videocolor/shards/bad").glob("*.txt")), "nothing of it was colored"
    assert (tmp_path / "out/good_colorized.mkv").read_text() == fakes.expected(good)
    monkeypatch.setattr("videocolor.batch.fixity.file_digests", None)  # it is not read every night
    assert run(tmp_path).failed == done.failed
    monkeypatch.undo()
    assert run(tmp_path, "in", "archive.checksums=off").ok
    assert (tmp_path / "out/bad_colorized.mkv").read_text() == fakes.expected(bad)


def test_two_checksums_of_one_list_both_count(tmp_path: Path) -> None:
    reel = fakes.reel(tmp_path / "in/a.mkv")
    (tmp_path / "in/all.md5").write_text(f"{'0' * 32}  a.mkv\n{digest(reel, 'md5')}  a.mkv\n")
    assert [each.digest for each in known_checksums(job(reel), ArchiveSettings())] == ["0" * 32, digest(reel, "md5")]


def test_a_reel_restored_with_its_time_is_read_again_by_retry(tmp_path: Path) -> None:
    path = fakes.reel(tmp_path / "in/a.mkv")
    text, stat = path.read_text(), path.stat()
    (tmp_path / "in/MD5SUMS").write_text(f"{digest(path, 'md5')}  a.mkv\n")
    path.write_text(text.replace("5", "6", 1))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert "batch retry" in str(run(tmp_path).failed[0].error)
    path.write_text(text)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert run(tmp_path, retry=True).ok


def test_columns_are_neither_facts_of_ours_nor_formulas(tmp_path: Path) -> None:
    assert info_lines({"source-sha256": "0", "two\nlines": "a"}) == {"Catalog-source-sha256": "0", "two lines": "a"}
    fakes.reel(tmp_path / "reels/a.mkv")
    (tmp_path / "reels.csv").write_text('film,note,t,x\nreels/a.mkv,"=HYPERLINK(""http://x"")",-20,-\n')
    assert run(tmp_path, "reels.csv").ok
    (row,) = csv.DictReader((tmp_path / "out/results.csv").read_text().splitlines())
    assert (row["note"], row["t"], row["x"]) == ('\'=HYPERLINK("http://x")', "-20", "'-")


def test_a_table_that_is_not_ours_is_not_replaced(tmp_path: Path) -> None:
    fakes.reel(tmp_path / "reels/a.mkv")
    (tmp_path / "reels.csv").write_text("film,id\nreels/a.mkv,1\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/results.csv").write_text("mine")
    with pytest.raises(OutputError, match="has not made it"):
        run(tmp_path, "reels.csv")
    assert (tmp_path / "out/results.csv").read_text() == "mine"


def test_what_was_checked_is_remembered(tmp_path: Path) -> None:
    path = fakes.reel(tmp_path / "in/a.mkv")
    reel = Reel(job(path, checksums={"md5": digest(path, "md5")}), 0)
    checks = SourceChecks(ArchiveSettings(), threading.Event())
    waiting = [reel]
    while checks.next(waiting) is None:
        assert reel.stage == "checking"
    checks.result(reel)
    checks.close()
    (found,) = checked_before(reel.job)
    assert found["algorithm"] == "md5" and found["where"] == "job file" and found["date"]
    again = SourceChecks(ArchiveSettings(), threading.Event())
    assert again.next([reel]) is reel, "it is not read again"
    again.close()


def test_a_check_can_be_stopped(tmp_path: Path) -> None:
    path = fakes.reel(tmp_path / "in/a.mkv")
    reel, stop = Reel(job(path, checksums={"md5": "0" * 32}), 0), threading.Event()
    stop.set()
    checks = SourceChecks(ArchiveSettings(), stop)
    checks.next([reel])
    checks.close()
    with pytest.raises(Interrupted):
        checks.result(reel)


def test_checksums_that_are_required_or_unreadable(tmp_path: Path) -> None:
    reel = fakes.reel(tmp_path / "in/a.mkv")
    with pytest.raises(InputError, match="no checksum is known"):
        known_checksums(job(reel), ArchiveSettings(checksums="require"))
    (tmp_path / "in/x.md5").write_text("remember to make these\n")
    with pytest.raises(InputError, match=r"x\.md5, line 1: not a checksum"):
        known_checksums(job(reel), ArchiveSettings())
