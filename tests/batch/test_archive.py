"""Archive habits: fixity, labels, luma's digests, packages, presets read back from what was written, verification."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media import make_film, noise_planes

from videocolor.batch import bag as bag_module
from videocolor.batch.amend import accept_films, complete_films, repair_films
from videocolor.batch.archive import (
    ArchiveSettings,
    bag_path,
    finish_film,
)
from videocolor.batch.bag import bag_problems, check_archive, write_bag
from videocolor.batch.finish import merge_one, recolor_films
from videocolor.batch.framemd5 import compare_framemd5, framemd5_path, write_framemd5
from videocolor.batch.manifest import read_manifest, update_manifest
from videocolor.batch.receipts import read_receipt, receipt_fits, receipt_path
from videocolor.batch.reel import Reel
from videocolor.batch.reporting import Reporter
from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import merging, write_batch
from videocolor.batch.steps import Batch, film_steps
from videocolor.batch.verify import verify_batch
from videocolor.config import ColorizeConfig
from videocolor.errors import InputError, OutputError, UsageError
from videocolor.events import ignore
from videocolor.shards.merge import MergeReport, merge_film
from videocolor.shards.types import FilmJob, Task
from videocolor.shards.work import run_task

bagit = pytest.importorskip("bagit", reason="extra `archive` is not installed")
LABEL = "colorized by videocolor, not original color"
EVERYTHING = ArchiveSettings(
    luma_proof=True, bag=True, organization="Archiv für Film", bag_info={"Contact-Name": "N. N."}
)


def film_job(folder: Path, suffix: str = ".mkv", preset: str = "master", *overrides: str, **film: Any) -> FilmJob:
    """A reel of 12 frames, and what is to be made of it."""
    source = folder / "reels" / "reel ä 100%.mkv"
    source.parent.mkdir(parents=True, exist_ok=True)
    make_film(source, 12, "ffv1", **{"pix_fmt": "gray", "size": (96, 64), **film})
    config = ColorizeConfig.load(preset, ["model.name=constant", *overrides])
    target = folder / "out" / f"{source.stem}_colorized{suffix}"
    target.parent.mkdir(exist_ok=True)
    return FilmJob(
        source.stem, source, target, config.as_dict(), target.parent / ".videocolor" / "shards" / source.stem
    )


def colored(job: FilmJob) -> MergeReport:
    run_task(Task("t", job.as_dict(), None), lambda _: None)
    return merge_film(job)


def finished(job: FilmJob, settings: ArchiveSettings) -> None:
    """As the driver puts a film together, with receipt."""
    run_task(Task("t", job.as_dict(), None), lambda _: None)
    config = BatchConfig(archive=settings)
    merge_one(job, Batch(job.target.parent, config, film_steps()), seconds=1.0)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- labels and presets, read from what was written ------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "preset"), [(".mkv", "master"), (".mp4", "access"), (".mov", "prores"), (".mkv", "access")]
)
def test_a_derivative_says_so(suffix: str, preset: str, tmp_path: Path) -> None:
    report = colored(film_job(tmp_path, suffix, preset))
    with av.open(str(report.target)) as film:
        words = " ".join({**film.metadata, **film.streams.video[0].metadata}.values())
    assert LABEL in words
    assert report.sidecar is not None
    assert json.loads(report.sidecar.read_text())["label"] == LABEL


def extradata(path: Path) -> bytes:
    with av.open(str(path)) as film:
        return bytes(film.streams.video[0].codec_context.extradata)


def test_master_is_ffv1_version_3_with_a_checksum_in_every_slice(tmp_path: Path) -> None:
    report = colored(film_job(tmp_path))
    with av.open(str(report.target)) as film:
        stream = film.streams.video[0]
        assert stream.codec_context.name == "ffv1"
        packets = [bytes(packet) for packet in film.demux(stream) if packet.size]
        assert all(packet.is_keyframe for packet in _packets(report.target)), "every frame stands alone (g=1)"
    # Version 3 has a configuration record, closed by a CRC (RFC 9043, 4.3.2): the CRC over all of it is 0.
    record = extradata(report.target)
    assert crc32_ffv1(record) == 0
    # A slice ends in its size (3 bytes), a status byte and its CRC; the CRC over the whole slice is 0 (RFC 9043, 4.9).
    for packet in packets:
        slices = slices_of(packet)
        assert len(slices) >= 4
        assert all(crc32_ffv1(each) == 0 for each in slices)
        assert crc32_ffv1(slices[0][:-1] + bytes([slices[0][-1] ^ 1])) != 0


def _packets(path: Path) -> list[av.Packet]:
    with av.open(str(path)) as film:
        return [packet for packet in film.demux(video=0) if packet.size]


def slices_of(packet: bytes) -> list[bytes]:
    """The slices of a packet, found from its end by their footers."""
    found = []
    while packet:
        size = int.from_bytes(packet[-8:-5], "big") + 8
        found.append(packet[-size:])
        packet = packet[:-size]
    return found


def crc32_ffv1(data: bytes) -> int:
    """CRC-32 with the polynomial 0x04C11DB7, not reflected, from 0 (RFC 9043, 4.3.2)."""
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


def test_a_flipped_byte_of_a_master_is_noticed_by_the_decoder(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    report = colored(film_job(tmp_path))
    packet = _packets(report.target)[5]
    data = bytearray(report.target.read_bytes())
    at = data.index(bytes(packet)) + len(bytes(packet)) // 3
    check = [ffmpeg, "-v", "error", "-i", str(report.target), "-f", "null", "-"]
    assert subprocess.run(check, capture_output=True, text=True).stderr == ""
    data[at] ^= 0x10
    report.target.write_bytes(data)
    assert "CRC mismatch" in subprocess.run(check, capture_output=True, text=True).stderr


def test_mezzanine_is_prores_422_hq(tmp_path: Path) -> None:
    report = colored(film_job(tmp_path, ".mov", "prores"))
    with av.open(str(report.target)) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.codec_tag) == ("prores", "apch")
        assert stream.format.name == "yuv422p10le"


def test_access_is_h264_for_any_player(tmp_path: Path) -> None:
    report = colored(film_job(tmp_path, ".mp4", "access", pix_fmt="yuv422p10le", tags={"color_range": 1}))
    with av.open(str(report.target)) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.format.name) == ("h264", "yuv420p")


# ---- framemd5 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "gray", "yuv422p10le", "gray16le"])
def test_digests_are_ffmpegs(pix_fmt: str, tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    film = tmp_path / "ü.mkv"
    make_film(film, 5, "ffv1", pix_fmt, pts=[0, 40, 90, 120, 200], time_base=Fraction(1, 1000))
    (path,) = write_framemd5(film, framemd5_path(film))
    assert path == tmp_path / "ü.mkv.luma.framemd5"
    plane = [] if pix_fmt.startswith("gray") else ["-vf", "extractplanes=y"]
    words = ["-v", "error", "-i", str(film), *plane, "-fps_mode", "passthrough", "-enc_time_base", "demux"]
    theirs = subprocess.run([ffmpeg, *words, "-f", "framemd5", "-"], capture_output=True, text=True, check=True).stdout
    mine = path.read_text()

    def rows(text: str) -> list[list[str]]:
        return [re.split(r",\s*", line) for line in text.splitlines() if not line.startswith("#")]

    def heads(text: str) -> list[str]:
        return [line for line in text.splitlines() if line[0] == "#" and not line.startswith(("#software", "#sar"))]

    assert [(row[0], row[2], *row[4:]) for row in rows(mine)] == [(row[0], row[2], *row[4:]) for row in rows(theirs)]
    assert heads(mine) == heads(theirs)
    assert len(rows(mine)) == 5


def test_digests_compare_line_by_line(tmp_path: Path) -> None:
    frames = [noise_planes(64, 48, "gray", n) for n in range(6)]
    other = [[plane.copy() for plane in planes] for planes in frames]
    other[3][0][0, 0] ^= 1
    for name, planes in (("a", frames), ("b", other), ("c", frames[:5])):
        make_film(tmp_path / f"{name}.mkv", planes, "ffv1", "gray")
    a, b, c = (write_framemd5(film, framemd5_path(film))[0] for film in (tmp_path / f"{name}.mkv" for name in "abc"))
    assert compare_framemd5(a, a).same
    found = compare_framemd5(a, b)
    assert (found.frames, found.equal, found.first_difference, found.same) == (6, 5, 3, False)
    assert (compare_framemd5(a, c).other_frames, compare_framemd5(a, c).first_difference) == (5, 5)
    a.write_text("0, 1, 2\n")
    with pytest.raises(InputError, match=r"a\.mkv\.luma\.framemd5:1: not a line"):
        compare_framemd5(a, b)


# ---- a film is finished ----------------------------------------------------------------------------------------------


def test_luma_is_proved_and_the_record_says_so(tmp_path: Path) -> None:
    job = film_job(tmp_path)
    report = colored(job)
    before = {path.name for path in job.source.parent.iterdir()}
    assert finish_film(job, report, EVERYTHING, sha256(job.source)) == []
    assert {path.name for path in job.source.parent.iterdir()} == before, "nothing is written where the sources lie"
    facts = json.loads(report.sidecar.read_text())["archive"]
    assert facts["source_sha256_before"] == facts["source_sha256_after"] == sha256(job.source)
    assert facts["result_sha256"] == sha256(report.target)
    assert facts["luma"]["frames"] == facts["luma"]["equal"] == 12
    assert facts["luma"]["untouched"] is True
    digests = [framemd5_path(report.target, of).read_text() for of in ("luma", "source-luma")]
    columns = [[line.split(",")[4:] for line in text.splitlines() if line[0] != "#"] for text in digests]
    assert columns[0] == columns[1]
    assert len(columns[0]) == 12


def test_the_record_holds_what_an_archive_needs(tmp_path: Path) -> None:
    job = film_job(tmp_path)
    report = colored(job)
    record = json.loads(report.sidecar.read_text())
    assert record["source"]["sha256"] == sha256(job.source)
    assert record["config"]["output"]["codec"] == "ffv1"
    assert record["shots"][0]["start"] == 0
    assert record["shots"][-1]["end"] == 12
    assert {"matrix", "range"} <= set(record["assumed_color"]["assumed"]), "the reel states neither"
    assert "sha256" in record["model"]
    assert {"hints", "warnings", "restored"} <= set(record)


def test_a_lossy_copy_proves_nothing_and_says_so(tmp_path: Path) -> None:
    job = film_job(tmp_path, ".mp4", "access")
    report = colored(job)
    (warning,) = finish_film(job, report, ArchiveSettings(luma_proof=True), sha256(job.source))
    assert "lossy" in warning
    facts = json.loads(report.sidecar.read_text())["archive"]["luma"]
    assert facts["untouched"] is False
    assert "libx264 is a lossy codec" in facts["expected"]


def test_a_part_of_a_film_is_compared_with_that_part(tmp_path: Path) -> None:
    job = film_job(tmp_path, ".mkv", "master", "input.start=0.125", "input.end=0.375")
    report = colored(job)
    assert report.frames == 6
    assert finish_film(job, report, ArchiveSettings(luma_proof=True), sha256(job.source)) == []


def test_a_lossless_film_of_other_luma_is_refused(tmp_path: Path) -> None:
    job = film_job(tmp_path)
    report = colored(job)
    make_film(report.target, 12, "ffv1", "yuv420p", size=(96, 64), pts=range(12), time_base=Fraction(1, 24))
    frames = [noise_planes(96, 64, "gray", n) for n in range(12)]
    frames[4][0][5, 5] ^= 1
    neutral = np.full((32, 48), 128, np.uint8)
    make_film(report.target, [[*planes, neutral, neutral] for planes in frames], "ffv1", "yuv420p", size=(96, 64))
    with pytest.raises(OutputError, match=r"luma of frame 4 .*\(11 of 12"):
        finish_film(job, report, ArchiveSettings(luma_proof=True), sha256(job.source))


def test_an_altered_source_is_an_error_that_names_both(tmp_path: Path) -> None:
    job = film_job(tmp_path)
    report = colored(job)
    before = sha256(job.source)
    with job.source.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x00")
    with pytest.raises(InputError) as caught:
        finish_film(job, report, ArchiveSettings(), before)
    for word in (str(job.source), before, sha256(job.source), str(report.target)):
        assert word in str(caught.value)


# ---- packages --------------------------------------------------------------------------------------------------------


def test_a_film_is_packaged(tmp_path: Path) -> None:
    job = film_job(tmp_path)
    report = colored(job)
    for _ in range(2):  # a run that was killed behind it does it again
        finish_film(job, report, EVERYTHING, sha256(job.source))
        report = dataclasses.replace(report)
    bag = bag_path(report.target)
    assert bag.name == "reel ä 100%_colorized.mkv.bag"
    library = bagit.Bag(str(bag))
    library.validate()
    ends = ("", ".json", ".luma.framemd5", ".chroma.framemd5", ".source-luma.framemd5")
    names = {f"data/{report.target.name}{end}" for end in ends}
    assert set(library.payload_files()) == names
    assert library.entries[f"data/{report.target.name}"] == {"sha256": sha256(report.target)}
    assert library.info["Source-Organization"] == "Archiv für Film"
    assert library.info["Contact-Name"] == "N. N."
    assert library.info["Source-SHA256"] == sha256(job.source)
    assert LABEL in library.info["External-Description"]
    inside = bag / "data" / report.target.name
    assert inside.stat().st_ino == report.target.stat().st_ino, "a second name, not a second copy"
    assert sorted(path.name for path in bag.parent.iterdir() if path.name.startswith(".")) == [".videocolor"]
    assert os.getcwd() == str(Path.cwd())


@pytest.mark.parametrize("harm", ["flip", "remove", "add", "manifest", "info"])
def test_harm_to_a_package_is_found(harm: str, tmp_path: Path) -> None:
    payload = tmp_path / "film.mkv"
    payload.write_bytes(b"0123456789" * 100)
    bag = write_bag(tmp_path / "film.bag", {payload: None}, {"Contact-Name": "two\nlines"})
    assert bag_problems(bag) == []
    assert "Contact-Name: two lines\n" in (bag / "bag-info.txt").read_text()
    inside = bag / "data" / "film.mkv"
    if harm == "flip":
        inside.write_bytes(b"1" + payload.read_bytes()[1:])
    elif harm == "remove":
        inside.unlink()
    elif harm == "add":
        (bag / "data" / "other").touch()
    elif harm == "manifest":
        (bag / "manifest-sha256.txt").write_text(f"{'0' * 64}  data/film.mkv\n")
    else:
        (bag / "bag-info.txt").unlink()
    assert bag_problems(bag)


def test_a_package_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = tmp_path / "film.mkv"
    payload.write_bytes(b"film")
    bag = tmp_path / "film.bag"
    with pytest.raises(InputError, match="is missing"):
        write_bag(bag, {payload: None, tmp_path / "no.json": None}, {})
    with pytest.raises(OutputError, match="is damaged"):
        write_bag(bag, {payload: "0" * 64}, {})
    strange = tmp_path / os.fsdecode(b"f\xff.mkv")
    strange.touch()
    with pytest.raises(OutputError, match="not Unicode"):
        write_bag(bag, {strange: None}, {})
    strange.unlink()
    assert list(tmp_path.iterdir()) == [payload]
    write_bag(bag, {payload: None}, {})
    with pytest.raises(OutputError, match="exists"):
        write_bag(bag, {payload: None}, {})
    monkeypatch.setattr(os, "link", _no_links)
    write_bag(bag, {payload: None}, {}, replace=True)
    assert (bag / "data" / "film.mkv").stat().st_ino != payload.stat().st_ino
    assert bag_problems(bag) == []


def test_a_package_is_replaced_without_a_moment_of_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    payload, bag = tmp_path / "film.mkv", tmp_path / "film.bag"
    payload.write_bytes(b"film")
    write_bag(bag, {payload: None}, {"Contact-Name": "before"})
    replace, done = os.replace, []

    def killed(*paths: Any) -> None:
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(replace(*paths))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        patch.setattr(bag_module, "settle_bag", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            write_bag(bag, {payload: None}, {"Contact-Name": "after"}, replace=True)
    assert not bag.exists()
    bag_module.settle_bag(bag)
    assert "before" in (bag / "bag-info.txt").read_text() and bag_problems(bag) == []
    assert sorted(tmp_path.iterdir()) == [bag, payload]
    write_bag(bag, {payload: None}, {"Contact-Name": "after"}, replace=True)
    assert "after" in (bag / "bag-info.txt").read_text() and sorted(tmp_path.iterdir()) == [bag, payload]


def _no_links(*_: Any) -> None:
    raise OSError("no hard links here")


def test_without_the_library_a_package_is_refused_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    check_archive(ArchiveSettings())
    with pytest.raises(UsageError, match=r"videocolor\[archive\]"):
        check_archive(ArchiveSettings(bag=True))
    assert bag_module.__doc__


# ---- verification ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result folder with film, record, report, proofs and package; not to be changed."""
    folder = tmp_path_factory.mktemp("proved")
    job = film_job(folder, ".mkv", "master", "output.report=true", audio=[{"language": "deu"}])
    finished(job, EVERYTHING)
    (folder / "out" / ".videocolor" / "status.json").write_text("{}")  # of the driver; proves nothing
    return folder


