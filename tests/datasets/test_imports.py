"""Only `videocolor.video` knows PyAV, and models know no trainer."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest


def imported(file: Path) -> set[str]:
    """Modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.add(node.module)
    return names


@pytest.mark.parametrize("package", ["datasets", "training", "models", "published"])
def test_pyav_is_imported_in_video_alone(root: Path, package: str) -> None:
    files = list((root / "videocolor" / package).rglob("*.py"))
    assert files
    assert not [file.name for file in files if any(name.split(".")[0] == "av" for name in imported(file))]


def test_models_import_no_trainer(root: Path) -> None:
    for file in (root / "videocolor" / "models").rglob("*.py"):
        assert not [n for n in imported(file) if n.startswith(("videocolor.training", "videocolor.published"))], file
