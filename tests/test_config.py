"""Configuration: layers, messages, times, hints, and every YAML of configs/."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from videocolor.config import ColorizeConfig
from videocolor.config.parsing import parse_hint, parse_rate, parse_time
from videocolor.errors import ConfigError, UsageError
from videocolor.presets import config_root, find_preset, list_presets, load_model, read_yaml, yaml_line

CONFIGS = Path(__file__).parent.parent / "configs"


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    assert ColorizeConfig.load(tmp_path / "empty.yaml") == ColorizeConfig() == ColorizeConfig.load()


def test_layers(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model: {batch: 2, keyframe_interval: 3, threads: 5}\nhints: {items: [a.png]}\n")
    config = ColorizeConfig.load(
        file,
        ["model.batch=4", "model.keyframe_interval=6"],
        {"model.batch": 16, "model.name": None, "hints.items": ("b.png", "c.png")},
    )
    assert config.model.threads == 5, "file over default"
    assert config.model.keyframe_interval == 6, "--set over file"
    assert config.model.batch == 16, "flag over --set"
    assert config.model.name == "hint", "None is a flag that was not given"
    assert config.hints.items == ("b.png", "c.png")


def test_preset_names() -> None:
    assert ColorizeConfig.load("master") == ColorizeConfig.load("colorize/master")
    assert ColorizeConfig.load("master").output.codec == "ffv1"
    assert ColorizeConfig.load("prores").output.codec == "prores_ks"
    assert ColorizeConfig.load("fast").model.keyframe_interval_painted == 16
    assert ColorizeConfig.load("quality").model.keyframe_interval == 8
    assert find_preset("colorize/master", "colorize") == config_root() / "colorize" / "master.yaml"


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["model.batch=0"], ["--set", "model.batch = 0", "1..256"]),
        (["model.batch=257"], ["model.batch = 257", "256"]),
        (["model.batch=true"], ["model.batch = True"]),
        (["modle.batch=1"], ["unknown key modle", "did you mean model?", "smoothing"]),
        (["output.codek=ffv1"], ["--set", "unknown key output.codek", "did you mean codec?", "pix_fmt"]),
        (["shots.detector=contant"], ["content, transnet, none", "did you mean content?"]),
        (["model.device=gpu"], ["model.device = 'gpu'", "auto", "cpu", "cuda:N"]),
        (["input.start=soon"], ["input.start = 'soon'", "HH:MM:SS.mmm"]),
        (["input.start=5", "input.end=3"], ["end 3", "start 5"]),
        (["output.overwrite=no"], ["output.overwrite = 'no'", "true or false"]),
        (["output.crf=99"], ["output.crf = 99", "63"]),
        (["chroma.saturation=.inf"], ["chroma.saturation"]),
        (["chroma.saturation=4.5"], ["chroma.saturation = 4.5", "0..4"]),
        (["model.name.x=3"], ["model.name"]),
        (["nonsense"], ["--set nonsense", "key=value"]),
        (["model.batch=[1"], ["--set model.batch", "YAML"]),
        (["model=3"], ["--set", "model = 3"]),
    ],
)
def test_mistakes_are_explained(overrides: list[str], parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        ColorizeConfig.load(None, overrides)
    for part in parts:
        assert part in str(caught.value)
    assert caught.value.exit_code == 2


def test_files_are_named_in_messages(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model: {bach: 2}\n")
    with pytest.raises(ConfigError, match=re.escape(f"{file}: unknown key model.bach; did you mean batch?")):
        ColorizeConfig.load(file)
    with pytest.raises(ConfigError, match=r"command line: model\.batch"):
        ColorizeConfig.load(None, flags={"model.batch": 0})


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        ColorizeConfig.load(None, ["model.batch=0", "output.codek=x"])
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [("model: [", "not valid YAML"), ("- a\n", "list"), ("model: {}\nmodel: {}\n", "given twice"), ("3\n", "int")],
)
def test_files_that_are_no_configuration(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_yaml(file)
    assert str(file) in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_yaml(tmp_path / "bad.yaml")


def test_unknown_presets() -> None:
    with pytest.raises(ConfigError, match=r"did you mean master\?"):
        ColorizeConfig.load("mastr")
    with pytest.raises(ConfigError, match="no such configuration file"):
        ColorizeConfig.load("nowhere.yaml")


def test_yaml_keeps_clock_times_and_words_as_text(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "input: {start: 00:01:02.5, end: 90, rate: 23.976}\noutput: {preset: no, options: {g: 1, x: true}}\n"
    )
    config = ColorizeConfig.load(file)
    assert config.input.start == Fraction(125, 2)
    assert config.input.rate == Fraction(24000, 1001)
    assert config.output.preset == "no"
    assert config.output.options == {"g": "1", "x": "1"}


def test_any_text_survives_a_line_of_yaml() -> None:
    text = "".join(map(chr, (*range(0x3000), *range(0xD7F0, 0xE010), *range(0xFE00, 0x10010), 0x1F3AC, 0x10FFFF)))
    assert ColorizeConfig.load(None, [f"output.preset={yaml_line(text)}"]).output.preset == text
    assert yaml_line({"a": [1.5, None, "b"]}) == '{"a": [1.5, null, "b"]}'


def test_frozen() -> None:
    with pytest.raises(ValidationError):
        ColorizeConfig().model.batch = 3  # type: ignore[misc]


def test_round_trips(tmp_path: Path) -> None:
    config = ColorizeConfig.load("master", ["input.start=1/3", "input.end=00:10:00.125", "hints.items=[3.5=a.png]"])
    assert config.input.start == Fraction(1, 3)
    assert ColorizeConfig.model_validate(json.loads(json.dumps(config.as_dict()))) == config
    for comments in (False, True):
        (tmp_path / "again.yaml").write_text(config.to_yaml(comments=comments))
        assert ColorizeConfig.load(tmp_path / "again.yaml") == config
    assert ColorizeConfig.model_json_schema()["additionalProperties"] is False


def test_every_key_is_documented() -> None:
    for section in ColorizeConfig.model_fields.values():
        assert isinstance(section.annotation, type)
        for name, field in section.annotation.model_fields.items():  # type: ignore[attr-defined]
            assert field.description, f"{section.annotation.__name__}.{name} has no docstring"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3.5", Fraction(7, 2)),
        ("0", Fraction(0)),
        (".5", Fraction(1, 2)),
        ("00:01:02.500", Fraction(125, 2)),
        ("1:02.5", Fraction(125, 2)),
        ("90:00", Fraction(5400)),
        ("100:00:00", Fraction(360000)),
        ("0.1", Fraction(1, 10)),
        (0.1, Fraction(1, 10)),
        (7, Fraction(7)),
        (Fraction(1, 3), Fraction(1, 3)),
        (" 3.5 ", Fraction(7, 2)),
    ],
)
def test_times(text: str | float | Fraction, seconds: Fraction) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "-1", "3,5", "1:60", "1:60:00", "1:2:3:4", "nan", "inf", "1e3", "abc", ":", "1:", True]
)
def test_no_times(text: str) -> None:
    with pytest.raises(UsageError, match="not a time"):
        parse_time(text)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59_999))
def test_clock_times_are_exact(hours: int, minutes: int, milliseconds: int) -> None:
    text = f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"
    assert parse_time(text) == hours * 3600 + minutes * 60 + Fraction(milliseconds, 1000)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("24", Fraction(24)),
        (18, Fraction(18)),
        ("18.5", Fraction(37, 2)),
        ("24000/1001", Fraction(24000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        ("59.94", Fraction(60000, 1001)),
    ],
)
def test_rates(text: str | float, rate: Fraction) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["0", "-24", "1/0", "fast", "", "1001", True])
def test_no_rates(text: str) -> None:
    with pytest.raises(UsageError, match="not a frame rate"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.png", (None, "a.png", None)),
        ("3.5=a.png", (Fraction(7, 2), "a.png", None)),
        ("00:01:02.500=a.png", (Fraction(125, 2), "a.png", None)),
        ("3.5=other.mkv@12.0", (Fraction(7, 2), "other.mkv", Fraction(12))),
        ("other.mkv@00:00:12", (None, "other.mkv", Fraction(12))),
        ("C:\\stills\\x.png", (None, "C:\\stills\\x.png", None)),
        ("3=C:\\stills\\x.png", (Fraction(3), "C:\\stills\\x.png", None)),
        ("take=2.png", (None, "take=2.png", None)),
        ("3=take=2.png", (Fraction(3), "take=2.png", None)),
        ("me@home.png", (None, "me@home.png", None)),
    ],
)
def test_hint_specs(text: str, expected: tuple[Fraction | None, str, Fraction | None]) -> None:
    time, path, other = parse_hint(text)
    assert (time, str(path), other) == expected


def test_a_file_of_the_whole_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("3=a.png", "b@2"):
        Path(name).touch()
    assert parse_hint("3=a.png") == (None, Path("3=a.png"), None)
    assert parse_hint("4=3=a.png") == (Fraction(4), Path("3=a.png"), None)
    assert parse_hint("5=b@2") == (Fraction(5), Path("b@2"), None)


@pytest.mark.parametrize("text", ["3,5=a.png", "-1=a.png", "3=", " ", "1:75=a.png", "3=a.mkv@1:75"])
def test_bad_hint_specs(text: str) -> None:
    with pytest.raises(UsageError, match="--hint"):
        parse_hint(text)


@pytest.mark.parametrize("file", sorted((CONFIGS / "colorize").glob("*.yaml")), ids=lambda file: file.stem)
def test_colorize_presets(file: Path) -> None:
    ColorizeConfig.load(file)
    assert file.read_text().startswith("# "), "the first line says what the preset is for"


def test_default_preset_is_the_defaults_in_full() -> None:
    text = (CONFIGS / "colorize" / "default.yaml").read_text()
    body = "\n".join(text.splitlines()[2:]) + "\n"
    assert body == ColorizeConfig().to_yaml(comments=True), (
        "run: videocolor config show > configs/colorize/default.yaml"
    )


@pytest.mark.parametrize("file", sorted((CONFIGS / "train").glob("**/*.yaml")), ids=lambda file: file.stem)
def test_train_presets(file: Path) -> None:
    config_class = importlib.import_module("videocolor.training.systems").config_class
    load_model(config_class(file), "train", file)


@pytest.mark.parametrize("name", ["held_back", "held_back_more"])
def test_held_back_list(name: str) -> None:
    held = read_yaml(CONFIGS / "evaluate" / f"{name}.yaml")
    more = name == "held_back_more"
    assert set(held) == {"rule", "clips", "images_below" if more else "images"}
    rows = held["clips"]
    assert len(rows) >= 12
    assert len({row["file"] for row in rows}) == len(rows)
    chosen = {row["file"] for row in rows if _place(row["source"]) < 0.13}
    kin = {file for group in _hold_back().KIN if chosen & set(group) for file in group}
    for row in rows:
        assert set(row) == {"file", "source", "sha256"}
        assert re.fullmatch(r"[0-9a-f]{64}", row["sha256"])
        assert row["file"] in chosen | kin
    if more:
        assert held["images_below"] == 0.1
        return
    assert len(set(held["images"])) == len(held["images"]) > 0
    assert all(_place(source) < 0.1 for source in held["images"])


def _place(source: str) -> float:
    digest = hashlib.sha256(b"videocolor:" + source.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _hold_back() -> Any:
    spec = importlib.util.spec_from_file_location("hold_back", CONFIGS.parent / "pipelines" / "hold_back.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_table_lists_every_file() -> None:
    table = set(re.findall(r"^\| `(.+?\.yaml)` \|", (CONFIGS / "README.md").read_text(), re.MULTILINE))
    files = {path.relative_to(CONFIGS).as_posix() for path in CONFIGS.glob("**/*.yaml")}
    assert table == files
    assert {f"{preset.name}.yaml" for preset in list_presets()} == files
    assert all(preset.summary for preset in list_presets())


def test_table_says_what_the_presets_of_colorize_say() -> None:
    rows = dict(
        re.findall(r"^\| `(colorize/.+?)\.yaml` \| (.+) \|$", (CONFIGS / "README.md").read_text(), re.MULTILINE)
    )
    assert rows == {preset.name: preset.summary for preset in list_presets() if preset.name.startswith("colorize/")}


@pytest.mark.parametrize(("name", "key"), [("fast", "keyframe_interval_painted"), ("quality", "keyframe_interval")])
def test_presets_do_what_they_say(name: str, key: str) -> None:
    summary = next(preset.summary for preset in list_presets() if preset.name == f"colorize/{name}")
    said = re.search(r"every (\d+)(?:st|nd|rd|th) frame", summary)
    assert said is not None and getattr(ColorizeConfig.load(name).model, key) == int(said[1])