@pytest.fixture
def copied(proved: Path, tmp_path: Path) -> Path:
    """A copy of the result folder, under another name."""
    return Path(shutil.copytree(proved / "out", tmp_path / "copy"))


def problems_of(out: Path) -> list[str]:
    return [problem for verdict in verify_batch(out, decode=False) for problem in verdict.problems]


def files_of(out: Path) -> list[Path]:
    return sorted(path for path in out.rglob("*") if path.is_file() and path.name != "status.json")


def test_a_copy_proves_itself(proved: Path, copied: Path) -> None:
    verdict, rest = verify_batch(copied)
    assert verdict.ok and rest.ok, (verdict.problems, rest.problems)
    assert verdict.target.parent == copied
    assert verdict.checked == ("files", "source", "frames", "times", "sound", "crc", "luma")
    (sound,) = json.loads(next(copied.glob("*.json")).read_text())["copied"]
    assert sound["stream"] == "audio stream 1 (pcm_s16le) deu" and sound["packets"] > 0
    assert json.loads(json.dumps(verdict.as_dict()))["ok"] is True
    check = ["sha256sum", "-c", "--quiet", "--strict", "manifest-sha256.txt"]
    assert subprocess.run(check, cwd=copied, capture_output=True, text=True, check=True).stdout == ""
    listed = {line[66:] for line in (copied / "manifest-sha256.txt").read_text().splitlines()}
    assert listed == {str(path.relative_to(copied)) for path in files_of(copied)} - {"manifest-sha256.txt"}
    assert len(listed) == 17
    (quick,) = verify_batch(copied, [verdict.name], decode=False)
    assert quick.checked == ("files", "source")


