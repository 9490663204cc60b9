"""Splits by source, twins together, what is held back; verification and what it finds."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import yaml
from pairs_helpers import color_film, config, moving_planes

from videocolor.datasets.held_back import HeldBack
from videocolor.datasets.pairs.build import build_pairs
from videocolor.datasets.pairs.first_pass import fingerprint
from videocolor.datasets.pairs.manifest import PairRecord, SourceState, read_manifest, write_manifest
from videocolor.datasets.pairs.settings import SplitConfig
from videocolor.datasets.pairs.splits import find_leaks, group_near_duplicates, held_back_of, is_listed, plan_splits
from videocolor.datasets.pairs.verify import verify_pairs
from videocolor.errors import ConfigError, InputError


def state(name: str, prints: tuple[str, ...] = ()) -> SourceState:
    sha = (name.encode().hex() + "0" * 64)[:64]
    return SourceState(
        *(name, f"/x/{name}", sha, "film", "s", "", "not stated", "1/60", 1, 60.0, 60.0, 0.0, 1, prints, (), {})
    )


def test_shares_and_that_sources_do_not_move() -> None:
    states = [state(f"film{i}.mp4") for i in range(2000)]
    settings = SplitConfig(val=0.1, test=0.2, held_back=())
    plan = plan_splits(states, settings, HeldBack())
    shares = {name: list(plan.splits.values()).count(name) / 2000 for name in ("train", "val", "test")}
    assert shares == {
        "train": pytest.approx(0.7, abs=0.04),
        "val": pytest.approx(0.1, abs=0.03),
        "test": pytest.approx(0.2, abs=0.04),
    }
    fewer = plan_splits(states[::2], settings, HeldBack())
    assert all(plan.splits[sha] == split for sha, split in fewer.splits.items())


def test_twins_share_a_split_and_the_fate_of_what_is_held_back() -> None:
    a, b, c = "0123456789abcdef", "0123456789abcdee", "fedcba9876543210"
    states = [state("a.mp4", (a,)), state("b.mp4", (b, b)), state("c.mp4", (c,))]
    for seed in range(30):
        plan = plan_splits(states, SplitConfig(val=0.4, test=0.3, seed=seed), HeldBack())
        assert plan.splits[states[0].sha256] == plan.splits[states[1].sha256]
    assert plan.groups == (("a.mp4", "b.mp4"),)
    held = plan_splits(states, SplitConfig(), HeldBack(files=frozenset({"a.mp4"})))
    assert [held.splits[s.sha256] for s in states][:2] == ["held_back", "held_back"]
    assert held.splits[states[2].sha256] != "held_back"
    assert any("b.mp4" in note and "looks like" in note for note in held.notes)
    unseen = plan_splits(states, SplitConfig(), HeldBack(prints={"gone.mp4": (int(c, 16),)}))
    assert unseen.splits[states[2].sha256] == "held_back"
    alone = plan_splits(states, SplitConfig(near_duplicates=False), HeldBack(files=frozenset({"a.mp4"})))
    assert alone.splits[states[1].sha256] != "held_back"


def test_the_list_is_honored_by_name_origin_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "held.yaml"
    path.write_text(
        yaml.safe_dump({"clips": [{"file": "a.mp4", "source": "x/y:a", "sha256": "ff"}], "images": ["x/y:1.jpg"]})
    )
    held = held_back_of(SplitConfig(held_back=(str(path),)))
    assert is_listed(held, replace(state("z"), source="somewhere/a.mp4"))
    assert is_listed(held, replace(state("z"), origin="x/y:1.jpg"))
    assert is_listed(held, replace(state("z"), sha256="ff"))
    assert not is_listed(held, state("z"))
    path.write_text("clips: 3\n")
    with pytest.raises(ConfigError, match="clips"):
        held_back_of(SplitConfig(held_back=(str(path),)))
    assert held_back_of(SplitConfig()).files, "the project's own list is the default"
    assert held_back_of(SplitConfig(held_back=())) == HeldBack()


def copy_smaller(source: Path, target: Path) -> None:
    """Make the same footage again, at two thirds of the size, badly encoded, at half the rate."""
    with av.open(str(source)) as film, av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"crf": "32", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 42, "yuv420p"
        for index, frame in enumerate(film.decode(video=0)):
            if index % 2 == 0:
                small = frame.reformat(64, 42, "yuv420p")
                small.pts, small.time_base = index // 2, Fraction(1, 30)
                out.mux(stream.encode(small))
        out.mux(stream.encode(None))


@pytest.mark.slow
def test_a_copy_at_another_size_is_found(tmp_path: Path) -> None:
    color_film(tmp_path / "a.mp4", 4, scenes=(11,))
    copy_smaller(tmp_path / "a.mp4", tmp_path / "b.mp4")
    color_film(tmp_path / "c.mp4", 4, scenes=(12,))
    (tmp_path / "held.yaml").write_text(yaml.safe_dump({"clips": [{"file": "a.mp4"}], "images": []}))
    films = [tmp_path / name for name in ("b.mp4", "c.mp4")]
    settings = (f"split.held_back=[{tmp_path / 'held.yaml'}]", "input.min_fps=20", "split.val=0", "split.test=0")
    build_pairs(films, tmp_path / "p", config(*settings, f"split.held_back_root={tmp_path}"))
    found = {Path(r.source).name: r.split for r in read_manifest(tmp_path / "p")}
    assert found == {"b.mp4": "held_back", "c.mp4": "train"}


def test_fingerprints() -> None:
    luma = moving_planes(0, 5, (320, 240))[0]
    own = fingerprint(luma)
    small = fingerprint(cv2.resize(luma, (160, 120), interpolation=cv2.INTER_AREA))
    brighter = fingerprint(np.clip(luma * 0.8 + 30, 0, 255).astype(np.uint8))
    other = fingerprint(moving_planes(0, 6, (320, 240))[0])
    assert own is not None and small is not None and brighter is not None and other is not None
    assert (own ^ small).bit_count() <= 4 and (own ^ brighter).bit_count() <= 4
    assert (own ^ other).bit_count() >= 16
    assert fingerprint(np.full((90, 160), 17, np.uint8)) is None


def test_twins_of_twins_are_one_group() -> None:
    prints = {"a": [0], "b": [0b111], "c": [0b111111], "d": [2**64 - 1], "e": []}
    assert group_near_duplicates(prints, 3) == [{"a", "b", "c"}]
    assert group_near_duplicates(prints, 2) == []


def record(source: str, split: str, sha: str = "a") -> PairRecord:
    return PairRecord("0" * 20, source, sha * 64, 0, 60, "1/60", 1.0, 1, 0.0, "accepted", split, "", "s")


def test_leaks() -> None:
    fine = [record("a", "train"), record("a", "train"), record("b", "val", "b")]
    assert find_leaks(fine) == []
    assert "train and val" in find_leaks([*fine, record("a", "val")])[0]
    assert find_leaks([record("a", "train"), record("copy of a", "val")]), "one file under two names"
    assert "look alike" in find_leaks(fine, [{"a", "b"}])[0]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    color_film(folder / "a.mp4", 4, scenes=(1,))
    color_film(folder / "b.mp4", 4, scenes=(2,))
    build_pairs([folder / "a.mp4", folder / "b.mp4"], folder / "p", config("sampling.rate=2"), shards=True)
    return folder / "p"


def change_line(folder: Path, **values: object) -> None:
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), **values})
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")


def first_frame(folder: Path) -> Path:
    return sorted((folder / "frames").rglob("*.jpg"))[0]


def drop_first(folder: Path) -> None:
    write_manifest(folder, read_manifest(folder)[1:])


def twice(folder: Path) -> None:
    write_manifest(folder, [*read_manifest(folder), read_manifest(folder)[0]])


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda p: first_frame(p).unlink(), "is missing"),
        (lambda p: first_frame(p).write_bytes(b"x"), "changed or damaged"),
        (lambda p: (p / "frames" / "stray.jpg").write_bytes(b"x"), "belongs to no pair"),
        (drop_first, "the manifest holds"),
        (twice, "is 2 times"),
        (lambda p: change_line(p, split="held_back"), "leak"),
        (lambda p: change_line(p, offset_s=2.0), "offset_s is 2.0"),
        (lambda p: change_line(p, hint_pts=5), "its id does not fit"),
        (lambda p: change_line(p, decision="rejected"), "shards"),
        (lambda p: next((p / "shards").iterdir()).write_bytes(b"not a tar"), "not a tar"),
        (lambda p: shutil.rmtree(p / "settings"), "no such configuration file"),
        (lambda p: shutil.rmtree(p / ".build"), ".build/ is missing"),
    ],
)
def test_verify_finds_harm(harm: Callable[[Path], object], said: str, built: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(built, tmp_path / "p")
    assert verify_pairs(folder) == []
    harm(folder)
    try:
        problems = verify_pairs(folder)
    except InputError as error:
        problems = [str(error)]
    assert any(said in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1: not JSON"),
        ("{}", "line 1: expected exactly the keys pair_id, source"),
        ("3", "line 1: expected exactly the keys"),
    ],
)
def test_a_broken_manifest_is_named(line: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=said):
        read_manifest(tmp_path)


def test_bad_values_are_named(built: Path, tmp_path: Path) -> None:
    for values, said in (
        ({"shot": "1"}, "shot = '1'"),
        ({"split": "exam"}, "'exam'"),
        ({"time_base": "1/0"}, "time_base"),
    ):
        folder = shutil.copytree(built, tmp_path / said.replace("/", "_"))
        change_line(folder, **values)
        with pytest.raises(InputError, match=said):
            read_manifest(folder)


@pytest.mark.slow
def test_the_commands(run_cli: Callable[..., subprocess.CompletedProcess[str]], built: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(built, tmp_path / "p")
    shutil.rmtree(folder / "shards")
    done = run_cli("pairs", "split", folder, "--set", "split.val=0.98", "--set", "split.test=0.01", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["splits"].keys() == {"val"}
    done = run_cli("pairs", "verify", folder, "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["problems"], "the tars are gone"
    assert run_cli("pairs", "split", tmp_path).returncode == 1
    wrong = run_cli("pairs", "split", folder, "--set", "split.val=0.7", "--set", "split.test=0.7")
    assert wrong.returncode == 2 and "nothing to train on" in wrong.stderr
