"""What a person works with beside the act of clicking: colors at hand, the grid of shots, choices, keys, results.

One studio and one window serve all tests of this module; each test leaves the project as it found it, or says so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from films import write_reel
from serving import Client, serving
from studio.browser.driver import FLAGS, chromium, missing, text_faults, until, wait_drawn

from videocolor.errors import UsageError
from videocolor.studio import api_results
from videocolor.studio.desktop import open_folder
from videocolor.studio.times import odd_times

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


# ---- painting elsewhere, delivering ----


def test_a_saved_frame_takes_color_and_may_have_it(client: Client) -> None:
    def saved(**query: Any) -> Any:
        answer = client.get("/api/frames/9.png", **query)
        assert answer.status_code == 200, answer.text
        return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)

    gray, colored = saved(), saved(color=True)
    assert gray.shape == (64, 96, 3) and np.ptp(gray.astype(int), axis=2).max() == 0
    assert colored.shape[0] == 64 and np.ptp(colored.astype(int), axis=2).mean() > 3
    answer = client.upload("/api/hints/painted", b"PK\x03\x04" + b"0" * 200, "frame.kra", frame=9)
    assert answer.status_code == 422 and "layered file" in answer.json()["error"]


def test_what_the_film_is_made_for_sets_its_encoder(client: Client) -> None:
    before = client.project()["settings"]
    assert before["delivery"] is None
    for name, codec, container in (
        ("master", "ffv1", "mkv"),
        ("editing", "prores_ks", "mov"),
        ("client", "libx264", "mp4"),
    ):
        found = client.change("PATCH", "/api/settings", delivery=name)["settings"]
        assert (found["delivery"], found["codec"], found["container"]) == (name, codec, container)
        client.served.studio.store.config()
    assert client.change("PATCH", "/api/settings", crf=30)["settings"]["delivery"] is None
    for _ in range(4):
        client.change("POST", "/api/undo")
    assert client.project()["settings"] == before


def test_the_folder_of_results_is_shown(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Path] = []
    monkeypatch.setattr(api_results, "open_folder", shown.append)
    assert client.http.post("/api/folder").json() == {"folder": str(client.served.studio.store.renders)}
    assert shown == [client.served.studio.store.renders]
    monkeypatch.setattr("shutil.which", lambda name: None)
    if sys.platform != "win32":
        with pytest.raises(UsageError, match="the folder is"):
            open_folder(shown[0])


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

    def test_points_wait_for_the_studio_and_join_those_of_another_tab(self, page: Page, client: Client) -> None:
        def points() -> list[list[str]]:
            hints = [hint for hint in client.project()["hints"] if hint["kind"] == "points"]
            return [[point["color"] for point in hint["points"]] for hint in hints]

        page.route("**/api/hints/points", lambda route: route.abort())
        page.keyboard.press("o")
        page.click(".swatch[data-color='#7fa3c7']")
        page.locator("#points-layer").click(position={"x": 60, "y": 40})
        page.locator("#toasts-alert >> text=are kept on this page").wait_for()
        client.change(
            "POST", "/api/hints/points", frame=0, points=[{"x": 0.8, "y": 0.8, "color": "#2f5233", "radius": 0.03}]
        )
        page.wait_for_timeout(500)
        assert page.locator(".point").count() == 1 and points() == [["#2f5233"]]
        page.unroute("**/api/hints/points")
        until(page, "document.querySelectorAll('.point').length === 2")
        until(page, "document.querySelector('#saved').textContent === 'Saved'")
        assert points() == [["#2f5233", "#7fa3c7"]], "one hint, with the points of both"
        page.keyboard.press("Escape")
        page.locator("#toasts-alert .toast button.icon").click()
        for _ in range(2):
            client.change("POST", "/api/undo")

    def test_what_is_typed_stays_when_the_delivery_changes(self, page: Page, client: Client) -> None:
        page.keyboard.press("s")
        page.fill("#setting-saturation", "1.3")
        page.select_option("#setting-delivery", "master")
        until(page, "document.querySelector('#setting-codec').value === 'ffv1'")
        assert page.input_value("#setting-saturation") == "1.3"
        page.click("#save-settings")
        until(page, "document.querySelector('dialog[open]') === null")
        assert client.project()["settings"]["saturation"] == 1.3
        for _ in range(2):
            client.change("POST", "/api/undo")

    def test_the_grid_folds_filters_and_changes_several_shots(self, page: Page, client: Client, photo: str) -> None:
        assert photo and "3 to paint" in page.inner_text("#open-grid")
        page.keyboard.press("t")
        cards = page.locator(".gridcard")
        assert cards.count() == 4, "those that return to an earlier shot are folded behind it"
        page.click("[data-group='0']")
        assert cards.count() == 5
        page.locator("#grid-fold").uncheck()
        assert cards.count() == 6

        # Choose with keys: the second shot and the two after it; one change, one undo.
        page.locator("#grid").focus()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        assert "3 shots selected" in page.inner_text(".gridfoot")
        page.fill("#grid-saturation", "0.5")
        page.click("#grid-set")
        until(page, "document.querySelector('#undo').title.includes('saturation of 3 shots')")
        assert [shot["saturation"] for shot in client.project()["shots"]] == [None, 0.5, 0.5, 0.5, None, None]
        client.change("POST", "/api/undo")

        # Filters; a note is found again.
        client.change("PATCH", "/api/shots/21", note="the bridge")
        page.click("[data-name='note']")
        until(page, "document.querySelectorAll('.gridcard').length === 1")
        page.keyboard.press("ArrowLeft")
        page.click("[data-name='paint']")
        until(page, "document.querySelectorAll('.gridcard').length === 3")
        page.locator("#grid").focus()
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        until(page, "document.querySelector('dialog[open]') === null")
        assert page.inner_text("#shot-title") == "Shot 6 of 6"
        client.change("POST", "/api/undo")

    def test_grid_palettes_and_pictures_are_legible(self, page: Page, photo: str) -> None:
        def check(least: int) -> None:
            for theme in ("light", "dark"):
                page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
                looked, faults = text_faults(page)
                assert looked >= least and not faults, f"{theme}: " + "\n".join(faults)

        page.emulate_media(reduced_motion="reduce")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("t")
        page.keyboard.press(" ")
        check(15)
        page.keyboard.press("Escape")
        page.keyboard.press("o")
        check(40)
        page.click("#from-photo")
        check(8)
        page.keyboard.press("Escape")
        page.evaluate("document.querySelector('#stage').focus()")
        page.keyboard.press("Escape")

    def test_who_colors_whom_is_said_on_both_sides(self, page: Page, client: Client, photo: str) -> None:
        client.change("PATCH", f"/api/hints/{photo}", enabled=True)
        page.keyboard.press("Home")
        page.evaluate("location.hash")
        page.fill("#frame-number", "0")
        page.press("#frame-number", "Enter")
        page.evaluate("document.activeElement.blur()")
        until(page, "document.querySelector('#shot-title').textContent === 'Shot 1 of 6'")
        assert "Its colors also go to shot 3" in page.inner_text("#shot-returns")
        assert "colors shots 1, 3" in page.inner_text("#hints")
        assert page.locator(".card.kin").count() == 2
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        assert "from shot 1" in page.inner_text("#shot-returns")

    def test_undo_asks_before_it_takes_back_what_another_tab_did(self, page: Page, client: Client) -> None:
        page.evaluate("document.activeElement.blur()")
        client.change("PATCH", "/api/shots/8", note="from elsewhere")
        until(page, "document.querySelector('#undo').title.includes('frame 8')")
        page.keyboard.press("Control+z")
        until(page, "document.querySelector('#toasts-alert .toast') !== null")
        assert client.project()["shots"][1]["note"] == "from elsewhere"
        page.click("#toasts-alert .toast >> text=Undo it")
        until(page, "!document.querySelector('#redo').disabled")
        assert client.project()["shots"][1]["note"] == ""

    def test_first_steps_and_what_the_film_is_made_for(self, page: Page, client: Client) -> None:
        page.evaluate("document.activeElement.blur()")
        assert page.locator("#first-run").is_visible() and page.locator("#first-steps .done").count() >= 1
        page.click("#first-run button")
        assert page.locator("#first-run").is_hidden()
        page.keyboard.press("s")
        page.select_option("#setting-delivery", "master")
        until(page, "document.querySelector('#setting-codec').value === 'ffv1'")
        assert page.input_value("#setting-container") == "mkv"
        page.keyboard.press("Escape")
        client.change("POST", "/api/undo")

    def test_the_film_plays_with_sound_back_and_faster(self, page: Page, client: Client) -> None:
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Home")
        with page.expect_response(lambda answer: "/api/sound.wav" in answer.url) as heard:
            page.keyboard.press("l")
        assert heard.value.status == 200 and heard.value.headers["content-type"] == "audio/wav"
        page.keyboard.press("l")
        assert page.inner_text("#speed") == "2×"
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("j")
        assert page.inner_text("#speed") == "−4×"
        page.keyboard.press("k")
        assert page.inner_text("#speed") == "" and page.get_attribute("#play", "aria-label") == "Play"
        page.keyboard.press("a")
        assert page.get_attribute("#sound", "aria-pressed") == "false"
        page.keyboard.press("a")

    def test_the_wheel_zooms_at_the_pointer_and_nothing_jumps(self, page: Page) -> None:
        box = page.locator("#stage").bounding_box()
        assert box is not None
        page.fill("#frame-number", "21")
        page.press("#frame-number", "Enter")
        page.evaluate("document.activeElement.blur()")
        # The stage stands still whatever is said below and beside it.
        page.keyboard.press("p")
        done = "document.querySelector('#preview-cancel').hidden"
        until(page, done + " && /frame/.test(document.querySelector('#preview-state').textContent)", seconds=40)
        page.keyboard.press("ArrowDown")
        assert page.locator("#stage").bounding_box() == box
        place = (
            "([x, y]) => { const b = document.querySelector('#points-layer').style;"
            " const s = document.querySelector('#stage').getBoundingClientRect();"
            " return [(x - s.x - parseFloat(b.left)) / parseFloat(b.width), parseFloat(b.width)]; }"
        )
        at = [box["x"] + 0.45 * box["width"], box["y"] + 0.5 * box["height"]]
        page.mouse.move(*at)
        before = page.evaluate(place, at)
        for _ in range(3):
            page.mouse.wheel(0, -120)
            page.wait_for_timeout(60)
        after = page.evaluate(place, at)
        for _ in range(3):
            page.mouse.wheel(0, 120)
            page.wait_for_timeout(60)
        assert after[1] != before[1] and page.evaluate(place, at) == before


@pytest.mark.slow
def test_the_network_says_how_sure_it_is(client: Client) -> None:
    assert "how sure it is" in client.get("/api/shots/0/doubt").json()["error"]
    client.change("PATCH", "/api/settings", model=None)
    doubts = [client.get(f"/api/shots/{start}/doubt").json()["doubt"] for start in (8, 21)]
    assert all(2 < doubt < 40 for doubt in doubts)
    small = [
        cv2.imdecode(np.frombuffer(client.get("/api/proposals/9/0.jpg", **how).content, np.uint8), 1).astype(int)
        for how in ({}, {"saturation": 0.3}, {"cast": 0})
    ]
    plain, pale, less = (np.ptp(one, axis=2).mean() for one in small)
    assert pale < 0.6 * plain and less < plain
    picture = cv2.imdecode(np.frombuffer(client.get("/api/doubt/9.jpg", height=72).content, np.uint8), 1)
    assert picture.shape == (72, 108, 3) and picture.std() > 3
    assert client.get("/api/shots/9/doubt").status_code == 404
    client.change("POST", "/api/undo")


def test_times_that_cannot_be_meant_are_said() -> None:
    base = Fraction(1, 24)
    assert odd_times([0, 1, 2, 3], base) is None and odd_times([0, 1], base) is None
    assert odd_times([0, 24, 2400, 2424], Fraction(1, 24)) is None, "slides last long"
    assert "2 of 5 frames last less" in str(odd_times([0, 1, 1, 1, 2], base))
    assert "pass after frame 2" in str(odd_times([0, 1, 2, 10**6, 10**6 + 1], base))