@pytest.mark.slow
def test_no_byte_of_a_result_folder_changes_unseen(copied: Path) -> None:
    assert problems_of(copied) == []
    for path in files_of(copied):
        data = path.read_bytes()
        for place in {0, len(data) // 3, len(data) // 2, len(data) - 1}:
            for bit in (1, 0x20):
                path.write_bytes(data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :])
                assert problems_of(copied), (path, place, bit)
        assert any(path.name in text for text in problems_of(copied)), path
        path.write_bytes(data)
        path.rename(path.with_name("elsewhere"))
        assert any(path.name in text and "missing" in text for text in problems_of(copied)), path
        path.with_name("elsewhere").rename(path)
    assert problems_of(copied) == []


def test_no_byte_of_a_manifest_changes_unseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    update_manifest(tmp_path, (), {name: f"{number}" * 64 for number, name in enumerate(["a b", "\\\n"])})
    before, data = read_manifest(tmp_path), (tmp_path / "manifest-sha256.txt").read_bytes()
    assert len(before[0]) == 2 and not before[1]
    for place, byte in enumerate(data):
        others = [bytes([other]) for other in {byte ^ 1, *b"* \n\\"} - {byte}]
        for other in (*others, b""):
            changed = data[:place] + other + data[place + 1 :]
            monkeypatch.setattr("videocolor.batch.manifest._read", lambda _, changed=changed: changed)
            assert read_manifest(tmp_path) != before, (place, other)


