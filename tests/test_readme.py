"""Every command of the README is run, or checked where running it would take minutes or footage."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from videocolor.cli import cli
from videocolor.config import ColorizeConfig
from videocolor.config.parsing import parse_hint

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS[2:] for line in block.splitlines()]
QUICK = ("models", "config")
"""Run as they stand, in a folder that holds samples/ and configs/."""


def test_the_first_two_blocks() -> None:
    install, check = (block.splitlines() for block in BLOCKS[:2])
    assert install[0] == check[0] == "python3 -m venv .venv"
    assert install[1] == ".venv/bin/pip install -c constraints.txt ."
    assert check[1] == ".venv/bin/pip install -c constraints.txt -e '.[dev]'"
    color = shlex.split(install[2])
    assert color[:2] == [".venv/bin/videocolor", "colorize"]
    source, target = [word for word in color[2:] if not word.startswith("-")]
    assert (ROOT / source).is_file() and source.startswith("samples/")
    assert "/" not in target, "the film lies in the current folder"
    assert check[2:] == [".venv/bin/pytest"]


def test_ci_runs_the_same_tests() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "pip\" install --quiet -c constraints.txt -e '.[dev]'" in script
    assert script.rstrip().splitlines()[-1].startswith('"$venv/bin/pytest"')


def test_everything_else_is_a_videocolor_command() -> None:
    assert COMMANDS
    assert all(line.startswith("videocolor ") for line in COMMANDS)


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line: str) -> None:
    """Options exist, presets load, hints parse, samples are there."""
    words = shlex.split(line)[1:]
    with contextlib.ExitStack() as stack:
        group, context = cli, stack.enter_context(cli.make_context("videocolor", list(words)))
        command = group.get_command(context, words[0])
        assert command is not None
        inner = stack.enter_context(command.make_context(words[0], words[1:], parent=context))
        if words[0] in ("hints", "models", "config", "pairs") and len(words) > 1:
            assert words[1] in command.list_commands(inner)  # type: ignore[attr-defined]
            sub = command.get_command(inner, words[1])  # type: ignore[attr-defined]
            stack.enter_context(sub.make_context(words[1], words[2:], parent=inner))
    for word in words:
        assert not word.startswith("samples/") or (ROOT / word).is_file()
    for flag, value in pairwise(words):
        if flag == "--hint":
            assert parse_hint(value)[0] is not None
        if flag == "--config" and words[0] == "colorize":
            ColorizeConfig.load(value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    return tmp_path


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.split()[1] in QUICK])
def test_quick_commands_run(line: str, folder: Path) -> None:
    run(line, folder)


@pytest.mark.slow
def test_commands_on_samples_run_in_order(folder: Path) -> None:
    """The commands that use samples, in the README's order, the later ones using what the earlier wrote; `doctor`."""
    for line in COMMANDS:
        if "samples/" in line or line == "videocolor doctor":
            run(line, folder)
    assert (folder / "chaplin_color.mkv").is_file()
    assert (folder / "steel_color.mkv.json").is_file()


def run(line: str, folder: Path) -> None:
    arguments = [sys.executable, "-m", "videocolor", *shlex.split(line)[1:]]
    if (folder / "chaplin_color.mkv").exists() and "chaplin_color.mkv" in line:
        arguments.append("--overwrite")
    done = subprocess.run(
        arguments, cwd=folder, capture_output=True, text=True, check=False, env=_environment(), stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["color-first", "tests-first"])
def test_the_first_two_blocks_in_a_fresh_clone(order: tuple[int, int], tmp_path: Path) -> None:
    """The real thing, in either order; the tests are only collected, as they would run themselves."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    for number in order:
        script = BLOCKS[number].replace(".venv/bin/pytest", ".venv/bin/pytest -n0 --collect-only -q")
        subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=clone, check=True, stdin=subprocess.DEVNULL)
    assert (clone / "his_girl_friday_color.mkv").stat().st_size > 100_000
    shutil.rmtree(clone)


def test_python_block_uses_public_names() -> None:
    import videocolor

    block = re.search(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    compile(block.group(1), "README.md", "exec")
    names = re.search(r"from videocolor import (.+)", block.group(1))
    assert names is not None
    assert {name.strip() for name in names.group(1).split(",")} <= set(videocolor.__all__)


def test_linked_files_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target
