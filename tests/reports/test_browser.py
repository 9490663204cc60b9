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
from videocolor.record import report_path
from videocolor.reports.run import write_report

BROWSER = shutil.which("chromium")
WORDS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")

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