def test_swapped_and_added_files_are_named(copied: Path) -> None:
    for first, second in itertools.pairwise(files_of(copied)):
        one, other = first.read_bytes(), second.read_bytes()
        if one == other:
            continue
        first.write_bytes(other), second.write_bytes(one)
        found = problems_of(copied)
        assert any(first.name in text for text in found) and any(second.name in text for text in found)
        first.write_bytes(one), second.write_bytes(other)
    for name in ("more.mkv", "sub/b.txt", ".videocolor/films/z.json"):
        path = copied / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
        assert f"{name}: was added; no finished film has it" in problems_of(copied)
        assert len(problems_of(copied)) == (2 if name.endswith("json") else 1)
        path.unlink()


def test_a_folder_whose_files_are_gone_is_no_success(copied: Path, tmp_path: Path) -> None:
    for path in files_of(copied):
        if path != copied / "manifest-sha256.txt":
            path.unlink()
    assert len(problems_of(copied)) == 17
    with pytest.raises(UsageError, match="no film was finished"):
        verify_batch(tmp_path)
    with pytest.raises(UsageError, match="nobody"):
        verify_batch(copied, ["nobody"])


def test_other_luma_is_found_whatever_the_hashes_say(copied: Path) -> None:
    (receipt,) = (copied / ".videocolor" / "films").iterdir()
    target = next(copied.glob("*.mkv"))
    frames = [noise_planes(96, 64, "gray", n + 1) for n in range(12)]
    neutral = np.full((32, 48), 128, np.uint8)
    was = sha256(target)
    make_film(target, [[*planes, neutral, neutral] for planes in frames], "ffv1", "yuv420p", size=(96, 64))
    receipt.write_text(receipt.read_text().replace(was, sha256(target)))
    verdict, _ = verify_batch(copied)
    assert any("luma differs" in problem for problem in verdict.problems)


