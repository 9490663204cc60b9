"""What a person works with beside the act of clicking: colors at hand, the grid of shots, choices, keys, results.

One studio and one window serve all tests of this module; each test leaves the project as it found it, or says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from films import write_reel
from serving import Client, serving
from studio.browser.driver import FLAGS, chromium, missing, until, wait_drawn

if TYPE_CHECKING:
    from playwright.sync_api import Page

_REASON = missing()
needs_browser = [pytest.mark.slow, pytest.mark.skipif(_REASON is not None, reason=str(_REASON))]
SHOTS = ((1, 8), (2, 6), (1, 7), (3, 5), (2, 6), (4, 6))
"""Scene and frames of each shot: the third returns to the first, the fifth to the second."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    film = write_reel(tmp_path_factory.mktemp("desk") / "reel.mkv", SHOTS)
    with serving(film) as client:
        client.scanned()
        client.change("PATCH", "/api/settings", model="constant")
        yield client


@pytest.fixture(scope="module")
def page(client: Client) -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS), headless=True)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(client.served.address)
        until(page, "document.querySelector('#scan-state').hidden && !document.querySelector('#render').disabled")
        wait_drawn(page)
        yield page
        browser.close()
    assert not errors


@pytest.fixture(scope="module")
def photo(client: Client) -> str:
    """Id of a photograph of the first shot: brick red at the left, sky blue at the right."""
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[:, :50], picture[:, 50:] = (0x3C, 0x50, 0x96), (0xC7, 0xA3, 0x7F)
    data = cv2.imencode(".png", picture)[1].tobytes()
    answer = client.upload("/api/hints/loose", data, "wall.png", shot=0)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["hints"][-1]["id"])


# ---- colors at hand ----


def test_a_photograph_gives_its_colors(client: Client, photo: str) -> None:
    assert client.get(f"/api/hints/{photo}/color", x=0.2, y=0.5).json() == {"color": "#96503c"}
    assert client.get(f"/api/hints/{photo}/colors").json()["colors"] == ["#96503c", "#7fa3c7"]
    for wrong in ({"x": 2, "y": 0}, {"x": 0.5}):
        assert client.get(f"/api/hints/{photo}/color", **wrong).status_code == 400
    assert client.get("/api/hints/h0099/colors").status_code == 404


class TestInTheBrowser:
    pytestmark = needs_browser

    def test_colors_by_name_from_palettes_and_photographs(self, page: Page, client: Client, photo: str) -> None:
        def chosen() -> Any:
            return page.input_value("#points-editor input[type=color]")

        page.keyboard.press("o")
        for text, color in (("olive", "#5d5b3c"), ("#2C3550", "#2c3550"), ("abc", "#aabbcc"), ("tomato", "#ff6347")):
            page.fill("#color-typed", text)
            page.press("#color-typed", "Enter")
            assert chosen() == color
        page.fill("#color-typed", "no such thing")
        page.press("#color-typed", "Enter")
        until(page, "document.querySelector('#toasts-alert .toast') !== null")
        assert chosen() == "#ff6347"
        page.locator("#toasts-alert .toast button.icon").click()
        page.fill("#color-typed", "")
        page.select_option("#palette-subject", label="Stone and brick")
        page.click(".named >> text=limestone")
        assert chosen() == "#d2c6a8" and "limestone" in page.inner_text(".swatchname")

        page.click("#from-photo")
        until(page, "document.querySelectorAll('#photo-dialog .swatch').length === 2")
        box = page.locator("#photo").bounding_box()
        assert box is not None
        page.locator("#photo").click(position={"x": 0.9 * box["width"], "y": 0.5 * box["height"]})
        until(page, "document.querySelector('dialog[open]') === null")
        assert chosen() == "#7fa3c7"
        page.click("#from-photo")
        for _ in range(4):
            page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("Enter")
        until(page, "document.querySelector('dialog[open]') === null")
        assert chosen() == "#96503c"

        page.locator("#points-layer").click(position={"x": 60, "y": 40})
        until(page, 'document.querySelector(\'[aria-label="Recent colors"] [data-color="#96503c"]\') !== null')
        assert page.locator("[aria-label='Colors of this film'] .swatch").count() == 1
        page.keyboard.press("Escape")
        client.change("POST", "/api/undo")
