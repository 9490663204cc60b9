"""Building: same bytes, resumed or not; what is refused, skipped and said; what lies in the folder."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from media import make_film
from pairs_helpers import color_film, config, moving_planes, tree

from videocolor.datasets.pairs import build as build_module
from videocolor.datasets.pairs import sourcework
from videocolor.datasets.pairs.build import build_pairs
from videocolor.datasets.pairs.manifest import frame_name, read_manifest
from videocolor.datasets.pairs.verify import verify_pairs
from videocolor.errors import InputError, OutputError
from videocolor.events import Event

KEYS = [
    *("pair_id", "source", "source_sha256", "original_pts", "hint_pts", "time_base", "offset_s", "shot"),
    *("distance", "decision", "split", "licence", "settings"),
]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three films of 60 frames a second; the second has a cut."""
    folder = tmp_path_factory.mktemp("films")
    color_film(folder / "a.mp4", 5, scenes=(1,))
    color_film(folder / "b.mp4", 8, scenes=(2, 3))
    color_film(folder / "c.mkv", 4, scenes=(4,))
    return folder


@pytest.fixture(scope="module")
def built(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "pairs"
    result = build_pairs([films], folder, config("sampling.rate=2"), shards=True)
    assert result.ok, result.refused + result.failed
    return folder


def test_the_manifest(built: Path) -> None:
    lines = [json.loads(line) for line in (built / "manifest.jsonl").read_text().splitlines()]
    assert len(lines) > 15
    for line in lines:
        assert list(line) == KEYS
        base = Fraction(line["time_base"])
        offset = (line["hint_pts"] - line["original_pts"]) * base
        assert line["offset_s"] == float(offset)
        assert 1 <= abs(offset) <= 5
        assert line["source_sha256"] == hashlib.sha256(Path(line["source"]).read_bytes()).hexdigest()
        assert line["licence"] == "not stated"
    second = [line for line in lines if line["source"].endswith("b.mp4")]
    assert {line["shot"] for line in second} == {1, 2}
    for line in second:  # the cut is at 4 s
        times = [line[key] * Fraction(line["time_base"]) for key in ("original_pts", "hint_pts")]
        assert {time >= 4 for time in times} == {line["shot"] == 2}
    assert verify_pairs(built) == []


def test_stored_frames_are_the_films(built: Path) -> None:
    """Against the pictures the film was made of, converted by hand (BT.601, limited range)."""
    record = next(r for r in read_manifest(built) if r.source.endswith("a.mp4"))
    number = round(record.seconds("original") * 60)
    y, cb, cr = (plane.astype(float) for plane in moving_planes(number, 1))
    cb, cr = (cv2.resize(plane, (96, 64), interpolation=cv2.INTER_LINEAR) for plane in (cb, cr))
    y, cb, cr = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], -1).clip(0, 1) * 255
    stored = cv2.imread(str(built / frame_name(record.source_sha256, record.original_pts)))[..., ::-1]
    assert stored.shape == (64, 96, 3)
    assert np.abs(stored - rgb).mean() < 4


def test_nothing_gray_is_stored(built: Path) -> None:
    for path in (built / "frames").rglob("*.jpg"):
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert picture.ndim == 3 and np.ptp(picture.astype(int), axis=2).mean() > 5


@pytest.mark.slow
def test_same_inputs_same_bytes(built: Path, films: Path, tmp_path: Path) -> None:
    build_pairs(
        [films / "c.mkv", films / "b.mp4", films / "a.mp4"], tmp_path / "again", config("sampling.rate=2"), shards=True
    )
    assert tree(tmp_path / "again") == tree(built)