def test_a_changed_or_absent_source_is_told(tmp_path: Path) -> None:
    job = film_job(tmp_path)
    finished(job, ArchiveSettings())
    job.source.write_bytes(job.source.read_bytes()[:-1] + b"\x7f")
    (verdict,) = verify_batch(job.target.parent, [job.name], decode=False)
    assert "the source has changed" in verdict.problems[0]
    shutil.rmtree(job.source.parent)
    (verdict,) = verify_batch(job.target.parent, [job.name])
    assert verdict.ok and "is not there" in verdict.notes[0] and "source" not in verdict.checked


def test_a_folder_of_version_0_1_0_is_verified_as_far_as_it_can_be(copied: Path) -> None:
    (copied / "manifest-sha256.txt").unlink()
    assert "manifest-sha256.txt: is missing or empty" in problems_of(copied)
    (path,) = (copied / ".videocolor" / "films").iterdir()
    receipt = json.loads(path.read_text())
    target = copied / receipt["target"]
    for key in ("files", "luma_differs", "config"):
        del receipt[key]
    path.write_text(json.dumps({**receipt, "target": f"/old/place/{target.name}", "sha256": sha256(target)}))
    verdict, rest = verify_batch(copied)
    assert verdict.ok and rest.ok and "0.1.0" in verdict.notes[0]
    target.write_bytes(target.read_bytes()[:-1])
    assert "has changed" in verify_batch(copied)[0].problems[0]


def test_names_are_escaped_as_sha256sum_does(tmp_path: Path) -> None:
    names = ["a b.mkv", "back\\slash", "new\nline", "\\n", "ü.mkv"]
    for name in names:
        (tmp_path / name).write_text(name)
    update_manifest(tmp_path, (), {name: sha256(tmp_path / name) for name in names})
    subprocess.run(["sha256sum", "-c", "--strict", "manifest-sha256.txt"], cwd=tmp_path, check=True)
    entries, problems = read_manifest(tmp_path)
    assert set(entries) == set(names) and not problems
    update_manifest(tmp_path, names[1:], {})
    assert set(read_manifest(tmp_path)[0]) == {"a b.mkv"}


@pytest.mark.slow
def test_a_package_follows_its_film(tmp_path: Path) -> None:
    job = film_job(tmp_path)
    finished(job, ArchiveSettings(bag=True))
    again = {**job.config, "chroma": {**job.config["chroma"], "saturation": 0.5}}
    job = dataclasses.replace(job, config={**again, "output": {**job.config["output"], "overwrite": True}})
    finished(job, ArchiveSettings())
    verdict, rest = verify_batch(job.target.parent, decode=False)
    assert verdict.ok and rest.ok, (verdict.problems, rest.problems)
    assert sha256(bag_path(job.target) / "data" / job.target.name) == sha256(job.target)


# ---- later -----------------------------------------------------------------------------------------------------------


