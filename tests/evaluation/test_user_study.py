"""The survey: balanced, without answers in the page, and counted as published."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scenes import colored_noise, write_truth

from pipelines.user_study import fooling_rate, main, wilson, write_survey
from videocolor.errors import InputError, OutputError, UsageError
from videocolor.evaluation.evaluate import Evaluation, evaluate
from videocolor.evaluation.settings import EvaluateConfig
from videocolor.presets import load_model


class Images(HTMLParser):
    """Attributes of every <img>."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.found.append(dict(attrs))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder = tmp_path_factory.mktemp("clips")
    for index in range(5):
        frame = colored_noise(index, 32, 48)
        write_truth(folder / f"clip{index}.mkv", frame[None].repeat(4, axis=0))
    return evaluate(folder, tmp_path_factory.mktemp("out"), config(1))


def config(seed: int) -> EvaluateConfig:
    changes = {"methods": ["copy", "gray"], "page.seed": seed}
    return load_model(EvaluateConfig, "evaluate", None, ("scores.metrics=[psnr_rgb]",), changes)


@pytest.fixture
def survey(done: Evaluation, tmp_path: Path) -> dict[str, Any]:
    paths = write_survey(done, tmp_path / "survey")
    key = json.loads(paths["key.json"].read_text())
    return {"page": paths["survey.html"].read_text(), "key": key, "path": paths["key.json"]}


def answers(path: Path, survey: dict[str, Any], words: dict[str, str]) -> Path:
    lines = [f"{survey['key']['survey']},{picture},{word}" for picture, word in words.items()]
    path.write_text("\r\n".join(["survey,picture,answer", *lines]) + "\r\n")
    return path


def of_kind(survey: dict[str, Any], kind: str) -> list[str]:
    return [name for name, entry in survey["key"]["pictures"].items() if entry["kind"] == kind]


def test_balanced_and_no_clip_both_ways(survey: dict[str, Any]) -> None:
    pictures = survey["key"]["pictures"]
    assert survey["key"]["methods"] == ["copy", "gray"]
    assert sorted(entry["method"] for entry in pictures.values() if "method" in entry) == ["copy"] * 2 + ["gray"] * 2
    assert len(of_kind(survey, "real")) == len(of_kind(survey, "colored")) == 4, "one clip of five is left out"
    kinds = {}
    for entry in pictures.values():
        kinds.setdefault(entry["clip"], set()).add(entry["kind"])
    assert len(kinds) == 4 and all(len(kind) == 1 for kind in kinds.values())


def test_the_pictures_are_what_the_key_says(survey: dict[str, Any]) -> None:
    import base64

    import cv2
    import numpy as np

    shown = Images(survey["page"]).found
    assert [image["data-picture"] for image in shown] == list(survey["key"]["pictures"])
    for image in shown:
        data = base64.b64decode(str(image["src"]).partition(",")[2])
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(int)
        gray = np.ptp(pixels, axis=2).mean() < 3
        assert gray == (survey["key"]["pictures"][image["data-picture"]].get("method") == "gray")


def test_the_page_gives_nothing_away(survey: dict[str, Any]) -> None:
    without_pictures = re.sub(r"base64,[^\"]*", "", survey["page"])
    assert "gray" not in without_pictures and "clip" not in without_pictures and "kind" not in without_pictures
    attributes = {name for image in Images(survey["page"]).found for name in image}
    assert attributes == {"hidden", "data-picture", "src", "alt"}
    assert len({image["alt"] for image in Images(survey["page"]).found}) == 1
    assert not re.search(r"(?:src|href)=\"(?!data:)", without_pictures), "nothing is fetched"


def test_the_seed_decides(done: Evaluation, tmp_path: Path) -> None:
    import dataclasses

    def page(seed: int, name: str) -> str:
        changed = dataclasses.replace(done, config=config(seed))
        return write_survey(changed, tmp_path / name)["survey.html"].read_text()

    assert page(1, "a") == page(1, "b") != page(2, "c")


