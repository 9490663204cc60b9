"""What all tests share."""

from __future__ import annotations

import os

# Workers collect every module and some tests start processes: compiled once, not once a process.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# One process a core already (pytest-xdist): threads below would fight over the cores.
if "PYTEST_XDIST_WORKER" in os.environ:
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

import hashlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from videocolor.models import registry
from videocolor.models.base import Colorizer

ROOT = Path(__file__).parent.parent

# How long an example takes says how busy the machine is.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# A shell starts background jobs with Ctrl-C ignored, and children inherit that; the tests of Ctrl-C need it to act.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def samples(root: Path) -> Path:
    """The folder of film clips."""
    return root / "samples"


@pytest.fixture(scope="session", autouse=True)
def networks_loaded_once() -> Iterator[None]:
    """Open each packaged network once a process: that takes as long as a small film."""
    load = registry._load
    once = cache(load)

    def load_or_reuse(name: str, **how: Any) -> Colorizer:
        packaged = name in ("default", "hint", "keyframe") and how["runtime"] in ("auto", "onnxruntime")
        return (once if packaged and how["device"] in ("auto", "cpu") else load)(name, **how)

    registry._load = load_or_reuse
    yield
    registry._load = load


@pytest.fixture(scope="session")
def run_cli(root: Path) -> Run:
    """Run the command in a process of its own: `run_cli("models", "--json", cwd=...)`."""

    def run(*arguments: str | Path, cwd: Path | None = None, timeout: float = 250) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(root)}
        return subprocess.run(
            [sys.executable, "-m", "videocolor", *map(str, arguments)],
            cwd=cwd or root,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
        )

    return run


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let CI run a part of the slow tests, another one for each commit."""
    group = parser.getgroup("slow tests")
    group.addoption("--slow-share", type=float, default=1.0, help="share of the slow tests that run, 0..1")
    group.addoption("--slow-seed", default="", help="any text; chooses which")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop the slow tests that the seed does not choose; every process of pytest-xdist drops the same."""
    share, seed = config.getoption("--slow-share"), config.getoption("--slow-seed")
    dropped = [item for item in items if item.get_closest_marker("slow") and _draw(seed, item.nodeid) >= share]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in set(dropped)]


def _draw(seed: str, name: str) -> float:
    """A number in 0..1 that is the same wherever it is drawn."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