def test_what_is_asked_for_later_is_made_without_coloring(tmp_path: Path) -> None:
    job = film_job(tmp_path)
    finished(job, ArchiveSettings())
    out, target = job.target.parent, job.target
    before = target.read_bytes()
    job.config["output"]["report"] = True
    batch = Batch(out, BatchConfig(archive=EVERYTHING), film_steps())
    for made in (True, False):
        reel = Reel(job, 0, receipt=read_receipt(out, job.name))
        complete_films([reel], batch, Reporter(out, [reel], (), ignore))
        assert reel.error is None and reel.receipt is not None
        assert len(reel.receipt.files) == 16
        assert (reel.receipt == read_receipt(out, job.name)) and target.read_bytes() == before, made
    assert problems_of(out) == []
    assert json.loads(Path(f"{target}.json").read_text())["archive"]["luma"]["untouched"] is True
    Path(f"{target}.json").write_text("{}")
    fewer = {name: digest for name, digest in reel.receipt.files.items() if ".bag/" not in name}
    reel = Reel(job, 0, receipt=dataclasses.replace(reel.receipt, files=fewer))
    complete_films([reel], batch, Reporter(out, [reel], (), ignore))
    assert "mkv.json: missing or changed" in str(reel.error), "nothing that has changed is sealed in passing"
    assert problems_of(out)


def test_what_can_be_mended_is_mended(proved: Path, copied: Path) -> None:
    name = "reel ä 100%"
    target = copied / f"{name}_colorized.mkv"
    for path in (target, Path(f"{target}.json")):
        path.write_bytes(b"damaged")  # the package has copies
    framemd5_path(target).unlink()
    (bag_path(target) / "data" / framemd5_path(target).name).unlink()
    (bag_path(target) / "bag-info.txt").write_text("x")
    assert len(problems_of(copied)) == 5
    done = repair_films(copied)
    assert done == {name: "4 files restored from their copies, proofs, report or package made again"}
    assert problems_of(copied) == [] and repair_films(copied) == {}
    for path in (target, bag_path(target) / "data" / target.name):
        path.write_bytes(b"damaged")
    assert "colors it again" in repair_films(copied)[name]
    assert read_receipt(copied, name) is None


def test_a_change_on_purpose_is_accepted_with_its_reason(copied: Path, proved: Path) -> None:
    name = "reel ä 100%"
    target = copied / f"{name}_colorized.mkv"
    os.link(target, copied / "keep")
    with target.open("ab") as film:
        film.write(bytes(1))
    (copied / "keep").unlink()
    assert problems_of(copied)
    accept_films(copied, [name], "a splice was corrected")
    verdict, rest = verify_batch(copied, decode=False)
    assert verdict.ok and rest.ok and any("a splice was corrected" in note for note in verdict.notes)
    receipt = read_receipt(copied, name)
    assert receipt is not None
    config = {**receipt.config, "chroma": {**receipt.config["chroma"], "saturation": 0.5}}
    job = FilmJob(name, Path(receipt.source), target, config, copied / ".videocolor" / "shards" / name)
    assert receipt_fits(receipt, job)
    assert not receipt_fits(dataclasses.replace(receipt, accepted=()), job)
    job.config["output"] = {**config["output"], "overwrite": True}
    assert not receipt_fits(receipt, job)


NAME = "reel ä 100%"


def test_a_film_that_was_cut_on_purpose_is_compared_by_its_bytes(copied: Path) -> None:
    target = copied / f"{NAME}_colorized.mkv"
    accept_films(copied, [NAME], "other settings are asked for")
    assert "luma" in verify_batch(copied)[0].checked
    target.unlink()
    make_film(target, 5, "ffv1", "yuv420p", size=(96, 64))
    accept_films(copied, [NAME], "the leader was cut off")
    verdict, rest = verify_batch(copied)
    assert verdict.ok and rest.ok and verdict.checked == ("files", "source")
    assert any("not compared" in note for note in verdict.notes)
    target.write_bytes(target.read_bytes() + b"x")
    assert not verify_batch(copied)[0].ok


def test_a_luma_proof_of_a_film_that_was_cut_on_purpose_counts_its_frames(copied: Path) -> None:
    target = copied / f"{NAME}_colorized.mkv"
    target.unlink()
    make_film(target, 11, "ffv1", "yuv420p", size=(96, 64))
    accept_films(copied, [NAME], "a frame was cut out")
    job, batch = later(copied, bag_info={"External-Identifier": "K 7"})
    assert completed(job, batch) is None and problems_of(copied) == []
    receipt = read_receipt(copied, NAME)
    assert receipt is not None and "it was accepted after a change; 11 of 12 frames equal" in receipt.warnings[-1]


def later(out: Path, **asked: Any) -> tuple[FilmJob, Batch]:
    """The film of `copied`, and a batch that asks for more than it has."""
    receipt = read_receipt(out, NAME)
    assert receipt is not None
    shards = out / ".videocolor" / "shards" / NAME
    job = FilmJob(NAME, Path(receipt.source), out / receipt.target, receipt.config, shards)
    return job, Batch(out, BatchConfig(archive=EVERYTHING.model_copy(update=asked)), film_steps())


def bytes_of(out: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in files_of(out)}