def test_fooling_rate(survey: dict[str, Any], tmp_path: Path) -> None:
    real, colored = of_kind(survey, "real"), of_kind(survey, "colored")
    first = answers(tmp_path / "1.csv", survey, {**dict.fromkeys(real, "real"), **dict.fromkeys(colored, "colored")})
    second = answers(
        tmp_path / "2.csv",
        survey,
        {real[0]: "colored", **dict.fromkeys(real[1:], "real"), **dict.fromkeys(colored, "real")},
    )
    rate = fooling_rate(survey["path"], [first, second])
    assert [(share.count, share.of) for share in rate.fooled.values()] == [(2, 4), (2, 4)]
    assert set(rate.fooled) == {"copy", "gray"}
    assert (rate.trusted.count, rate.trusted.of) == (7, 8)
    assert [share.share for share in rate.by_person.values()] == [0, 1]
    assert rate.people == 2 and rate.as_dict()["interval"].startswith("Wilson")


def test_unanswered_pictures_do_not_count(survey: dict[str, Any], tmp_path: Path) -> None:
    only = answers(tmp_path / "1.csv", survey, {of_kind(survey, "real")[0]: "real"})
    rate = fooling_rate(survey["path"], [only])
    assert rate.fooled["gray"].of == 0 and rate.fooled["gray"].share is None
    assert "nobody answered" in "\n".join(rate.lines())


def test_wilson_worked_numbers() -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    for count, of, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson(count, of) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(st.integers(1, 500).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_wilson_holds_the_share_and_is_symmetric(pair: tuple[int, int]) -> None:
    count, of = pair
    low, high = wilson(count, of)
    assert 0 <= low <= count / of <= high <= 1
    assert wilson(of - count, of) == (pytest.approx(1 - high), pytest.approx(1 - low))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line"),
        ("a,b\n", "first line"),
        ("survey,picture,answer\n{survey},{picture},perhaps\n", ":2: expected"),
        ("survey,picture,answer\nother,{picture},real\n", "belongs to survey other"),
        ("survey,picture,answer\n{survey},nothing,real\n", "no picture nothing"),
        ("survey,picture,answer\n{survey},{picture},real\n\n{survey},{picture},real\n", ":4: picture .* twice"),
    ],
)
def test_answers_that_cannot_be_counted(text: str, message: str, survey: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    picture = next(iter(survey["key"]["pictures"]))
    file.write_text(text.format(survey=survey["key"]["survey"], picture=picture))
    with pytest.raises(InputError, match=message):
        fooling_rate(survey["path"], [file])


def test_other_mistakes(done: Evaluation, survey: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Name another folder"):
        write_survey(done, survey["path"].parent)
    with pytest.raises(InputError, match="cannot be read"):
        fooling_rate(survey["path"], [tmp_path / "none.csv"])
    file = answers(tmp_path / "1.csv", survey, {})
    with pytest.raises(UsageError, match="given twice"):
        fooling_rate(survey["path"], [file, file])
    (tmp_path / "key.json").write_text('{"survey": 3}')
    with pytest.raises(InputError, match="not the key"):
        fooling_rate(tmp_path / "key.json", [tmp_path / "1.csv"])


def test_commands(tmp_path: Path) -> None:
    """Made by one command, answered by a script that always says "real", counted by another."""
    folder, survey, csv = tmp_path / "clips", tmp_path / "survey", tmp_path / "answers.csv"
    folder.mkdir()
    for index in range(2):
        write_truth(folder / f"clip{index}.mkv", colored_noise(index, 32, 48)[None].repeat(3, axis=0))
    quick = ["--protocol", "e1", "--methods", "copy", "--set", "scores.metrics=[psnr_rgb]"]

    def run(*words: str | Path) -> str:
        done = CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    run("make", folder, survey, "-o", tmp_path / "out", *quick)
    page = (survey / "survey.html").read_text()
    found = re.search(r'data-survey="(\w+)"', page)
    assert found
    names = re.findall(r'data-picture="(\w+)"', page)
    csv.write_text("\n".join(["survey,picture,answer", *(f"{found[1]},{name},real" for name in names)]))
    assert "fooling rate of copy: 100.0% (2 of 2; Wilson 95 % 34.2% to 100.0%)" in run("count", survey, csv)
    counted = json.loads(run("count", survey, csv, "--json"))
    assert counted["fooled"]["copy"]["share"] == 1 and counted["trusted"]["count"] == 2
    failed = CliRunner().invoke(main, ["count", str(tmp_path), str(csv)])
    assert isinstance(failed.exception, InputError) and "cannot be read" in str(failed.exception)
    two = ["make", folder, tmp_path / "s", "-o", tmp_path / "few", "--protocol", "e1", "--methods", "copy,gray"]
    failed = CliRunner().invoke(main, list(map(str, two)))
    assert "needs 4 clips or more" in str(failed.exception) and not (tmp_path / "few").exists(), "before any work"
