"""The site: pages are in its navigation, links lead somewhere, generated parts come from the code."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def nav(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [page for part in (entry.values() if isinstance(entry, dict) else entry) for page in nav(part)]


@pytest.fixture(scope="module")
def hooks() -> Any:
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_navigation() -> None:
    assert sorted(nav(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = re.sub(r"^```.*?^```", "", (DOCS / page).read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)# ]+)[^)]*\)", text):
        assert "://" in target or (DOCS / page).parent.joinpath(target).exists(), target


def test_every_picture_is_used() -> None:
    text = "".join((DOCS / page).read_text() for page in PAGES) + (ROOT / "README.md").read_text()
    unused = [path.name for path in (DOCS / "images").rglob("*.*") if path.name not in text]
    assert not unused


def test_generated_parts(hooks: Any) -> None:
    """Every key of the configuration and every public name has its row or its directive."""
    import videocolor

    text = (DOCS / "reference/configuration.md").read_text()
    made = hooks.on_page_markdown(text)
    assert "<!-- generated" not in made
    for key in ("hints.items", "output.codec", "engine.workers", "scores.metrics", "split.val", "data.pairs"):
        assert f"| `{key}` |" in made, key
    assert not re.findall(r"^\| `\S+` \| .* \|  \|$", made, re.M), "a key without a meaning"
    names = re.findall(
        r"^::: videocolor\..+\.(\w+)$", hooks.on_page_markdown((DOCS / "reference/api.md").read_text()), re.M
    )
    assert set(names) == set(videocolor.__all__) - {"__version__"}