def completed(job: FilmJob, batch: Batch) -> str | None:
    reel = Reel(job, 0, receipt=read_receipt(batch.out, job.name))
    complete_films([reel], batch, Reporter(batch.out, [reel], (), ignore))
    return reel.error


def test_a_repair_that_fails_removes_nothing(copied: Path) -> None:
    path = receipt_path(copied, NAME)
    text = path.read_text().replace("/reels/", "/away/")
    path.write_text(text)
    update_manifest(copied, (), {path.relative_to(copied).as_posix(): sha256(path)})
    page = next(copied.glob("*.html"))
    for file in (page, bag_path(copied / f"{NAME}_colorized.mkv") / "data" / page.name):
        file.write_bytes(b"damaged")
    before = bytes_of(copied)
    assert "cannot be repaired" in repair_films(copied)[NAME]
    assert {file: data for file, data in bytes_of(copied).items() if file.name != "driver.lock"} == before


def test_an_altered_receipt_is_not_sealed_again(copied: Path) -> None:
    path = receipt_path(copied, NAME)
    path.write_text(path.read_text().replace('"seconds": 1.0', '"seconds": 2.0'))
    framemd5_path(copied / f"{NAME}_colorized.mkv").unlink()
    before = path.read_text()
    assert "is not the receipt" in repair_films(copied)[NAME]
    assert path.read_text() == before and problems_of(copied)