@pytest.mark.slow
def test_interrupted_and_resumed_gives_the_same_bytes(
    built: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the midst of the second film's frames."""
    put, calls = sourcework.FrameStore.put, []

    def stop(self: Any, sha256: str, *args: Any, **more: Any) -> None:
        calls.append(sha256)
        if len(set(calls)) == 2 and calls.count(sha256) == 3:
            raise KeyboardInterrupt
        put(self, sha256, *args, **more)

    monkeypatch.setattr(sourcework.FrameStore, "put", stop)
    folder = tmp_path / "pairs"
    with pytest.raises(KeyboardInterrupt):
        build_pairs([films], folder, config("sampling.rate=2"), shards=True)
    assert not (folder / "manifest.jsonl").exists()
    monkeypatch.undo()
    result = build_pairs([films], folder, config("sampling.rate=2"), shards=True)
    assert (result.reused, result.built) == (1, 2)
    assert tree(folder) == tree(built)


@pytest.mark.slow
def test_adding_a_film_changes_no_other(built: Path, films: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    build_pairs([films / "a.mp4"], folder, config("sampling.rate=2"))
    alone = (folder / "manifest.jsonl").read_text().splitlines()
    result = build_pairs([films / "b.mp4", films / "c.mkv"], folder, config("sampling.rate=2"))
    assert (result.sources, result.built) == (3, 2)
    both = (folder / "manifest.jsonl").read_text().splitlines()
    assert set(alone) < set(both)
    assert both == (built / "manifest.jsonl").read_text().splitlines()


@pytest.mark.slow
def test_the_seed_and_the_settings_count(built: Path, films: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(built, tmp_path / "pairs")
    shutil.rmtree(folder / "shards")
    before = {r.pair_id for r in read_manifest(folder)}
    result = build_pairs([films], folder, config("sampling.rate=2", "sampling.seed=1"))
    assert result.built == 3
    after = {r.pair_id for r in read_manifest(folder)}
    assert before != after
    hashes = (folder / "files.sha256").read_text()
    (folder / "files.sha256").write_text(
        "\n".join(line for line in hashes.splitlines() if "shards/" not in line) + "\n"
    )
    assert verify_pairs(folder) == [], "frames of the earlier settings are gone"


def test_the_pile_goes_on_past_bad_files(films: Path, tmp_path: Path) -> None:
    pile = tmp_path / "pile"
    pile.mkdir()
    shutil.copy(films / "a.mp4", pile / "good.mp4")
    data = (films / "b.mp4").read_bytes()
    (pile / "cut.mp4").write_bytes(data[: len(data) // 2])
    (pile / "noise.mp4").write_bytes(np.random.default_rng(1).bytes(5000))
    (pile / "empty.mp4").write_bytes(b"")
    (pile / "picture.png").write_bytes(b"no picture")
    messages: list[str] = []

    def hear(event: Event) -> None:
        if event.kind == "warning":
            messages.append(event.data["message"])

    result = build_pairs([pile], tmp_path / "pairs", config(), observer=hear)
    assert not result.ok
    assert len(result.failed) == 4
    assert {Path(r.source).name for r in read_manifest(tmp_path / "pairs")} == {"good.mp4"}
    assert verify_pairs(tmp_path / "pairs") == []
    for name in ("cut.mp4", "noise.mp4", "empty.mp4", "picture.png"):
        assert any(name in message and "skipped" in message for message in messages), name


@pytest.mark.slow
def test_a_film_with_a_damaged_stretch_is_skipped_unless_wanted(films: Path, tmp_path: Path) -> None:
    data = bytearray((films / "a.mp4").read_bytes())
    for place in range(len(data) // 2, len(data) // 2 + 3000):
        data[place] ^= 0x5A
    (tmp_path / "hurt.mp4").write_bytes(bytes(data))
    result = build_pairs([tmp_path / "hurt.mp4"], tmp_path / "a", config())
    assert not result.ok and "input.damaged=use" in result.failed[0]
    result = build_pairs([tmp_path / "hurt.mp4"], tmp_path / "b", config("input.damaged=use", "sampling.rate=3"))
    assert result.ok and sum(result.decisions.values()) > 0


Maker = Callable[[Path], Path]


def slow(folder: Path) -> Path:
    color_film(folder / "slow.mp4", 4, Fraction(30))
    return folder / "slow.mp4"


def repeated(folder: Path) -> Path:
    color_film(folder / "twice.mp4", 4, repeat=2)
    return folder / "twice.mp4"


def short(folder: Path) -> Path:
    color_film(folder / "short.mp4", 0.8)
    return folder / "short.mp4"


def sound(folder: Path) -> Path:
    path = folder / "sound.mka"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def gray(folder: Path) -> Path:
    frames = [[moving_planes(i)[0]] for i in range(180)]
    make_film(folder / "gray.mkv", frames, pix_fmt="gray", rate=Fraction(60), size=(96, 64))
    return folder / "gray.mkv"


def colorless(folder: Path) -> Path:
    plain = np.full((32, 48), 128, np.uint8)
    frames = [[moving_planes(i)[0], plain, plain] for i in range(180)]
    make_film(folder / "pale.mkv", frames, rate=Fraction(60), size=(96, 64))
    return folder / "pale.mkv"


def missing(folder: Path) -> Path:
    return folder / "nowhere.mp4"


def unreadable(folder: Path) -> Path:
    color_film(folder / "locked.mp4", 0.2)
    return folder / "locked.mp4"


@pytest.mark.parametrize(
    ("make", "kind", "parts"),
    [
        (slow, "refused", ["30.00 frames a second", "input.min_fps is 60", "--set input.min_fps=30"]),
        (repeated, "refused", ["60.00", "by content", "repeat the one before", "--set input.min_fps="]),
        (short, "refused", ["0.78 s", "sampling.min_s = 1 s", "--set sampling.min_s="]),
        (sound, "failed", ["holds no video stream"]),
        (gray, "refused", ["black and white", "color footage"]),
        (colorless, "refused", ["no color"]),
        (missing, "failed", ["no such file"]),
        (unreadable, "failed", ["permission denied", "make the file readable"]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_refused_and_why(
    make: Maker, kind: str, parts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path)
    if make is unreadable:  # root may read everything, so the answer is given for it
        monkeypatch.setattr("os.access", lambda *_: False)
    result = build_pairs([path], tmp_path / "pairs", config())
    assert len(getattr(result, kind)) == 1 and not result.ok
    for part in (str(path), *parts):
        assert part in getattr(result, kind)[0]
    assert not (tmp_path / "pairs" / "manifest.jsonl").exists()


@pytest.mark.slow
def test_variable_rate_films_are_measured_by_their_clock(tmp_path: Path) -> None:
    """Frames 10 to 110 ms apart: every time of the manifest is one of the file's, offsets are differences of those."""
    steps = np.random.default_rng(8).integers(10, 110, 150)
    times = np.concatenate([[0], np.cumsum(steps)]).tolist()
    color_film(tmp_path / "vfr.mkv", rate=Fraction(25), pts=times, time_base=Fraction(1, 1000))
    result = build_pairs([tmp_path / "vfr.mkv"], tmp_path / "p", config("input.min_fps=5", "sampling.rate=3"))
    assert result.ok, result
    with av.open(str(tmp_path / "vfr.mkv")) as film:
        seen = {float(frame.pts * frame.time_base) for frame in film.decode(video=0)}
    records = read_manifest(tmp_path / "p")
    assert len(records) > 10
    for record in records:
        original, hint = record.seconds("original"), record.seconds("hint")
        assert original in seen and hint in seen
        assert 1 <= round(abs(hint - original), 9) <= 5 and record.offset_s == pytest.approx(hint - original)


@pytest.mark.slow
def test_any_rate_admits_slow_footage(tmp_path: Path) -> None:
    from videocolor.datasets.pairs.settings import PairsConfig
    from videocolor.presets import load_model

    color_film(tmp_path / "slow.mp4", 4, Fraction(24))
    result = build_pairs([slow(tmp_path)], tmp_path / "pairs", load_model(PairsConfig, "pairs", "any_rate"))
    assert result.ok


@pytest.mark.slow
def test_a_full_disk_is_said_and_what_is_done_stays(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pairs"
    build_pairs([films / "a.mp4"], folder, config())
    before = tree(folder, hidden=True)

    def full(_self: Path, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="the disk is full; free some space"):
        build_pairs([films / "b.mp4"], folder, config())
    monkeypatch.undo()
    assert {k: v for k, v in tree(folder, hidden=True).items() if k in before} == before
    assert build_pairs([films / "a.mp4", films / "b.mp4"], folder, config()).reused == 1


def test_a_folder_of_something_else_is_refused(films: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"thesis\.txt"):
        build_pairs([films / "a.mp4"], tmp_path, config())


@pytest.mark.slow
def test_folders_and_tars_without_anything_are_skipped(films: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "broken.tar").write_bytes(b"no tar")
    inputs = [tmp_path / "none", tmp_path / "broken.tar", tmp_path / "gone.tar", films / "a.mp4"]
    result = build_pairs(inputs, tmp_path / "pairs", config())
    assert result.sources == 1 and not result.ok
    for part in ("no film and no picture", "broken.tar: cannot be read as a tar", "gone.tar: cannot be read as a tar"):
        assert any(part in message for message in result.failed)
    (tmp_path / "pile").mkdir()
    (tmp_path / "pile" / "manifest.csv").write_bytes(b"\xff\xfe\x00")
    shutil.copy(films / "a.mp4", tmp_path / "pile" / "a.mp4")
    with pytest.raises(InputError, match=r"manifest\.csv: cannot be read"):
        build_pairs([tmp_path / "pile"], tmp_path / "other", config())


def test_the_same_film_twice_is_used_once(films: Path, tmp_path: Path) -> None:
    shutil.copy(films / "a.mp4", tmp_path / "copy.mp4")
    result = build_pairs([films / "a.mp4", tmp_path / "copy.mp4"], tmp_path / "pairs", config())
    assert result.sources == 1
    assert any("same bytes" in warning for warning in result.warnings)


def picture(seed: int) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return cv2.imencode(".png", cv2.resize(coarse, (200, 150), interpolation=cv2.INTER_CUBIC))[1].tobytes()


def image_pile(folder: Path) -> Path:
    """One picture on its own, two in a tar, with a manifest.csv for the tar's."""
    folder.mkdir()
    (folder / "one.png").write_bytes(picture(1))
    with tarfile.open(folder / "more.tar", "w") as tar:
        for number in (2, 3):
            info = tarfile.TarInfo(f"./{number}.png")
            info.size = len(picture(number))
            tar.addfile(info, io.BytesIO(picture(number)))
    with (folder / "manifest.csv").open("w", newline="") as out:
        rows = [("more.tar/2.png", "x/y:2", "CC0"), ("more.tar/3.png", "x/y:3", "CC BY-NC 4.0")]
        csv.writer(out).writerows([("file", "source", "licence"), *rows])
    return folder


@pytest.mark.parametrize("mode", ["frames", "references"])
def test_a_picture_pairs_with_itself(mode: str, tmp_path: Path) -> None:
    pile = image_pile(tmp_path / "pile")
    result = build_pairs([pile], tmp_path / "pairs", config(f"store.mode={mode}", "store.format=png"), shards=True)
    assert result.ok
    records = read_manifest(tmp_path / "pairs")
    assert {Path(r.source).name: r.licence for r in records} == {
        "one.png": "not stated",
        "2.png": "CC0",
        "3.png": "CC BY-NC 4.0",
    }
    assert [w for w in result.warnings if "non-commercial" in w and "3.png" in w]
    assert all(r.self_pair and r.offset_s == 0 and r.distance > 0 for r in records)
    assert verify_pairs(tmp_path / "pairs") == []

    from videocolor.datasets.pairs.reading import PairPictures

    pictures = PairPictures(tmp_path / "pairs", records)
    one = next(r for r in records if r.source.endswith("one.png"))
    truth = cv2.imdecode(np.frombuffer(picture(1), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.array_equal(pictures.get(one, "original"), truth)
    hint = pictures.get(one, "hint").astype(int)
    assert hint.shape == truth.shape
    assert np.abs(hint - truth).mean() > 5, "the hint does not lie on the picture"
    assert np.abs(hint.mean((0, 1)) - truth.mean((0, 1))).max() < 30, "and has its colors"


@pytest.mark.slow
def test_licences_come_from_the_table_beside_the_films(films: Path, tmp_path: Path) -> None:
    for name in ("a.mp4", "c.mkv"):
        shutil.copy(films / name, tmp_path / name)
    (tmp_path / "manifest.csv").write_text("source,licence\nowner/repo:clips/a.mp4,CC BY 4.0\n")
    build_pairs([tmp_path / "a.mp4", tmp_path / "c.mkv"], tmp_path / "pairs", config())
    found = {Path(r.source).name: r.licence for r in read_manifest(tmp_path / "pairs")}
    assert found == {"a.mp4": "CC BY 4.0", "c.mkv": "not stated"}


def test_progress_tells_the_time_left(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_module, "_EVERY", 0.0)
    events: list[dict[str, Any]] = []
    build_pairs(
        [films / "a.mp4"], tmp_path / "pairs", config(), observer=lambda e: events.append({"kind": e.kind, **e.data})
    )
    told = [event for event in events if event["kind"] == "progress"]
    assert len(told) > 20
    assert told[-1]["frames"] == told[-1]["total"] == 600, "two passes over 300 frames"
    assert [e["frames"] for e in told] == sorted(e["frames"] for e in told)
    assert all(event["eta_s"] is not None for event in told[5:])


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.slow
def test_stopped_by_a_signal_it_says_how_to_go_on(root: Path, films: Path, tmp_path: Path) -> None:
    """SIGINT while it works; the same command then ends with the bytes of a run that was never stopped."""
    command = [sys.executable, "-m", "videocolor", "pairs", "build", str(films), "--set", "split.held_back=[]"]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    run = subprocess.Popen([*command, "-o", str(tmp_path / "p")], env=environment, stderr=subprocess.PIPE, text=True)
    for _ in range(6000):
        if list((tmp_path / "p").glob("frames/*/*.jpg")) or run.poll() is not None:
            break
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=60)[1]
    if run.returncode == 0:
        pytest.skip("it was done before the signal came")
    assert run.returncode == 130 and "the same command goes on" in said and "Traceback" not in said
    for name in ("p", "whole"):
        done = subprocess.run([*command, "-o", str(tmp_path / name)], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "p") == tree(tmp_path / "whole")


@pytest.mark.slow
def test_the_command(run_cli: Run, films: Path, tmp_path: Path) -> None:
    done = run_cli(
        "pairs", "build", films / "a.mp4", slow(tmp_path), "-o", tmp_path / "p", "--set", "split.held_back=[]"
    )
    assert done.returncode == 1
    assert "30.00 frames a second" in done.stderr and "--set input.min_fps=30" in done.stderr
    assert "1 refused, 0 skipped" in done.stderr and "Traceback" not in done.stderr
    done = run_cli("pairs", "build", films / "a.mp4", "-o", tmp_path / "p", "--set", "split.held_back=[]", "--json")
    assert done.returncode == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "done" and events[-1]["reused"] == 1 and events[-1]["ok"]
    stats = run_cli("pairs", "stats", tmp_path / "p", "--json")
    assert json.loads(stats.stdout)["pairs"] == len(read_manifest(tmp_path / "p"))
    assert run_cli("pairs", "verify", tmp_path / "p").returncode == 0
    wrong = run_cli("pairs", "build", films / "a.mp4", "-o", tmp_path / "p", "--set", "input.min_fsp=3")
    assert wrong.returncode == 2 and "did you mean min_fps?" in wrong.stderr
    none = run_cli("pairs", "stats", tmp_path / "q")
    assert none.returncode == 1 and "pairs build" in none.stderr
