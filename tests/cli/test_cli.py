"""The command line: exit codes, what goes to stdout, what is imported, which configuration arrives."""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

import videocolor
from videocolor.cli import cli
from videocolor.cli.group import Session, set_up_logging
from videocolor.cli.watch import watching
from videocolor.config import ColorizeConfig
from videocolor.errors import HintError, Interrupted, OutputError, UsageError
from videocolor.events import Event, RunLog
from videocolor.files import plain
from videocolor.presets import list_presets
from videocolor.record import write_sidecar
from videocolor.types import Shot

HEAVY = {"torch", "av", "cv2", "numpy", "pydantic", "yaml", "tqdm", "onnxruntime", "skimage"}


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


@dataclass
class Stub:
    """Stands in for `videocolor.colorize` and keeps what it was called with."""

    events: tuple[Event, ...] = ()
    error: BaseException | None = None
    config: ColorizeConfig | None = None
    source: Path | None = None
    workers: int | str | None = None

    def colorize_video(
        self, source: Path, target: Path, config: ColorizeConfig, *, workers: int | str, observer: Any
    ) -> None:
        self.source, self.config, self.workers = source, config, workers
        for event in self.events:
            observer(event)
        if self.error is not None:
            raise self.error

    def plan_colorize(self, source: Path, target: Path, config: ColorizeConfig, *, observer: Any) -> Any:
        self.source, self.config = source, config
        observer(Event("progress", {"frames": 1, "total": 2, "fps": 1.0, "eta_s": 1.0}))
        return SimpleNamespace(lines=lambda: ["one", "two"], as_dict=lambda: {"frames": 2})

    def find_shots(self, source: Path, config: ColorizeConfig, *, observer: Any) -> Any:
        self.source, self.config = source, config
        shots = [Shot(0, 0, 10, 0, 10, Fraction(1, 25)), Shot(1, 10, 35, 10, 35, Fraction(1, 25))]
        info = SimpleNamespace(format="image2", metadata={}, rate=Fraction(25))
        return SimpleNamespace(info=info, shots=[SimpleNamespace(shot=shot) for shot in shots])


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    stub = Stub()
    for name, functions in {"colorize": ("colorize_video", "find_shots"), "dryrun": ("plan_colorize",)}.items():
        module = ModuleType(f"videocolor.{name}")
        for function in functions:
            setattr(module, function, getattr(stub, function))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return stub


def merged(stub: Stub) -> ColorizeConfig:
    assert stub.config is not None
    return stub.config


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["colorize", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    probe = (
        "import sys, videocolor, videocolor.cli\n"
        "try: videocolor.cli.main()\n"
        f"except SystemExit: print('HEAVY', sorted({HEAVY!r} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", probe, *arguments], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "HEAVY []"


def test_help_is_fast() -> None:
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "videocolor", "--help"], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.5, "CPU seconds of `videocolor --help`, the best of five"


