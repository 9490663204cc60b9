"""Keyframes colored by a program of the user's: what it may do, what it may do wrong, and the film at the end."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from media import make_film
from scenes import colored_noise
from small_networks import Brown

from videocolor.cli import cli
from videocolor.color import rgb_to_lab
from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import ProgramError, UsageError
from videocolor.evaluation.tasks import luma_codes
from videocolor.events import Event
from videocolor.hints.files import frame_to_rgb
from videocolor.keyframes.outside import _Record, color_keyframes
from videocolor.keyframes.program import Program, Runner
from videocolor.types import Array
from videocolor.video import open_video

SIZE = (160, 120)
PAINTER = """
import json, sys, cv2, numpy as np
print(json.dumps({"program": "painter", "version": "7"}), flush=True)
for line in sys.stdin:
    job = json.loads(line)
    open(sys.argv[1] + ".log", "a").write(job["in"] + "\\n")
    truth = cv2.imread(f"{sys.argv[1]}/{job['frame']}.png")
    shift = np.float32([[1, 0, 2.5], [0, 1, -1.5]])
    moved = cv2.warpAffine(truth, shift, truth.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    cv2.imwrite(job["out"], np.clip(moved * 0.93 + 8, 0, 255).astype(np.uint8))
    print(json.dumps({"out": job["out"]}), flush=True)
"""
"""Colors with the truth, shifted, flatter and brighter."""


def scene(seed: int, count: int = 8) -> list[Array]:
    wide = colored_noise(seed, SIZE[1], SIZE[0] + 2 * count)
    return [wide[:, 2 * k : 2 * k + SIZE[0]] for k in range(count)]


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """film.mkv of two gray shots, truth/N.png, and a painter."""
    folder = tmp_path_factory.mktemp("reel")
    truth = [*scene(5), *scene(11)]
    make_film(
        folder / "film.mkv", [[luma_codes(rgb, "bt601")] for rgb in truth], "ffv1", "gray", Fraction(10), size=SIZE
    )
    (folder / "truth").mkdir()
    for index, rgb in enumerate(truth):
        cv2.imwrite(str(folder / "truth" / f"{index}.png"), rgb[..., ::-1])
    (folder / "painter.py").write_text(PAINTER)
    return folder


def command(*parts: object) -> str:
    return " ".join(f'"{part}"' if "{" not in str(part) else str(part) for part in (sys.executable, *parts))


def errors(reel: Path, pictures: Sequence[tuple[int, Array]]) -> list[float]:
    """Mean dE76 of chroma against the truth."""
    found = []
    for index, rgb in pictures:
        truth = cv2.imread(str(reel / "truth" / f"{index}.png"))[..., ::-1].astype(np.float32) / 255
        a, b = (rgb_to_lab(np.moveaxis(p.astype(np.float32), -1, 0))[1:] for p in (truth, rgb))
        found.append(float(np.hypot(*(a - b)).mean()))
    return found


@pytest.mark.slow
def test_the_film_is_better_than_its_keyframes(reel: Path, tmp_path: Path) -> None:
    """From film to film with a program that colors with the truth, but moves and grades it."""
    target = tmp_path / "out.mkv"
    by = command(reel / "painter.py", reel / "truth")
    done = CliRunner().invoke(
        cli, ["colorize", str(reel / "film.mkv"), str(target), "--keyframes-by", by, "--codec=ffv1"]
    )
    assert done.exit_code == 0, done.output
    folder = tmp_path / "out.mkv.keyframes"
    made = json.loads((folder / "choices/program.json").read_text())["pictures"]
    record = json.loads((tmp_path / "out.mkv.json").read_text())
    assert len(record["hints"]) == len(made) and all(hint["reproduced"] for hint in record["hints"])
    program = record["hints"][0]["program"]
    assert (program["program"], program["version"]) == ("painter", "7") and program["command"] == by
    assert str(reel / "painter.py") in program["files"]
    keys = [(hint["frame"], cv2.imread(hint["name"])[..., ::-1] / 255) for hint in record["hints"]]
    with open_video(target) as video:
        film = errors(reel, [(frame.index, frame_to_rgb(frame)) for frame in video])
    assert np.mean(film) < np.mean(errors(reel, keys)), "all frames, against the keyframes that they came from"


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_hand_painted_pictures_stay(reel: Path, tmp_path: Path) -> None:
    program = Program(command(reel / "painter.py", reel / "truth"))
    log = reel / "truth.log"
    log.unlink(missing_ok=True)
    paths = color_keyframes(reel / "film.mkv", tmp_path / "keys", program)
    assert len(log.read_text().split()) == len(paths)
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes() + b" ")  # mended by hand
    mended = paths[1].read_bytes()
    assert color_keyframes(reel / "film.mkv", tmp_path / "keys", program) == paths
    assert len(log.read_text().split()) == len(paths) + 1 and paths[1].read_bytes() == mended
    other = Program(command(reel / "painter.py", reel / "truth", "--better"))
    with pytest.raises(UsageError, match="another command"):
        color_keyframes(reel / "film.mkv", tmp_path / "keys", other)
    config = ColorizeConfig.load(None, ["output.overwrite=true"])
    color_keyframes(reel / "film.mkv", tmp_path / "keys", other, config)
    assert paths[1].read_bytes() == mended and len(log.read_text().split()) == 2 * len(paths)


def test_a_mended_picture_stays_when_its_frame_is_another(tmp_path: Path) -> None:
    program = Program(command("-S"))
    picture, gray, other = tmp_path / "a.png", tmp_path / "gray.png", tmp_path / "other.png"
    for path in (picture, gray, other):
        path.write_bytes(path.name.encode())
    (tmp_path / "choices").mkdir()
    record = _Record.open(tmp_path, program, overwrite=False)
    record.add(picture, gray, {}, {})
    assert not record.is_outdated(picture, gray) and record.is_outdated(picture, other)
    picture.write_bytes(b"mended")
    assert not record.is_outdated(picture, other) and not record.made(picture)


def test_a_program_that_closes_its_output_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videocolor.keyframes.program._CLOSED", 0.1)
    (tmp_path / "mute.py").write_text("import os, time; os.close(1); time.sleep(60)")
    with (
        Runner(Program(command("-S", tmp_path / "mute.py"))) as runner,
        pytest.raises(ProgramError, match="closed its"),
    ):
        runner.color(tmp_path / "in.png", tmp_path / "out.png", {})


def test_files_in_options_are_part_of_a_command(tmp_path: Path) -> None:
    weights, found = tmp_path / "net.onnx", []
    for value in (b"a", b"b"):
        weights.write_bytes(value)
        found.append(Program(command("-S", f"--model={weights}")).identity())
    assert found[0] != found[1]


@pytest.mark.slow
def test_a_picture_of_another_frame_is_refused(reel: Path, tmp_path: Path) -> None:
    heard: list[Event] = []
    other = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"
    (tmp_path / "other.py").write_text(other)
    program = Program(command(tmp_path / "other.py", reel / "truth/15.png") + " {out} {in}")
    with pytest.raises(ProgramError, match=r"try 2 of 2: made no picture of the frame: .*does not show .*goes on"):
        color_keyframes(reel / "film.mkv", tmp_path / "keys", program, observer=heard.append)
    assert any("try 1 of 2" in event.data["message"] for event in heard if event.kind == "warning")
    assert not list((tmp_path / "keys").glob("*.png")) and not list((tmp_path / "keys/choices").glob("new-*"))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("print('hello')", "answered 'hello'; expected a line of JSON"),
        ("import sys; sys.exit('no GPU')", "ended before its answer, exit code 1; it said: no GPU"),
        ("import time; time.sleep(60)", r"took more than 0\.4 s"),
        (
            'import time\nwhile 1: print(\'{"program": "sleep"}\', flush=True); time.sleep(0.1)',
            r"took more than 0\.4 s",
        ),
        ("print('[' * 99999)", "expected a line of JSON"),
        ('print(\'{"error": "too dark"}\')', "said: too dark"),
        ('print(\'{"out": "elsewhere.png"}\')', "answered for elsewhere.png"),
        ("import json; print(json.dumps({'out': json.loads(input())['out']}))", "wrote no out.png"),
    ],
)
def test_what_a_program_of_lines_does_wrong(tmp_path: Path, script: str, words: str) -> None:
    (tmp_path / "bad.py").write_text(script)
    timeout = 0.4 if "sleep" in script else 30
    with Runner(Program(command("-S", tmp_path / "bad.py"), timeout)) as runner:
        with pytest.raises(ProgramError, match=words):
            runner.color(tmp_path / "in.png", tmp_path / "out.png", {})
        assert runner._process is None, "it was ended"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import sys; sys.exit('no GPU')", "ended with exit code 1; it said: no GPU"),
        ("import time; time.sleep(60)", r"took more than 0\.4 s"),
        ("pass", "wrote no out.png"),
    ],
)
def test_what_a_program_for_each_picture_does_wrong(tmp_path: Path, script: str, words: str) -> None:
    (tmp_path / "bad.py").write_text(script)
    program = Program(command("-S", tmp_path / "bad.py") + " {in} {out}", 0.4 if "sleep" in script else 30)
    with Runner(program) as runner, pytest.raises(ProgramError, match=words):
        runner.color(tmp_path / "in.png", tmp_path / "out.png", {})


def test_a_pipe_cannot_be_read_twice(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["colorize", "-", str(tmp_path / "x.mkv"), "--keyframes-by", "python {in} {out}"])
    assert done.exit_code == 2 and "reads the film twice" in done.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "nothing is no program"),
        ("no-such-program {in} {out}", "no-such-program is no program"),
        ("python {in}", "needs both"),
        ("python {input} {out}", r"no placeholder \{input\}"),
        ("python 'x {in} {out}", "cannot be split"),
    ],
)
def test_commands_are_checked_before_the_start(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Program(text)


@pytest.mark.slow
def test_aligned_hints_give_the_same_film_in_one_go_and_continued(reel: Path, tmp_path: Path) -> None:
    """The plan holds which hints were aligned; a run that goes on aligns them again."""
    program = Program(command(reel / "painter.py", reel / "truth"))
    color_keyframes(reel / "film.mkv", tmp_path / "keys", program)
    films = []
    for name, settings in (
        ("one", ["output.resume=false"]),
        ("shards", ["output.keep_shards=true", "shots.shard=1"]),
        ("shards", ["output.keep_shards=true", "shots.shard=1", "output.overwrite=true"]),
    ):
        config = ColorizeConfig.load(None, ["output.codec=ffv1", f"hints.folder={tmp_path / 'keys'}", *settings])
        for shard in (tmp_path / ".shards.mkv.videocolor").glob("*.json"):
            shard.unlink()  # the plan stays
        colorize_video(reel / "film.mkv", tmp_path / f"{name}.mkv", config, colorizer=Brown())
        with open_video(tmp_path / f"{name}.mkv") as video:
            films.append([np.concatenate([p.ravel() for p in frame.chroma or ()]) for frame in video])
    for other in films[1:]:
        np.testing.assert_array_equal(films[0], other)
    assert "aligned" in (tmp_path / ".shards.mkv.videocolor/plan.yaml").read_text()


def test_what_cannot_be_written_is_said_before_the_program_works(reel: Path, tmp_path: Path) -> None:
    arguments = ["colorize", str(reel / "film.mkv"), str(tmp_path / "x.webm"), "--codec=prores_ks"]
    done = CliRunner().invoke(cli, [*arguments, "--keyframes-by", "python -c 1/0 {in} {out}"])
    assert done.exit_code in (1, 2) and "prores" in done.output and not (tmp_path / "x.webm.keyframes").exists()
