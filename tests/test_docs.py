"""The site: pages are in its navigation, links lead somewhere, generated parts are generated, the text is readable."""

from __future__ import annotations

import importlib.util
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from videocolor.cli import cli

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
WORDS = re.compile(
    r"\b(anew|believed|sighted|lent|lies|told|so many|in order to|utili[sz]e|leverage|simply|obviously|prior to)\b",
    re.IGNORECASE,
)
"""Words that have a plainer one, or the field's own (`propagate`, `confidence`, `reference frame`)."""
BUDGET = {"README.md": 700, "docs/guides": 900, "docs/start": 500, "docs/concepts": 800}
"""Words of a file, or of each file of a folder, at most."""


def nav(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [page for part in (entry.values() if isinstance(entry, dict) else entry) for page in nav(part)]


def prose(text: str) -> str:
    """The text without its code and its generated tables."""
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)
    return re.sub(r"<!-- table: .*?<!-- end -->", "", text, flags=re.S)


@pytest.fixture(scope="module")
def hooks() -> Any:
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_navigation() -> None:
    assert sorted(nav(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])) == PAGES


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)# ]+)[^)]*\)", prose((DOCS / page).read_text())):
            assert "://" in target or (DOCS / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_every_picture_is_used() -> None:
    text = "".join((DOCS / page).read_text() for page in PAGES) + (ROOT / "README.md").read_text()
    assert not [
        path.name for path in (DOCS / "images").rglob("*.*") if path.suffix != ".json" and path.name not in text
    ]


def test_generated_parts(hooks: Any) -> None:
    """Every key of the configuration and every public name has its row or its directive."""
    import videocolor

    made = hooks.on_page_markdown((DOCS / "reference/configuration.md").read_text())
    assert "<!-- generated" not in made
    for key in ("hints.items", "output.codec", "engine.workers", "scores.metrics", "split.val", "data.pairs"):
        assert f"| `{key}` |" in made, key
    assert not re.findall(r"^\| `\S+` \| .* \|  \|$", made, re.M), "a key without a meaning"
    page = hooks.on_page_markdown((DOCS / "reference/api.md").read_text())
    names = re.findall(r"^::: videocolor\..+\.(\w+)$", page, re.M)
    assert set(names) == set(videocolor.__all__) - {"__version__"}


def test_tables_are_those_of_the_results() -> None:
    """`python pipelines/result_tables.py write` changes nothing; the model card's sha256 are the packaged weights'."""
    filled = runpy.run_path(str(ROOT / "pipelines/result_tables.py"))["filled"]
    pages = {page: (DOCS / page).read_text() for page in PAGES}
    assert sum("<!-- table: " in text for text in pages.values()) >= 6
    for page, text in pages.items():
        assert filled(text) == text, f"{page}: run pipelines/result_tables.py write"


def test_the_gallery_is_that_of_its_script() -> None:
    """Commands and texts of the page are the script's; their options exist."""
    script = runpy.run_path(str(ROOT / "pipelines/gallery.py"))
    times = yaml.safe_load((DOCS / "images/gallery/times.json").read_text())
    assert script["page"](times) == (DOCS / "gallery.md").read_text()
    assert len(script["ENTRIES"]) == 10 == len(times)
    for entry in script["ENTRIES"]:
        words = entry.command.split()[1:]
        command = cli.get_command(click.Context(cli), words[0])
        assert command is not None
        command.make_context(words[0], words[1:], parent=click.Context(cli))


@pytest.mark.parametrize("place", BUDGET)
def test_pages_are_short(place: str) -> None:
    for path in [ROOT / place] if place.endswith(".md") else sorted((ROOT / place).glob("*.md")):
        assert len(prose(path.read_text()).split()) <= BUDGET[place], path


def test_lines_are_short() -> None:
    """All but rows of tables, and pages that a recipe writes, has 120 columns."""
    for path in (*(DOCS / page for page in PAGES), *ROOT.glob("*.md")):
        text = path.read_text()
        for number, line in enumerate([] if path.name.startswith("published-") else text.splitlines(), 1):
            assert len(line) <= 120 or line.lstrip().startswith(("|", "![")), f"{path.name}:{number}"


def help_texts() -> Iterator[tuple[str, str]]:
    def of(command: click.Command, name: str, context: click.Context) -> Iterator[tuple[str, str]]:
        yield name, command.help or ""
        for parameter in command.params:
            yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""
        if isinstance(command, click.Group):
            for sub in command.list_commands(context):
                found = command.get_command(context, sub)
                assert found is not None
                yield from of(found, f"{name} {sub}", context)

    yield from of(cli, "videocolor", click.Context(cli))


def test_plain_words(hooks: Any) -> None:
    """Pages, help texts and the meanings of settings keep to the project's words."""
    texts = {page: prose((DOCS / page).read_text()) for page in PAGES}
    texts |= {path.name: prose(path.read_text()) for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md")}
    texts |= dict(help_texts())
    texts |= {"configuration": hooks.configuration()}
    found = {name: WORDS.findall(text) for name, text in texts.items() if WORDS.search(text)}
    assert not found