def test_version() -> None:
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"videocolor {videocolor.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bogus"], "No such command 'bogus'. Commands: colorize"),
        (["colorise", "a", "b"], "Did you mean 'colorize'?"),
        (["colorize"], "Missing argument 'INPUT'"),
        (["colorize", "a.mkv", "b.mkv", "--bacth", "3"], "--batch"),
        (["colorize", "a.mkv", "b.mkv", "--batch", "0"], "command line: model.batch = 0"),
        (["colorize", "a.mkv", "b.mkv", "--device", "gpu"], "cuda:N"),
        (["colorize", "a.mkv", "b.mkv", "--config", "mastr"], "did you mean master?"),
        (["colorize", "a.mkv", "b.mkv", "--set", "output.codek=x"], "did you mean codec?"),
        (["colorize", "a.mkv", "b.mkv", "--start", "soon"], "HH:MM:SS.mmm"),
        (["colorize", "a.mkv", "b.mkv", "--shots", ""], "--shots: names nothing"),
        (["colorize", "a.mkv", "b.mkv", "--hints", " "], "--hints: names nothing"),
        (["keyframes", "a.mkv", "-o", "b", "--shots", ""], "--shots: names nothing"),
        (["config", "show", "nowhere.yaml"], "no such configuration file"),
    ],
)
def test_usage_errors(stub: Stub, arguments: list[str], said: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (HintError("still.png: not an image"), 1, "error: still.png: not an image"),
        (OutputError("out.mkv: the disk is full"), 1, "error: out.mkv: the disk is full"),
        (UsageError("model x takes no hints"), 2, "error: model x takes no hints"),
        (Interrupted("stopped", 143), 143, "error: stopped"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (PermissionError(13, "Permission denied", "film.mkv"), 1, "error: film.mkv: Permission denied"),
        (ModuleNotFoundError("No module named 'ray'", name="ray"), 1, "the package ray is not installed"),
        (ZeroDivisionError("division by zero"), 1, "this is a bug in videocolor"),
    ],
)
def test_errors_become_exit_codes(stub: Stub, error: BaseException, code: int, said: str) -> None:
    stub.error = error
    result = invoke("colorize", "a.mkv", "b.mkv")
    assert result.exit_code == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("arguments", [["colorize", "a.mkv", "b.mkv", "-v"], ["-v", "colorize", "a.mkv", "b.mkv"]])
def test_tracebacks_with_v(stub: Stub, arguments: list[str]) -> None:
    stub.error = ZeroDivisionError("division by zero")
    result = invoke(*arguments)
    assert result.exit_code == 1
    assert "Traceback" in result.stderr


EVENTS = (
    Event("start", {"source": Path("a.mkv"), "target": Path("b.mkv"), "model": "hint", "frames": 20}),
    Event("warning", {"message": "the source is tinted"}),
    Event("progress", {"stage": "color", "frames": 10, "total": 20, "fps": 12.5, "eta_s": float("inf")}),
    Event("shot", {"index": 1, "start": 0, "end": 20, "hints": ["still.png"], "confidence": 0.84}),
    Event("done", {"target": Path("b.mkv"), "frames": 20, "seconds": 1.6, "fps": 12.5}),
)


def test_a_warning_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(1)
    with watching(Session(verbosity=1)) as observer:
        RunLog(observer).warn("the source is tinted")
    assert capsys.readouterr().err == "warning: the source is tinted\n"


def test_events_for_people(stub: Stub) -> None:
    stub.events = EVENTS
    result = invoke("colorize", "a.mkv", "b.mkv")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "warning: the source is tinted" in result.stderr
    assert "shot 1: frames 0..19, hint still.png, confidence 0.84" in result.stderr
    assert "wrote b.mkv: 20 frames in 1.6 s (12.5 frames/s)" in result.stderr


def test_a_returning_shot_says_whose_colors_it_took(stub: Stub) -> None:
    back = {"index": 5, "start": 0, "end": 20, "hints": [], "reuses": 2, "confidence": 1.0}
    alone = {"index": 6, "start": 20, "end": 30, "hints": [], "reuses": None, "confidence": None}
    stub.events = (Event("shot", back), Event("shot", alone))
    said = invoke("colorize", "a.mkv", "b.mkv").stderr.splitlines()
    assert said == ["shot 5: frames 0..19, as shot 2", "shot 6: frames 20..29, hint none"]


def test_quiet_keeps_warnings_alone(stub: Stub) -> None:
    stub.events = EVENTS
    assert invoke("colorize", "a.mkv", "b.mkv", "-q").stderr == "warning: the source is tinted\n"


def test_json_is_pure(stub: Stub) -> None:
    stub.events = EVENTS
    result = invoke("colorize", "a.mkv", "b.mkv", "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in events] == ["start", "warning", "progress", "shot", "done"]
    assert events[0]["source"] == "a.mkv"
    assert events[2]["eta_s"] is None, "infinity is not JSON"
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["colorize", "a.mkv", "b.mkv", "--json"], 1), (["colorize", "a.mkv", "b.mkv", "--json", "--batch", "0"], 2)],
)
def test_json_errors_are_events(stub: Stub, arguments: list[str], code: int) -> None:
    stub.error = HintError("still.png: not an image")
    result = invoke(*arguments)
    event = json.loads(result.stdout)
    assert (event["event"], event["exit_code"], result.exit_code) == ("error", code, code)
    assert event["message"] in result.stderr


