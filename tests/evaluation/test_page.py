"""The page of an evaluation: self-contained, escaped, in order, usable without a mouse."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from scenes import colored_noise, pan, write_truth

from videocolor.evaluation.evaluate import Evaluation, evaluate
from videocolor.evaluation.output import page_html, worst_first
from videocolor.evaluation.settings import EvaluateConfig
from videocolor.evaluation.table import table_markdown
from videocolor.presets import load_model

EVIL = "x<script>alert(1)</script>&'|"


class Page(HTMLParser):
    """Elements with their attributes, and the texts of script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] in ("script", "style", "title") and data.strip():
            self.texts.setdefault(self.elements[-1][0], data)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder = tmp_path_factory.mktemp("clips")
    write_truth(folder / "easy.mkv", colored_noise(3, 48, 64)[None].repeat(6, axis=0))
    write_truth(folder / "hard.mkv", pan(8, 6))
    write_truth(folder / f"{EVIL.replace('/', '_')}.mkv", pan(6, 3))
    config = load_model(
        EvaluateConfig, "evaluate", None, ("page.shown=2",), {"methods": ["gray", "flow", f"{EVIL}=copy"]}
    )
    return evaluate(folder, tmp_path_factory.mktemp("out"), config)


def test_nothing_is_fetched_and_only_our_script_runs(done: Evaluation) -> None:
    page = Page(page_html(done))
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == tags.count("style") == 1
    assert not {"link", "iframe", "object", "base", "form", "svg"} & set(tags)
    (policy,) = (a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page.texts[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")


def test_texts_are_escaped(done: Evaluation) -> None:
    html, markdown = page_html(done), table_markdown(done)
    assert "<script>alert" not in html and "&lt;script&gt;alert" in html
    assert "<script" not in markdown
    for line in markdown.splitlines():
        if line.startswith("| x&lt;"):
            assert "\\|" in line
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    tables = re.split(r"\n(?:[^|].*)?\n", "\n".join(line for line in markdown.splitlines()))
    for table in tables:
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines() if line.startswith("|")}
        assert len(cells) <= 1, "no cell breaks its row"
    assert rows


def test_worst_first_and_pictures_of_the_first(done: Evaluation) -> None:
    order = worst_first(done)
    copied = {row.unit: row.scores["ciede2000_mean"] for row in done.rows if row.method == done.labels[-1]}
    assert order == sorted(copied, key=lambda unit: -copied[unit])
    assert order[-1] == "easy"
    page = Page(page_html(done))
    pictures = [a for tag, a in page.elements if tag == "img" and a.get("src")]
    hints = [a for a in pictures if str(a["alt"]).startswith("hint")]
    assert [a["alt"] for a in hints] == 2 * ["hint 1, frame 0"]
    assert len(pictures) - len(hints) == 2 * 2 * 4, "two clips, two frames; truth, gray film, two methods"
    assert all(picture["alt"] for picture in pictures)


def test_the_slider_is_a_native_one_with_a_name(done: Evaluation) -> None:
    page = Page(page_html(done))
    sliders = [a for tag, a in page.elements if tag == "input"]
    assert len(sliders) == 2
    assert all(a["type"] == "range" and a["aria-label"] for a in sliders)
    boxes = [a for tag, a in page.elements if tag == "div" and a.get("class") == "compare"]
    names = {a["alt"] for tag, a in page.elements if tag == "img"}
    assert all(box["data-left"] in names and box["data-right"] in names for box in boxes)


def test_pictures_are_brought_to_the_height_asked_for(done: Evaluation) -> None:
    import dataclasses

    import cv2
    import numpy as np

    small = done.config.model_copy(update={"page": done.config.page.model_copy(update={"height": 32})})
    page = Page(page_html(dataclasses.replace(done, config=small)))
    for tag, attributes in page.elements:
        if tag == "img" and attributes.get("src"):
            data = base64.b64decode(str(attributes["src"]).partition(",")[2])
            assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[0] == 32


def test_sizes_stay_sane(done: Evaluation) -> None:
    assert len(page_html(done)) < 300_000
