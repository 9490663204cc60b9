"""Some shots of a finished film are colored again; the others stay, bit for bit."""

from __future__ import annotations

import json
from itertools import accumulate
from pathlib import Path

import cv2
import numpy as np
import pytest
from batch.films import packets_of, picture, samples_of, write_reel

from videocolor.batch.jobs import read_jobs
from videocolor.batch.run import run_batch
from videocolor.batch.settings import BatchConfig
from videocolor.colorize import colorize_video, recolor_film
from videocolor.config import ColorizeConfig
from videocolor.errors import InputError, OutputError, UsageError
from videocolor.shards.recolor import parse_shots
from videocolor.video import open_video

SHOTS = ((1, 20), (2, 16), (5, 18), (3, 30), (4, 9))
STARTS = [0, *accumulate(length for _, length in SHOTS)]


def config(*settings: str) -> ColorizeConfig:
    return ColorizeConfig.load(None, ["model.name=constant", "shots.shard=3", "shots.max_shard=4", *settings])


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reel(tmp_path_factory.mktemp("reel") / "reel.mkv", SHOTS)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".mkv", "ffv1"),
        *(
            pytest.param(suffix, codec, marks=pytest.mark.slow)
            for suffix, codec in ((".mkv", "libx264"), (".mp4", "libx264"), (".mp4", "libx265"), (".mov", "prores_ks"))
        ),
    ],
)
@pytest.mark.parametrize("shots", [pytest.param("2", marks=pytest.mark.slow), "1,4-5"])
def test_named_shots_change_and_no_other(suffix: str, codec: str, shots: str, reel: Path, tmp_path: Path) -> None:
    target = tmp_path / f"out{suffix}"
    settings = (f"output.codec={codec}", *(["output.preset=ultrafast"] if codec.startswith("libx") else []))
    colorize_video(reel, target, config(*settings))
    before, others = samples_of(target), packets_of(target)
    recolor_film(reel, target, config(*settings, "chroma.saturation=0.3"), shots)
    after = samples_of(target)
    assert [t for t, _ in after] == [t for t, _ in before] and packets_of(target) == others
    changed = [a != b for a, b in zip(before, after, strict=True)]
    wanted = set(parse_shots(shots))
    for number in range(len(SHOTS)):
        part = changed[STARTS[number] : STARTS[number + 1]]
        assert (all if number in wanted else any)(part) is (number in wanted), f"shot {number + 1}"
    if codec == "ffv1":
        whole = tmp_path / "whole.mkv"
        colorize_video(reel, whole, config(*settings, "chroma.saturation=0.3"))
        fresh = samples_of(whole)
        assert all(a == b for a, b, c in zip(after, fresh, changed, strict=True) if c)
    record = json.loads((tmp_path / f"out{suffix}.json").read_text())
    assert [shot["start"] for shot in record["shots"]] == STARTS[:-1]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


@pytest.mark.slow
def test_frames_times_are_whole_after_many_changes(reel: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    settings = ("output.codec=libx264", "output.preset=ultrafast")
    colorize_video(reel, target, config(*settings))
    for shots in ("2", "3", "1-2", "5"):
        recolor_film(reel, target, config(*settings, "chroma.saturation=0.5"), shots)
    with open_video(reel) as a, open_video(target) as b:
        assert [f.pts * f.time_base for f in a] == [f.pts * f.time_base for f in b]
        assert not b.losses


@pytest.mark.slow
def test_what_cannot_be_done_is_said(reel: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    with pytest.raises(InputError, match="only shots of a finished film"):
        recolor_film(reel, target, config(), "1")
    colorize_video(reel, target, config("output.codec=libx264", "output.crf=20"))
    before = target.read_bytes()
    with pytest.raises(UsageError, match="has 5 shots, there is no shot 6"):
        recolor_film(reel, target, config("output.codec=libx264"), "6")
    with pytest.raises((OutputError, InputError), match=r"other settings|cannot be parted|holds"):
        recolor_film(reel, target, config("output.codec=ffv1"), "2")
    with pytest.raises(OutputError, match="other settings of libx264"):
        recolor_film(reel, target, config("output.codec=libx264", 'output.options={"refs": "1", "bf": "0"}'), "2")
    other = write_reel(tmp_path / "other.mkv", ((1, 20), (2, 30)))
    with pytest.raises(InputError, match=r"has 93 frames, its source 50"):
        recolor_film(other, target, config("output.codec=libx264"), "2")
    assert target.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def write_hint(path: Path, seed: int, frame: int) -> str:
    rgb = np.moveaxis(picture(seed, frame), 0, -1)
    assert cv2.imwrite(str(path), np.rint(rgb[..., ::-1] * 255).astype(np.uint8))
    return str(path)


@pytest.mark.slow
def test_who_borrows_colors_is_colored_again_with_the_lender(tmp_path: Path) -> None:
    shots = ((1, 20), (2, 12), (1, 20), (2, 10), (3, 9))  # 3 returns to 1, 4 to 2
    reel, out, starts = tmp_path / "reel.mkv", tmp_path / "out", [0, 20, 32, 52, 62]
    write_reel(reel, shots)
    other = write_hint(tmp_path / "other.png", 9, 0)
    listed = tmp_path / "shots.yaml"
    listed.write_text("shots:\n" + "".join(f"- {{frame: {start}}}\n" for start in starts))
    settings = (f"shots.file={listed}", "output.codec=ffv1", "shots.shard=3")

    def run(target: Path, *more: str, only: tuple[int, ...] = (), lenders: tuple[int, ...] = ()) -> list[str]:
        jobs = read_jobs(reel, target, BatchConfig(), (*settings, *more)).jobs
        assert run_batch(jobs, target, only_shots=only, reusing=lenders).ok
        return [digest for _, digest in samples_of(jobs[0].target)]

    def returns() -> list[int | None]:
        record = json.loads((out / "reel_colorized.mkv.json").read_text())
        return [shot["reuses"] for shot in record["shots"]]

    def changed(a: list[str], b: list[str]) -> list[int]:
        ends = [*starts[1:], len(a)]
        return [n for n, (s, e) in enumerate(zip(starts, ends, strict=True), 1) if a[s:e] != b[s:e]]

    first = run(out)
    assert returns() == [None, None, 1, 2, None]
    hint = f'hints.assigned=[{{"image": "{other}", "shots": [0]}}]'
    whole = run(tmp_path / "whole", hint)
    assert changed(first, whole) == [1, 3]
    assert run(out, hint, only=(0,), lenders=(0,)) == whole
    moved = f'hints.assigned=[{{"image": "{other}", "shots": [0, 32]}}]'  # shot 3 borrows no more
    whole = run(tmp_path / "moved", moved)
    assert run(out, moved, only=(2,), lenders=(2,)) == whole and returns() == [None, None, None, 2, None]
    assert run(out, only=(0, 2), lenders=(0, 2)) == first and returns() == [None, None, 1, 2, None]


@pytest.mark.parametrize(("text", "numbers"), [("3", (2,)), ("1,3-5", (0, 2, 3, 4)), (" 2 - 2 , 1", (0, 1))])
def test_lists_of_shots(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_shots(text) == numbers


@pytest.mark.parametrize("text", ["", "0", "3-1", "a", "1,,2", "-2"])
def test_wrong_lists_of_shots(text: str) -> None:
    with pytest.raises(UsageError, match="expected a list such as 3,5-7"):
        parse_shots(text)