def test_json_usage_errors_are_events() -> None:
    result = invoke("colorize", "--json", "--bogus")
    assert json.loads(result.stdout)["exit_code"] == result.exit_code == 2


def test_flags_win_over_set_over_file(stub: Stub, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model: {batch: 2, keyframe_interval: 2, name: auto}\nchroma: {saturation: 0.5}\n")
    arguments = ["--config", str(file), "--set", "model.batch=3", "--set", "model.keyframe_interval=3", "--batch", "4"]
    assert invoke("colorize", "a.mkv", "b.mkv", *arguments).exit_code == 0
    config = merged(stub)
    assert (config.model.batch, config.model.keyframe_interval, config.model.name) == (4, 3, "auto")
    assert config.chroma.saturation == 0.5
    assert not config.output.overwrite


def test_every_flag_arrives(stub: Stub) -> None:
    flags = {
        "--hints": "stills", "--shots": "shots.yaml", "--model": "other", "--device": "cpu", "--batch": "3",
        "--codec": "libx265", "--crf": "17.5", "--preset": "slow", "--pix-fmt": "yuv420p10le",
        "--workers": "3", "--saturation": "1.2", "--rate": "23.976", "--start": "00:00:01.5", "--end": "9",
    }  # fmt: skip
    flat = [part for pair in flags.items() for part in pair]
    result = invoke(
        "colorize", "a.mkv", "b.mkv", *flat, "--hint", "1=a.png", "--hint", "b.png", "--workers", "3", "--overwrite"
    )
    assert result.exit_code == 0, result.stderr
    config = merged(stub)
    assert stub.workers == 3
    assert config.hints.items == ("1=a.png", "b.png")
    assert (config.hints.folder, config.shots.file) == (Path("stills"), Path("shots.yaml"))
    assert (config.model.name, config.model.device, config.model.batch) == ("other", "cpu", 3)
    output = config.output
    assert (output.codec, output.crf, output.preset, output.pix_fmt) == ("libx265", 17.5, "slow", "yuv420p10le")
    assert output.overwrite
    assert config.chroma.saturation == 1.2
    assert (config.input.rate, config.input.start, config.input.end) == (Fraction(24000, 1001), Fraction(3, 2), 9)


def test_dry_run(stub: Stub) -> None:
    assert invoke("colorize", "a.mkv", "b.mkv", "--dry-run").stdout == "one\ntwo\n"
    result = invoke("colorize", "a.mkv", "b.mkv", "--dry-run", "--json")
    assert json.loads(result.stdout) == {"event": "plan", "frames": 2}


def test_shots(stub: Stub) -> None:
    assert len(invoke("shots", "a.mkv").stdout.splitlines()) == 2
    result = invoke("shots", "a.mkv", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert rows[1] == {"event": "shot", "index": 2, "start": 10, "end": 35, "start_s": 0.4, "end_s": 1.4}


def test_shots_never_writes_over_the_film_nor_over_a_list(stub: Stub, tmp_path: Path) -> None:
    film, listed = tmp_path / "film.mkv", tmp_path / "shots.yaml"
    film.write_bytes(b"film")
    listed.write_text("edited")
    for arguments in (["-o", str(film), "--overwrite"], ["-o", str(listed)]):
        result = invoke("shots", str(film), *arguments)
        assert result.exit_code == 1 and result.stderr.startswith("error: ")
    assert stub.source is None, "refused before the film is read"
    assert (film.read_bytes(), listed.read_text()) == (b"film", "edited")
    assert invoke("shots", str(film), "-o", str(listed), "--overwrite").exit_code == 0
    assert "{shot: 2, " in listed.read_text() and film.read_bytes() == b"film"


def test_config_commands() -> None:
    listed = json.loads(invoke("config", "list", "--json").stdout)
    assert {"colorize/default", "colorize/master"} <= {preset["name"] for preset in listed}
    assert "colorize/master" in invoke("config", "list").stdout
    shown = invoke("config", "show", "master", "--set", "model.batch=3", "--json")
    values = json.loads(shown.stdout)
    assert (values["output"]["codec"], values["model"]["batch"]) == ("ffv1", 3)
    assert "# Frames that go through the network" in invoke("config", "show", "master").stdout
    assert json.loads(invoke("config", "show", "--schema").stdout)["title"] == "ColorizeConfig"
    assert invoke("config", "show", "train/hint_cpu", "--set", "seed=3").stdout.count("seed: 3") == 1


_LISTS = {"evaluate/held_back", "evaluate/held_back_more", "evaluate/moving", "evaluate/samples"}


@pytest.mark.parametrize("name", [preset.name for preset in list_presets() if preset.name not in _LISTS])
def test_what_config_show_prints_is_the_configuration(name: str) -> None:
    assert yaml.safe_load(invoke("config", "show", name).stdout) == json.loads(
        invoke("config", "show", name, "--json").stdout
    )


def test_doctor_reports_and_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    doctor = importlib.import_module("videocolor.cli.doctor")

    monkeypatch.setitem(doctor._PACKAGES, "no-such-package", "no_such_module")
    report = doctor.examine()
    answer = report.as_dict()
    assert not answer["ok"]
    assert {"python", "torch", "av", "encoders", "disk"} <= {check["name"] for check in answer["checks"]}
    monkeypatch.setattr(doctor, "examine", lambda: report)
    assert json.loads(invoke("doctor", "--json").stdout)["ok"] is False
    result = invoke("doctor")
    assert result.exit_code == 1
    assert "MISSING no-such-package" in result.stdout
    assert "pip install -c constraints.txt no-such-package" in result.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals(number: int, code: int) -> None:
    program = (
        "import signal, sys, time, types\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background shell may ignore it
        "fake = types.ModuleType('videocolor.colorize')\n"
        "def colorize_video(*a, **k):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "fake.colorize_video = colorize_video\n"
        "sys.modules['videocolor.colorize'] = fake\n"
        "from videocolor.cli import main\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "colorize", "a.mkv", "b.mkv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, said = process.communicate(timeout=100)
    assert process.returncode == code
    assert said.strip().startswith("error: ") and "Traceback" not in said


def test_a_signal_that_became_another_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries in C wrap what is raised in them: pydantic's serializer makes its own error of it."""

    def colorize_video(*_: Any, **__: Any) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(10**7):
                pass
        except BaseException as error:
            raise ValueError("serializing failed") from error

    module = ModuleType("videocolor.colorize")
    module.colorize_video = colorize_video  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    result = invoke("colorize", "a.mkv", "b.mkv")
    assert result.exit_code == 143
    assert "stopped by SIGTERM" in result.stderr and "bug" not in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_closed_pipe_is_quiet() -> None:
    command = f"{sys.executable} -m videocolor config show | true"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert result.stderr == ""


def test_public_names() -> None:
    assert set(videocolor.__all__) == {*videocolor._HOMES, "__version__"}
    assert videocolor.ColorizeConfig is ColorizeConfig
    assert "ColorizeConfig" in dir(videocolor)
    with pytest.raises(AttributeError, match="no attribute 'colorise'"):
        videocolor.colorise  # noqa: B018


def test_sidecar(tmp_path: Path) -> None:
    target = tmp_path / "film.mkv"
    path = write_sidecar(target, {"path": target, "rate": Fraction(24000, 1001), "psnr": float("nan"), "n": (1, 2)})
    assert path == tmp_path / "film.mkv.json"
    assert json.loads(path.read_text()) == {"path": str(target), "rate": "24000/1001", "psnr": None, "n": [1, 2]}
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OutputError, match="cannot be written"):
        write_sidecar(tmp_path / "missing" / "film.mkv", {})


def test_plain_values() -> None:
    import numpy as np

    assert plain({"a": np.float32(0.5), "b": np.int64(3), 4: {Path("x")}}) == {"a": 0.5, "b": 3, "4": ["x"]}
    assert plain(Shot(0, 0, 1, 0, 1, Fraction(1, 25)))["time_base"] == "1/25"


def test_train_merges_and_calls_the_loop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    called: dict[str, Any] = {}

    def train(config: Any, *, resume: bool, **others: Any) -> Path:
        called.update(config=config, resume=resume)
        return tmp_path / "checkpoint.pt"

    module = ModuleType("videocolor.training.loop")
    module.train = train  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    result = invoke("train", "--config", "hint_cpu", "--set", f"out={tmp_path}", "--set", "seed=9", "--resume")
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path}/checkpoint.pt\n"), result.stderr
    assert (called["config"].seed, called["config"].out, called["resume"]) == (9, tmp_path, True)
    assert invoke("train", "--config", "hint_cpu", "--set", "sede=9").exit_code == 2


def test_doctor_compares_weights_with_what_was_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    doctor = importlib.import_module("videocolor.cli.doctor")

    checks = [check for check in doctor.examine().checks if check.name.startswith("weights of")]
    assert checks and all(check.ok for check in checks)
    monkeypatch.setattr(doctor, "_recorded_hashes", lambda: {"0" * 64})
    checks = [check for check in doctor.examine().checks if check.name.startswith("weights of")]
    assert checks and not any(check.ok for check in checks)
    assert all("reinstall" in check.remedy for check in checks)


def test_models_commands(tmp_path: Path) -> None:
    cards = json.loads(invoke("models", "--json").stdout)
    assert cards[0]["name"] == "hint"
    assert {"parameters", "macs", "hints", "licence", "sha256"} <= set(cards[0])
    table = invoke("models").stdout.splitlines()
    assert table[0].split()[:5] == ["NAME", "PARAMETERS", "MACS", "HINTS", "LICENCE"]
    assert len(table) == len(cards) + 3, "two tables: ours, and the papers' systems"
    systems = {card["name"]: card for card in cards if "weights" in card}
    assert systems["h1"]["weights"] == "" and systems["h4"]["parameters"] == 1_991_239
    packaged = [system for system in systems.values() if system["weights"] == "packaged"]
    assert sum(system["hours"] for system in packaged) < 3 and packaged[0]["command"].endswith("published/h2")
    assert json.loads(invoke("models", "show", "hint", "--json").stdout) == cards[0]
    assert "sha256" in invoke("models", "show", "hint").stdout
    assert invoke("models", "show", "nothing").exit_code == 2


def test_a_film_from_the_command_line(run_cli: Any, samples: Path, tmp_path: Path) -> None:
    """The real path, a fifth of a second of it: JSON lines alone on stdout, the record beside the film."""
    target = tmp_path / "film.mkv"
    arguments = ["colorize", samples / "bw_his_girl_friday_1940.mp4", target, "--end", "0.2", "--json"]
    done = run_cli(*arguments)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "done" and events[-1]["frames"] == 6
    assert {"start", "shot"} <= {event["event"] for event in events}
    record = json.loads((tmp_path / "film.mkv.json").read_text())
    assert record["config"]["input"]["end"] == "0.2"
    assert len(record["source"]["sha256"]) == 64
    again = invoke(*map(str, arguments))
    assert again.exit_code == 1, "an existing film is not replaced"
    assert "--overwrite" in again.stderr and "Traceback" not in again.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mkv", "film.mkv.json"]


@pytest.mark.parametrize(
    "name", ["missing.mkv", *(pytest.param(n, marks=pytest.mark.slow) for n in ("text.mkv", "empty.mkv"))]
)
def test_bad_inputs_are_answered(run_cli: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "text.mkv").write_text("this is no film\n" * 100)
    (tmp_path / "empty.mkv").touch()
    done = run_cli("colorize", tmp_path / name, tmp_path / "out.mkv")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and name in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out.mkv").exists()
