"""Others' tools: MediaConch's policies and QCTools' reports; FFV1's own checksums; digests of chroma."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import av
import pytest
from batch.test_archive import colored, completed, film_job, finished, problems_of, sha256
from media import make_film

from videocolor.batch.archive import bag_path, finish_film
from videocolor.batch.finish import merge_one
from videocolor.batch.framemd5 import framemd5_path, write_framemd5
from videocolor.batch.qc import check_tools, report_by_tools
from videocolor.batch.settings import ArchiveSettings, BatchConfig
from videocolor.batch.steps import Batch, film_steps
from videocolor.batch.verify import verify_batch
from videocolor.errors import Interrupted, OutputError, UsageError
from videocolor.shards.merge import MergeReport
from videocolor.shards.types import Task
from videocolor.shards.work import run_task
from videocolor.video.slices import check_slices

mediaconch = pytest.mark.skipif(shutil.which("mediaconch") is None, reason="mediaconch is not installed")


def tool(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program of a name into PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.slow
@mediaconch
@pytest.mark.parametrize(("suffix", "preset"), [(".mkv", "master"), (".mp4", "access")])
def test_mediaconch_passes_our_films(suffix: str, preset: str, tmp_path: Path) -> None:
    pytest.importorskip("bagit")
    job = film_job(tmp_path, suffix, preset, audio=[{"language": "deu"}])
    report = colored(job)
    finish_film(job, report, ArchiveSettings(mediaconch=preset, bag=True), sha256(job.source))
    policy = Path(f"{report.target}.policy.xml").read_text()
    assert f'name="videocolor {preset}"' in policy and 'fail_count="0"' in policy and str(tmp_path) not in policy
    assert (bag_path(report.target) / "data" / f"{report.target.name}.policy.xml").is_file()
    other = {"master": "access", "access": "master"}[preset]
    with pytest.raises(OutputError, match="mediaconch: Container is"):
        finish_film(job, report, ArchiveSettings(mediaconch=other), sha256(job.source))


@pytest.mark.slow
@mediaconch
def test_mediaconch_is_asked_later_and_finds_damage(tmp_path: Path) -> None:
    job = film_job(tmp_path)
    finished(job, ArchiveSettings())
    out = job.target.parent
    batch = Batch(out, BatchConfig(archive=ArchiveSettings(mediaconch="master")), film_steps())
    assert completed(job, batch) is None and problems_of(out) == []
    names = {path.name for path in out.iterdir()}
    assert {f"{job.target.name}.mediaconch.xml", f"{job.target.name}.policy.xml"} <= names
    before = sha256(out / "manifest-sha256.txt")
    assert completed(job, batch) is None and sha256(out / "manifest-sha256.txt") == before, "once"
    with av.open(str(job.target)) as film:
        packet = next(film.demux(video=0))
        place = (packet.pos or 0) + packet.size // 2  # of a frame's bytes: a size or a name would be other damage
    data = bytearray(job.target.read_bytes())
    data[place] ^= 1
    job.target.write_bytes(data)
    report = colored_report(job.target)
    with pytest.raises(OutputError, match="EBML-CRC-VALID"):
        finish_film(job, report, ArchiveSettings(mediaconch="master"), sha256(job.source))


def colored_report(target: Path) -> MergeReport:
    """What a merge says of a film that is there."""
    return MergeReport(target, 12, "", 0.0, (), None)


def test_tools_that_are_missing_are_named_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    check_tools(ArchiveSettings())
    for settings, word in (
        (ArchiveSettings(mediaconch="master"), "mediaconch"),
        (ArchiveSettings(qctools=True), "qcli"),
    ):
        with pytest.raises(UsageError, match=f"the program {word} is not installed"):
            check_tools(settings)
    tool(tmp_path / "bin", "mediaconch", "", monkeypatch)
    with pytest.raises(UsageError, match=r"did you mean master.*neither a file nor one of access, master"):
        check_tools(ArchiveSettings(mediaconch="mastre"))


def test_reports_of_qctools_belong_to_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tmp_path / "bin", "qcli", 'echo "$@" > "$5"', monkeypatch)
    job = film_job(tmp_path)
    finished(job, ArchiveSettings(qctools=True))
    report = Path(f"{job.target}.qctools.xml.gz")
    assert report.read_text().startswith(f"-y -i ./{job.target.name} -o ")
    assert problems_of(job.target.parent) == []
    report.write_text("x")
    assert any("qctools.xml.gz: has changed" in problem for problem in problems_of(job.target.parent))


@pytest.mark.parametrize(
    ("script", "said"),
    [("exit 3", "ended with 3"), ("echo no", "gave no report"), ("echo '<a/>'", "has checked nothing")],
)
def test_a_tool_that_fails_is_no_success(
    script: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool(tmp_path / "bin", "mediaconch", script, monkeypatch)
    target = tmp_path / "film.mkv"
    target.touch()
    source = tmp_path / "source"
    source.touch()
    job = film_job(tmp_path)
    with pytest.raises(OutputError, match=said):
        finish_film(job, colored_report(target), ArchiveSettings(mediaconch="master", fixity=False), "")


@pytest.mark.slow
def test_a_tool_ends_with_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tmp_path / "bin", "qcli", "echo $$ > ../pid; sleep 100", monkeypatch)
    job, number = film_job(tmp_path), tmp_path / "pid"
    run_task(Task("t", job.as_dict(), None), lambda _: None)
    batch = Batch(job.target.parent, BatchConfig(archive=ArchiveSettings(qctools=True)), film_steps())

    class Stopped(threading.Event):
        def is_set(self) -> bool:
            return number.is_file() and number.read_text() != ""

    with pytest.raises(Interrupted, match="qcli was stopped"):
        merge_one(job, batch, seconds=1.0, stop=Stopped())
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)
    monkeypatch.setattr("videocolor.batch.qc._LIMIT", 0.0)
    with pytest.raises(OutputError, match="qcli took more than 0 s"):
        report_by_tools(job.target, batch.config.archive, threading.Event())


def test_a_film_that_fails_later_fails_every_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = '<rule name="r" value="x" actual="1" requested="2" outcome="fail"/>'
    policy = (
        '<policy xmlns="https://mediaarea.net/mediaconch" name="videocolor master" type="{}" outcome="{}">{}</policy>'
    )
    tool(tmp_path / "bin", "mediaconch", f"echo '{policy.format('and', 'fail', rule)}'", monkeypatch)
    job = film_job(tmp_path)
    finished(job, ArchiveSettings())
    batch = Batch(job.target.parent, BatchConfig(archive=ArchiveSettings(mediaconch="master")), film_steps())
    assert "r: x is 1, not 2" in str(completed(job, batch))
    assert "r: x is 1, not 2" in str(completed(job, batch)), "the report that it left is no pass"
    tool(tmp_path / "bin", "mediaconch", f"echo '{policy.format('or', 'pass', rule)}'", monkeypatch)
    assert completed(job, batch) is None, "one rule of such a policy is enough"


# ---- what films have in themselves -----------------------------------------------------------------------------------


def test_the_checksums_of_slices(tmp_path: Path) -> None:
    film, other = tmp_path / "film.mkv", tmp_path / "other.mkv"
    make_film(film, 6, "ffv1", options={"level": "3", "slicecrc": "1", "slices": "4"})
    found = check_slices(film)
    assert found is not None and (found.slices, found.wrong, found.first_wrong) == (24, 0, None)
    make_film(other, 6, "ffv1", options={"level": "3", "slicecrc": "0", "slices": "4"})
    assert check_slices(other) is None
    make_film(other, 3, "libx264")
    assert check_slices(other) is None


@pytest.mark.slow
def test_a_wrong_checksum_is_found_where_bytes_are_accepted(tmp_path: Path) -> None:
    job = film_job(tmp_path)
    finished(job, ArchiveSettings(luma_proof=True))
    assert json.loads(Path(f"{job.target}.json").read_text())["archive"]["ffv1_slices"] == 192
    (verdict, _) = verify_batch(job.target.parent)
    assert "crc" in verdict.checked
    data = bytearray(job.target.read_bytes())
    data[len(data) // 2] ^= 1
    job.target.write_bytes(data)
    (verdict, _) = verify_batch(job.target.parent)
    assert any("1 of 192 slices have a wrong CRC" in problem for problem in verdict.problems)


def test_digests_of_chroma_are_ffmpegs(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    film = tmp_path / "f.mkv"
    make_film(film, 4, "ffv1", "yuv422p10le")
    luma, chroma = write_framemd5(film, framemd5_path(film), framemd5_path(film, "chroma"))
    graph = ["-filter_complex", "extractplanes=u+v[u][v]", "-map", "[u]", "-map", "[v]"]
    words = ["-v", "error", "-i", str(film), *graph, "-fps_mode", "passthrough", "-enc_time_base", "demux"]
    theirs = subprocess.run([ffmpeg, *words, "-f", "framemd5", "-"], capture_output=True, text=True, check=True).stdout

    def rows(text: str) -> list[list[str]]:
        lines = [re.split(r",\s*", line) for line in text.splitlines() if line[0] != "#"]
        return [[row[0], row[2], *row[4:]] for row in lines]

    def heads(text: str) -> list[str]:
        return [line for line in text.splitlines() if line[0] == "#" and not line.startswith(("#software", "#sar"))]

    assert rows(chroma.read_text()) == rows(theirs) and heads(chroma.read_text()) == heads(theirs)
    assert len(rows(theirs)) == 8 and luma.is_file()
    make_film(film, 2, "ffv1", "gray")
    assert write_framemd5(film, luma, chroma) == (luma,)
