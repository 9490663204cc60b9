"""The files of the studio's page: what can be known of them without a browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "videocolor" / "studio" / "static"
PAGES = [STATIC / "index.html", STATIC / "lobby.html"]
SCRIPTS = sorted(STATIC.glob("*.js"))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open in ("script", "style") and data.strip():
            self.inline.append(data)


@pytest.fixture(scope="module")
def page() -> _Tags:
    tags = _Tags()
    for path in PAGES:
        tags.feed(path.read_text(encoding="utf-8"))
    return tags


def test_nothing_of_the_page_is_inline_and_all_of_it_is_here(page: _Tags) -> None:
    assert not page.inline
    used = set()
    for tag, attributes in page.found:
        assert "style" not in attributes and not [name for name in attributes if name.startswith("on")], (
            tag,
            attributes,
        )
        for address in (attributes.get("src"), attributes.get("href") if tag == "link" else None):
            if address:
                assert address.startswith("/static/"), address
                used.add(address.removeprefix("/static/"))
    assert used <= {path.name for path in STATIC.iterdir()}
    assert {path.name for path in SCRIPTS} <= used, "a module that is not preloaded makes the page wait"
    assert {path.name for path in STATIC.glob("*.css")} <= used


def test_ids_are_given_once_and_exist_where_they_are_named(page: _Tags) -> None:
    given = [attributes["id"] for _, attributes in page.found if attributes.get("id")]
    assert len(given) == len(set(given))
    made = set(given)
    for path in SCRIPTS:
        text = path.read_text(encoding="utf-8")
        made |= set(re.findall(r'\bid: "([\w-]+)"', text)) | set(re.findall(r'"id", "([\w-]+)"', text))
    for path in SCRIPTS:
        named = set(re.findall(r'\bfind\("([\w-]+)"\)', path.read_text(encoding="utf-8")))
        assert named <= made, (path.name, named - made)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_short_and_write_no_markup(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
    ):
        assert word not in text, f"{path.name}: {word}: names of files are anybody's words"
    assert not re.search(r"https?://(?!www\.w3\.org/)", text), f"{path.name} names another machine"
