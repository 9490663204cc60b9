"""The report in a real browser: the slider, narrow screens, dark ones, paper. Skipped where none is installed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media import make_film

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.pages import data_url, render
from videocolor.record import report_path
from videocolor.reports.run import write_report

BROWSER = shutil.which("chromium")
WORDS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")]

_CONTRAST = """() => {
  const light = color => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let worst = 99;
  for (const element of document.querySelectorAll('body *')) {
    if (![...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    if (!element.getClientRects().length) continue;
    let behind = element;
    while (/, 0\\)$/.test(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
    const [a, b] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map(light);
    worst = Math.min(worst, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return worst;
}"""
"""The smallest contrast of a text with what is behind it, by the formula of WCAG 2.1 (relative luminance)."""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(1)
    frames = []
    for _ in range(4):
        pattern = np.kron(rng.integers(40, 200, (9, 16)), np.ones((20, 20), int)).astype(np.uint8)
        frames += [[pattern, *[np.full((90, 160), 128, np.uint8)] * 2]] * 12
    make_film(folder / "film.mp4", frames, "libx264", size=(320, 180))
    colorize_video(folder / "film.mp4", folder / "out.mp4", ColorizeConfig.load(None, ["model.name=constant"]))
    record: dict[str, Any] = json.loads((folder / "out.mp4.json").read_text())
    record["warnings"] = ["something that a person should know"]
    record["shots"][1]["confidence"] = 0.2
    write_report(folder / "film.mp4", folder / "out.mp4", record)
    return report_path(folder / "out.mp4")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=WORDS)
        yield started
        started.close()


def opened(browser: Any, page_file: Path, width: int, height: int, scheme: str = "light") -> tuple[Any, list[str]]:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "request", lambda request: said.append(request.url) if not request.url.startswith(("file:", "data:")) else None
    )
    page.goto(page_file.as_uri())
    return page, said


def test_the_slider_by_key_and_by_mouse(browser: Any, page_file: Path) -> None:
    page, said = opened(browser, page_file, 1280, 900)
    slider, after = page.locator(".stage input").first, page.locator(".stage .after").first
    slider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert slider.input_value() == "70"
    assert after.evaluate("e => getComputedStyle(e).clipPath") == "inset(0px 0px 0px 70%)"
    assert page.locator(".stage").first.evaluate("e => getComputedStyle(e).outlineStyle") == "solid", "focus is seen"
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    assert abs(int(slider.input_value()) - 25) <= 1
    assert not said, "nothing is fetched, nothing is refused by the page's own policy"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "columns"), [(1280, 3), (390, 1)])
def test_widths_and_contrast(browser: Any, page_file: Path, width: int, columns: int, scheme: str) -> None:
    page, said = opened(browser, page_file, width, 900, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out"
    places = page.evaluate("[...document.querySelectorAll('.shot')].map(e => Math.round(e.getBoundingClientRect().x))")
    assert len(set(places)) == columns
    assert page.evaluate(_CONTRAST) >= 4.5
    assert not said


def test_on_paper_both_pictures_stand_beside_each_other(browser: Any, page_file: Path, tmp_path: Path) -> None:
    page, _ = opened(browser, page_file, 760, 900)
    page.emulate_media(media="print")
    for stage in page.locator(".stage").all():
        before, after = (image.bounding_box() for image in stage.locator("img").all())
        assert before["y"] == after["y"] and before["x"] + before["width"] <= after["x"]
        assert not stage.locator("input").is_visible()
    page.pdf(path=str(tmp_path / "page.pdf"))
    # Eight pictures, JPEG as they are in the page.
    assert len(re.findall(rb"/Filter\s*/DCTDecode", (tmp_path / "page.pdf").read_bytes())) == 8


GRAY = data_url(np.full((48, 64, 3), 128, np.uint8))


def test_the_page_of_an_evaluation(browser: Any, tmp_path: Path) -> None:
    strips = [(3, [("truth", GRAY), ("gray film", GRAY), ("mine", GRAY)])]
    clip = {
        "name": "a",
        "head": ["method", "dE00"],
        "scores": [["mine", "1"]],
        "strips": strips,
        "right": "mine",
        "hints": [],
    }
    values = {"protocol": "e1", "facts": ["one"], "head": ["method"], "means": [["mine"]], "last": "mine", "shown": 1}
    (tmp_path / "page.html").write_text(render("evaluation", gray="gray film", clips=[clip], **values))
    page, said = opened(browser, tmp_path / "page.html", 1000, 700)
    page.locator("input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".over").evaluate("e => e.style.clipPath") == "inset(0px 0px 0px 51%)"
    assert page.locator("select").nth(1).evaluate("e => e.selectedOptions[0].text") == "mine, frame 3"
    assert not said


def test_the_page_that_people_judge(browser: Any, tmp_path: Path, root: Path) -> None:
    text = render("user_study", root / "pipelines", survey="s1", pictures=[("p1", GRAY), ("p2", GRAY)])
    (tmp_path / "page.html").write_text(text)
    page, said = opened(browser, tmp_path / "page.html", 1000, 700)
    for key in ("r", "c"):
        page.keyboard.press(key)
    rows = page.locator("textarea").input_value().split()
    assert rows == ["survey,picture,answer", "s1,p1,real", "s1,p2,colored"]
    assert not said


def test_the_page_of_doubtful_pairs(browser: Any, tmp_path: Path) -> None:
    pair = {"source": "</script>", "shot": 1, "distance": 2, "times": ["0", "1"], "offset": 1, "pictures": [GRAY, GRAY]}
    pairs = [{"id": name, **pair} for name in ("one", "two")]
    (tmp_path / "page.html").write_text(render("review", name="<b>", pairs=pairs))
    page, said = opened(browser, tmp_path / "page.html", 1000, 700)
    for key in ("a", "r"):
        page.keyboard.press(key)
    assert page.locator("#text").input_value() == "accept one\nreject two\n"
    assert "</script>" in page.locator("#about").inner_text()
    assert not said
