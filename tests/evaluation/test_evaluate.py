"""`evaluate`: figures against their definitions, the same bytes again, resuming, results of others, mistakes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scenes import colored_noise, error_db, pan, still, write_truth

from pipelines.evaluate_methods import overview_markdown
from videocolor.cli import cli
from videocolor.errors import InputError, UsageError
from videocolor.evaluation import evaluate as module
from videocolor.evaluation.clips import read_frames
from videocolor.evaluation.evaluate import Evaluation, combine, evaluate, still_frames
from videocolor.evaluation.output import write_evaluation
from videocolor.evaluation.rows import Row
from videocolor.evaluation.settings import EvaluateConfig
from videocolor.evaluation.table import bootstrap, summarize, table_markdown
from videocolor.presets import load_model


def settings(protocol: str, methods: str, *overrides: str) -> EvaluateConfig:
    quick = ("scores.metrics=[psnr_rgb, ciede2000]", *overrides)
    flags = {"protocol.name": protocol, "methods": methods.split(",")}
    return load_model(EvaluateConfig, "evaluate", None, quick, flags)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_truth(folder / "pan.mkv", pan(7, 3))
    write_truth(folder / "still.mkv", still(6))
    return folder


@pytest.fixture(scope="module")
def done(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    evaluation = evaluate(clips, tmp_path_factory.mktemp("out"), settings("e1", "gray,copy,flow"))
    write_evaluation(evaluation)
    return evaluation


def files_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("table.md", "table.json", "index.html")}


def row(evaluation: Evaluation, unit: str, method: str, case: str = "") -> Row:
    (found,) = (r for r in evaluation.rows if (r.unit, r.method, r.case) == (unit, method, case))
    return found


def test_psnr_is_what_it_says_and_leaves_the_hint_out(clips: Path, done: Evaluation) -> None:
    truth = np.stack(list(read_frames(clips / "pan.mkv")))
    gray = np.repeat(np.rint(truth @ [0.299, 0.587, 0.114])[..., None], 3, axis=3)
    frames = [error_db(truth[index], gray[index]) for index in range(1, 7)]
    assert row(done, "pan", "gray").scores["psnr_rgb"] == pytest.approx(np.mean(frames), abs=0.02)
    assert row(done, "pan", "gray").scores["frames"] == 6
    assert row(done, "pan", "gray").about["references"] == [0]


def test_the_truth_has_a_row_of_its_own(done: Evaluation) -> None:
    first = summarize(done)[0]
    assert first[0] == "truth"
    assert first[2]["ciede2000_mean"].value == 0 and "psnr_rgb" not in first[2], "it is infinite"
    assert table_markdown(done).count("| truth |") == 1


def test_who_wins(done: Evaluation) -> None:
    means = {label: values["psnr_rgb"].value for label, _, values in summarize(done) if label != "truth"}
    assert means["gray"] < means["copy"] < means["flow"]
    assert row(done, "still", "copy").scores["psnr_rgb"] > 45


@pytest.mark.slow
def test_same_input_same_bytes(clips: Path, done: Evaluation, tmp_path: Path) -> None:
    again = evaluate(clips, tmp_path / "two", done.config, workers=2)
    write_evaluation(again)
    assert files_of(tmp_path / "two") == files_of(done.output)
    for text in files_of(done.output).values():
        assert str(tmp_path).encode() not in text and str(done.output).encode() not in text
    costs = json.loads((done.output / "costs.json").read_text())
    assert set(costs) == {"truth", "gray", "copy", "flow"}
    assert costs["flow"]["seconds_per_frame"] > 0


def test_a_stopped_run_goes_on(clips: Path, done: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[tuple[str, str]] = []
    score = module._score

    def counted(case: Any, method: Any, label: str, *rest: Any) -> Row:
        if len(worked) == 3:
            raise KeyboardInterrupt
        worked.append((case.clip.name, label))
        return score(case, method, label, *rest)

    monkeypatch.setattr(module, "_score", counted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(clips, tmp_path / "out", done.config)
    assert len(worked) == 3
    monkeypatch.setattr(module, "_score", lambda *a: worked.append((a[0].clip.name, a[2])) or score(*a))
    write_evaluation(evaluate(clips, tmp_path / "out", done.config))
    assert len(worked) == len(set(worked)) == 8, "nothing is done twice"
    assert files_of(tmp_path / "out") == files_of(done.output)


def test_what_changed_is_done_again(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[str] = []
    score = module._score
    monkeypatch.setattr(module, "_score", lambda *a: worked.append(a[2]) or score(*a))

    def run(config: EvaluateConfig, **rest: Any) -> list[str]:
        worked.clear()
        evaluate(clips, tmp_path / "out", config, **rest)
        return list(worked)

    config = settings("e1", "gray,copy", "clips.most=1")
    assert run(config) == ["truth", "gray", "copy"]
    assert run(config) == []
    assert run(settings("e1", "gray,copy,flow", "clips.most=1")) == ["flow"]
    assert run(settings("e1", "gray", "clips.most=1", "clips.seconds=0.5")) == ["truth", "gray"]
    assert run(config, fresh=True) == ["truth", "gray", "copy"]
    for picture in (tmp_path / "out" / "stills").glob("*/copy-*"):
        picture.unlink()
    assert run(config) == ["copy"], "a picture is missing"
    for rows in (tmp_path / "out" / "done").glob("*/gray-*"):
        rows.write_text("[{")
    with pytest.raises(InputError, match="--fresh"):
        run(config)


@pytest.mark.slow
def test_robust_shows_the_harm(clips: Path, tmp_path: Path) -> None:
    evaluation = evaluate(clips, tmp_path, settings("robust", "gray,copy,network"))
    lines = {(label, case): means for label, case, means in summarize(evaluation)}
    assert set(lines) == {
        ("truth", ""), ("gray", ""), ("copy", "wrong hint"), ("network", "wrong hint"), ("network", "auto"),
    }  # fmt: skip
    harm = lines["network", "wrong hint"]["psnr_vs_auto"].value
    expected = [
        row(evaluation, unit, "network", "wrong hint").scores["psnr_rgb"]
        - row(evaluation, unit, "network", "auto").scores["psnr_rgb"]
        for unit in ("pan", "still")
    ]
    assert harm == pytest.approx(np.mean(expected))
    assert lines["copy", "wrong hint"]["psnr_vs_auto"].value < 0, "against gray, for copy has no color without a hint"
    assert "psnr_vs_auto" not in lines["gray", ""]


def test_auto_leaves_out_who_needs_a_hint(clips: Path, tmp_path: Path) -> None:
    evaluation = evaluate(clips, tmp_path, settings("auto", "gray,copy"))
    assert evaluation.labels == ("truth", "gray") and evaluation.left_out == ("copy: needs a hint",)
    assert "left out: copy: needs a hint" in table_markdown(evaluation)
    with pytest.raises(UsageError, match="name other methods"):
        evaluate(clips, tmp_path, settings("auto", "copy"))


def test_films_of_several_shots(clips: Path, tmp_path: Path) -> None:
    config = settings("cuts", "gray,copy", "protocol.film_shots=2", "protocol.shot_seconds=0.5")
    evaluation = evaluate(clips, tmp_path, config)
    (found,) = (r for r in evaluation.rows if r.method == "copy")
    assert found.unit == "film01" and found.scores["frames"] == 8
    whole = row(evaluation, "film01", "gray").scores["psnr_rgb"]
    truth = [np.stack(list(read_frames(clips / name)))[1:5] for name in ("pan.mkv", "still.mkv")]
    grays = [np.repeat(np.rint(part @ [0.299, 0.587, 0.114])[..., None], 3, axis=3) for part in truth]
    shots = [np.mean([error_db(a, b) for a, b in zip(*pair, strict=True)]) for pair in zip(truth, grays, strict=True)]
    assert whole == pytest.approx(np.mean(shots), abs=0.02), "the mean of the shots'"


def test_combining_shots() -> None:
    parts = [{"frames": 4, "x": 1.0, "none": None, "flow": "DIS"}, {"frames": 2, "x": 4.0, "none": None, "flow": "DIS"}]
    assert combine(parts) == {"frames": 6, "x": 2.5, "none": None, "flow": "DIS"}
    assert combine([{"x": None}, {"x": 3.0}]) == {"x": 3.0}


def test_results_of_others(clips: Path, tmp_path: Path) -> None:
    """Films and folders of images are read by the same code: what copy made scores as copy."""
    peer = tmp_path / "peer"
    (peer / "pan").mkdir(parents=True)
    truth = {name: np.stack(list(read_frames(clips / f"{name}.mkv"))) for name in ("pan", "still")}
    for index, rgb in enumerate(truth["pan"]):
        cv2.imwrite(str(peer / "pan" / f"{index:04d}.png"), rgb[..., ::-1])
    write_truth(peer / "still.mkv", truth["still"])
    config = settings("e1", f"gray,peer={peer}")
    evaluation = evaluate(clips, tmp_path / "out", config)
    assert row(evaluation, "pan", "peer").scores["psnr_rgb"] == 100, "equal frames, capped"
    assert row(evaluation, "still", "peer").scores["psnr_rgb"] > 45
    (peer / "pan" / "0006.png").unlink()
    with pytest.raises(InputError, match=r"pan: 6 frames, the part that is scored has 7"):
        evaluate(clips, tmp_path / "out", config)
    for index in (6, 7):
        cv2.imwrite(str(peer / "pan" / f"{index:04d}.png"), truth["pan"][0])
    with pytest.raises(InputError, match="more frames than the 7"):
        evaluate(clips, tmp_path / "out", config)
    (peer / "pan" / "0007.png").unlink()
    cv2.imwrite(str(peer / "pan" / "0003.png"), truth["pan"][0][:50])
    with pytest.raises(InputError, match="pan"):
        evaluate(clips, tmp_path / "out", config)
    (peer / "still.mkv").unlink()
    with pytest.raises(InputError, match="no result for still"):
        evaluate(clips, tmp_path / "out2", config)
    assert not (tmp_path / "out2" / "done").exists(), "said before the work"


def test_larger_results_are_scaled_down_and_said_to_be(clips: Path, tmp_path: Path) -> None:
    peer = tmp_path / "peer"
    peer.mkdir()
    for name in ("pan", "still"):
        truth = np.stack(list(read_frames(clips / f"{name}.mkv")))
        write_truth(peer / f"{name}.mkv", truth.repeat(2, axis=1).repeat(2, axis=2))
    evaluation = evaluate(clips, tmp_path / "out", settings("e1", f"peer={peer}"))
    assert row(evaluation, "pan", "peer").scores["psnr_rgb"] > 45
    assert "192x128, scaled down to 96x64" in table_markdown(evaluation)


def test_bootstrap() -> None:
    values = list(np.random.default_rng(0).normal(30, 4, 200))
    low, high = bootstrap(values, 4000, 1)
    half = 1.96 * np.std(values) / np.sqrt(len(values))
    assert low == pytest.approx(np.mean(values) - half, abs=0.15)
    assert high == pytest.approx(np.mean(values) + half, abs=0.15)
    assert bootstrap([3.0], 100, 1) == (3.0, 3.0)
    assert bootstrap(values, 4000, 1) == (low, high) != bootstrap(values, 4000, 2)


def test_stills_are_spread_and_no_hints() -> None:
    assert still_frames(11, frozenset({0}), 2) == (3, 8)
    assert still_frames(3, frozenset({0, 1, 2}), 1) == (1,), "there is nothing else"
    assert still_frames(2, frozenset({0}), 5) == (1,)


def test_overview(clips: Path, done: Evaluation, tmp_path: Path) -> None:
    points = evaluate(clips, tmp_path, settings("points", "gray,copy", "protocol.counts=[1, 5]"))
    text = overview_markdown([done, points])
    head, _, gray, copy, flow = text.splitlines()
    assert [cell.strip() for cell in head.split("|")[2:-1]] == ["e1 (2)", "points 1 point (2)", "points 5 points (2)"]
    assert gray.count("/") == copy.count("/") == 3
    assert flow.rstrip().endswith("| – | – |")


@pytest.mark.slow
def test_command(clips: Path, done: Evaluation, tmp_path: Path, run_cli: Any) -> None:
    quick = ("--set", "scores.metrics=[psnr_rgb, ciede2000]")
    call = (
        "evaluate",
        "--protocol",
        "e1",
        "--methods",
        "gray, copy,flow",
        "--clips",
        clips,
        "-o",
        tmp_path / "o",
        *quick,
    )
    result = run_cli(*call)
    assert result.returncode == 0, result.stderr
    assert "| copy |" in result.stdout and "wrote" in result.stderr
    assert files_of(tmp_path / "o") == files_of(done.output)
    table = json.loads(run_cli(*call, "--json").stdout)
    assert [entry["method"] for entry in table["summary"]] == ["truth", "gray", "copy", "flow"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "--clips DIR"),
        (("--clips", "{clips}", "-o", "{out}"), 2, "--protocol NAME"),
        (("--clips", "{clips}", "-o", "{out}", "--protocol", "robst"), 2, "did you mean robust?"),
        (("--clips", "{clips}", "-o", "{out}", "--protocol", "e1", "--methods", "grey"), 2, "did you mean gray?"),
        (("--clips", "{out}", "-o", "{out}", "--protocol", "e1"), 1, "not a folder"),
        (("--clips", "{clips}", "-o", "{out}", "--config", "evaluate/held_back"), 2, "--list evaluate/held_back"),
        (("--clips", "{clips}", "-o", "{out}", "--protocol", "e1", "--list", "evaluate/held_back"), 1, "missing"),
        (("--clips", "{clips}", "-o", "{out}", "--protocol", "similar"), 2, "man_surfing.mp4"),
        (("--clips", "{clips}", "-o", "{clips}/pan.mkv", "--protocol", "e1"), 1, "pan.mkv"),
    ],
)
def test_mistakes(
    arguments: tuple[str, ...],
    code: int,
    message: str,
    clips: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["evaluate", *(part.format(clips=clips, out=tmp_path / "o") for part in arguments)])
    stderr = capsys.readouterr().err
    assert caught.value.code == code, stderr
    assert message in stderr and "Traceback" not in stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.slow
def test_workers_end_with_the_command(clips: Path, tmp_path: Path, root: Path, number: int, code: int) -> None:
    """SIGTERM to the command alone, Ctrl-C to all of them as a terminal sends it: nothing is left running."""
    call = [sys.executable, "-m", "videocolor", "evaluate", "--protocol", "points", "--methods", "network", "--clips"]
    process = subprocess.Popen(
        [*call, str(clips), "-o", str(tmp_path / "o"), "--workers", "2"],
        cwd=root,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 100
    while not list((tmp_path / "o").glob("done/*/*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        pytest.skip("needs /proc")
    started = [int(pid) for pid in children.read_text().split()]
    assert started
    if number == signal.SIGTERM:
        process.send_signal(number)
    else:
        os.killpg(process.pid, number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert "Traceback" not in stderr and "bug" not in stderr
    while [pid for pid in started if _running(pid)]:
        assert time.monotonic() < deadline + 100, "nothing is left running"
        time.sleep(0.05)


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_export_gives_others_what_methods_get(clips: Path, tmp_path: Path, run_cli: Any) -> None:
    result = run_cli("evaluate", "--protocol", "points", "--clips", clips, "--export", tmp_path / "in")
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "in" / "5_points" / "pan"
    assert json.loads((folder / "task.json").read_text())["hints"] == [{"file": "hint01.png", "frame": 0}]
    gray = cv2.imread(str(folder / "gray" / "000001.png"), cv2.IMREAD_UNCHANGED)
    truth = next(read_frames(clips / "pan.mkv"))
    np.testing.assert_allclose(gray, truth @ [0.299, 0.587, 0.114], atol=0.6)
    hint = cv2.imread(str(folder / "hint01.png"), cv2.IMREAD_UNCHANGED)
    painted = hint[..., 3] == 255
    assert 0 < painted.sum() <= 5 * 49
    np.testing.assert_array_equal(hint[painted][:, 2::-1], truth[painted])
    assert run_cli("evaluate", "--protocol", "e1", "--clips", clips, "--export", tmp_path / "in").returncode == 1


def test_a_flat_clip_has_numbers(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    write_truth(tmp_path / "c" / "flat.mkv", np.full((4, 32, 32, 3), 90, np.uint8))
    write_truth(tmp_path / "c" / "noise.mkv", np.stack([colored_noise(2, 32, 32)] * 4))
    config = load_model(
        EvaluateConfig, "evaluate", None, (), {"methods": ["gray", "table", "reinhard", "welsh", "flow"]}
    )
    evaluation = evaluate(tmp_path / "c", tmp_path / "o", config)
    write_evaluation(evaluation)
    assert "nan" not in (tmp_path / "o" / "table.md").read_text().lower()


def recipe(root: Path, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, str(root / "pipelines" / name), *map(str, arguments)]
    return subprocess.run(call, cwd=root, capture_output=True, text=True, timeout=250)


@pytest.mark.slow
def test_recipe_of_all_protocols(clips: Path, tmp_path: Path, root: Path) -> None:
    (tmp_path / "footage").mkdir()
    (tmp_path / "footage" / "train").symlink_to(clips)
    (tmp_path / "list.yaml").write_text("clips: [{file: still.mkv}, {file: pan.mkv}]")
    call = (tmp_path / "footage", "-o", tmp_path / "out", "--list", tmp_path / "list.yaml", "--methods", "gray,network")
    done = recipe(
        root, "evaluate_methods.py", *call, "--protocols", "auto, e1", "--set", "scores.metrics=[psnr_rgb, ciede2000]"
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "e1" / "index.html").is_file()
    lines = (tmp_path / "out" / "overview.md").read_text().splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[2:-1]] == ["auto (2)", "e1 (2)"]
    psnr = {line.split("|")[1].strip(): float(line.split("|")[3].split("/")[0]) for line in lines[2:]}
    assert psnr["network"] > psnr["gray"] + 3
    wrong = recipe(root, "evaluate_methods.py", *call, "--protocols", "e2")
    assert wrong.returncode == 2 and "e2" in wrong.stderr and "Traceback" not in wrong.stderr


@pytest.mark.slow
def test_recipe_of_the_lightness_table(tmp_path: Path, root: Path) -> None:
    from videocolor.datasets.pack import PackWriter

    for held in (False, True):
        writer = PackWriter(tmp_path / f"pack{held}")
        writer.add("a", "s", "CC0", "image", [(0.0, np.full((8, 8, 3), (200, 100, 50), np.uint8))])
        writer.close({"held": held})
    done = recipe(root, "learn_lightness.py", tmp_path / "packFalse", "--classes", "4")
    assert done.returncode == 0, done.stderr
    assert len(set(done.stdout.split("\n")[:4])) == 1, "one color is known"
    refused = recipe(root, "learn_lightness.py", tmp_path / "packTrue")
    assert refused.returncode == 1 and "held-back" in refused.stderr