def test_films_of_version_0_1_0_are_not_repaired(copied: Path) -> None:
    path = receipt_path(copied, NAME)
    receipt = json.loads(path.read_text())
    path.write_text(
        json.dumps({**receipt, "target": f"/old/{receipt['target']}", "files": {f"/old/{receipt['target']}": ""}})
    )
    assert "0.1.0" in repair_films(copied)[NAME]
    assert path.is_file()


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_a_completion_that_stops_is_done_by_the_next_run(
    killed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = film_job(tmp_path)
    finished(job, ArchiveSettings())
    out = job.target.parent
    record = Path(f"{job.target}.json").read_text()
    batch = Batch(out, BatchConfig(archive=ArchiveSettings(luma_proof=True, bag=True)), film_steps())

    def full(*_: Any, **__: Any) -> None:
        raise OutputError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("videocolor.batch.archive.write_bag", full)
        if killed:
            patch.setattr("videocolor.batch.amend._settle", lambda *_: False)
        assert "full" in str(completed(job, batch))
    assert (Path(f"{job.target}.json").read_text() == record) is not killed
    assert completed(job, batch) is None
    assert problems_of(out) == []
    assert not list((out / ".videocolor" / "amending").iterdir())


def test_an_amendment_whose_tar_fails_after_its_package_is_done_by_the_next_run(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, batch = later(copied, bag_tar=True)

    def full(*_: Any) -> None:
        raise OutputError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("videocolor.batch.archive.write_tar", full)
        for _ in range(2):
            assert completed(job, batch) == "the disk is full"
    assert completed(job, batch) is None and problems_of(copied) == []
    assert Path(f"{job.target}.bag.tar").is_file()
    assert not list((copied / ".videocolor" / "amending").iterdir())


def test_an_amendment_that_was_killed_before_its_receipt_is_done_by_the_next_run(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, batch = later(copied, bag_info={"External-Identifier": "K 7"})

    def killed(*_: Any) -> None:
        raise OutputError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("videocolor.batch.amend.write_receipt", killed)
        patch.setattr("videocolor.batch.amend._settle", lambda *_: False)
        assert completed(job, batch) == "killed"
    assert problems_of(copied)
    assert completed(job, batch) is None and problems_of(copied) == []
    assert "External-Identifier: K 7\n" in (bag_path(job.target) / "bag-info.txt").read_text(), "asked for later"
    before = bytes_of(copied)
    assert completed(job, batch) is None and bytes_of(copied) == before


def test_a_receipt_that_was_not_put_in_place_is_when_the_manifest_lists_it(copied: Path) -> None:
    path = receipt_path(copied, NAME)
    now = path.read_text()
    path.with_suffix(".new").write_text(now)
    path.write_text(now.replace('"seconds": 1.0', '"seconds": 2.0'))
    assert repair_films(copied) == {} and problems_of(copied) == []
    path.with_suffix(".new").write_text("{}")
    assert repair_films(copied) == {} and path.read_text() == now


def test_other_folders_and_films_are_left_alone(copied: Path, tmp_path: Path) -> None:
    typo = tmp_path / "typo"
    for amend in (lambda: repair_films(typo), lambda: accept_films(typo, [NAME], "x")):
        with pytest.raises(UsageError, match="no film was finished"):
            amend()
    assert not typo.exists()
    with pytest.raises(UsageError, match="nobody"):
        accept_films(copied, [NAME, "nobody"], "x")
    receipt = read_receipt(copied, NAME)
    assert receipt is not None and not receipt.accepted


def test_shots_are_not_colored_again_in_a_film_that_has_changed(copied: Path) -> None:
    receipt = read_receipt(copied, NAME)
    assert receipt is not None
    target = copied / receipt.target
    job = FilmJob(NAME, Path(receipt.source), target, receipt.config, copied / ".videocolor" / "shards" / NAME)

    def failed() -> str:
        reel = Reel(job, 0)
        batch = Batch(copied, BatchConfig(), film_steps())
        recolor_films([reel], [98], (), batch, Reporter(copied, [reel], (), ignore), ignore)
        return str(reel.error)

    assert "there is no shot 99" in failed() and not merging(job)
    target.write_bytes(target.read_bytes() + b"x")
    assert "has changed since it was finished" in failed() and not merging(job)


# ---- folders that were tampered with ---------------------------------------------------------------------------------


def receipt_of(out: Path) -> tuple[Path, dict[str, Any]]:
    (path,) = (out / ".videocolor" / "films").iterdir()
    return path, json.loads(path.read_text())


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("files", ["a"], "files: Input should be a valid dictionary"),
        ("files", {"../x": "0" * 64}, "'../x' is outside"),
        ("files", {"/etc/passwd": "0" * 64}, "'/etc/passwd' is outside"),
        ("target", "/old/../../x", "outside"),
        ("name", "../x", "is no name of a film"),
        ("accepted", [{"reason": "x"}], "lacks date or reason"),
        ("later", 1, "later: unknown"),
        ("source_state", {"bytes": 1}, "mtime_ns"),
    ],
)
def test_an_odd_receipt_is_the_problem_of_one_film(key: str, value: Any, message: str, copied: Path) -> None:
    path, receipt = receipt_of(copied)
    shutil.copy(path, path.with_name("z.json"))
    value = {**receipt["files"], **value} if key == "files" and isinstance(value, dict) else value
    path.write_text(json.dumps({**receipt, key: value}))
    verdicts = verify_batch(copied, decode=False)
    assert len(verdicts) == 3 and "files" not in verdicts[0].checked and "source" in verdicts[1].checked
    (problem,) = verdicts[0].problems
    assert message in problem and path.name in problem
    assert read_receipt(copied, path.stem) is None


def test_the_configuration_of_another_version_ends_no_verification(copied: Path) -> None:
    path, receipt = receipt_of(copied)
    receipt["config"]["output"]["future"] = 1
    path.write_text(json.dumps(receipt))
    assert "luma" in verify_batch(copied)[0].checked
    receipt["config"]["input"]["future"] = 1
    path.write_text(json.dumps(receipt))
    assert any("future" in problem for problem in verify_batch(copied)[0].problems)


def test_the_lines_of_a_damaged_manifest_are_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest, ours = tmp_path / "manifest-sha256.txt", tmp_path / ".manifest-sha256.txt.abcdefgh"
    theirs = tmp_path / ".manifest-sha256.txt.backup-of-mine"
    ours.touch(), theirs.touch()
    bad = ["rubbish", f"{'1' * 64}  ../x", f"{'1' * 64}  /etc/passwd", f"{'2' * 64}  a"]
    manifest.write_text("\n".join([f"{'0' * 64}  a", *bad, f"{'0' * 64}  b"]))
    entries, problems = read_manifest(tmp_path)
    assert entries == {"a": "0" * 64} and len(problems) == 5 and all("batch accept" in text for text in problems)
    update_manifest(tmp_path, (), {"c": "3" * 64})
    assert manifest.read_text() == f"{'0' * 64}  a\n{'3' * 64}  c\n" and len(caplog.messages) == 5
    assert theirs.exists() and not ours.exists()
    update_manifest(tmp_path, (), {})
    assert len(caplog.messages) == 5, "said once"


def test_links_and_pipes_prove_nothing(copied: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-as", str(copied), str(tmp_path / "links")], check=True)
    found = problems_of(tmp_path / "links")
    assert len([text for text in found if text.endswith("is a link")]) == 18, found
    (copied / "more").symlink_to(tmp_path)
    assert problems_of(copied) == ["more: was added; no finished film has it"]
    (copied / "more").unlink()
    bag = next(copied.glob("*.bag"))
    bag.rename(tmp_path / "bag")
    bag.symlink_to(tmp_path / "bag")
    assert f"{bag.name}/bagit.txt: {bag.name} is a link" in problems_of(copied)
    target = next(copied.glob("*.mkv"))
    target.unlink()
    os.mkfifo(target)
    assert f"{target.name}: is not a regular file" in problems_of(copied)


def test_nothing_is_no_success(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "manifest-sha256.txt").touch()
    assert "lists no file" in problems_of(tmp_path / "none")[0]
    job = film_job(tmp_path / "asked")
    write_batch(copied, {}, [dataclasses.replace(job, name="lost")])
    assert verify_batch(copied, decode=False)[-1].notes == ("asked for, and not finished: lost",)


def test_the_images_of_a_pattern_are_checked(copied: Path, tmp_path: Path) -> None:
    path, receipt = receipt_of(copied)
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "f_001.png").write_bytes(b"changed")
    path.write_text(json.dumps({**receipt, "source": str(frames / "f_%03d.png")}))
    assert any("the source has changed" in text for text in problems_of(copied))
    (frames / "f_001.png").unlink()
    assert "is not there" in verify_batch(copied, decode=False)[0].notes[0]
