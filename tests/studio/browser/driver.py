"""Drives the studio in a real browser: starts both, waits for conditions, measures what a person sees."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["FLAGS", "chromium", "missing", "read_png", "studio", "text_faults", "until", "wait_drawn"]

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str | None:
    """The browser that the system has."""
    return next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)


def missing() -> str | None:
    """Why the studio cannot be tested in a browser here; None where it can."""
    for module, extra in (("playwright", "pip install playwright"), ("fastapi", "pip install 'videocolor[web]'")):
        if importlib.util.find_spec(module) is None:
            return f"no browser test: {module} is not installed ({extra})"
    return None if chromium() else "no browser test: there is no chromium on this system (apt-get install chromium)"


@contextmanager
def studio(film: Path, project: Path) -> Iterator[str]:
    """A studio in a process of its own; yields the address that it printed."""
    command = [sys.executable, "-m", "videocolor", "studio", str(film), "--project", str(project), "--no-browser"]
    env = {**os.environ, "XDG_STATE_HOME": str(project.parent / "state")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), address
            yield address
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def until(page: Any, expression: str, argument: Any = None, *, seconds: float = 90) -> Any:
    """Wait until a JavaScript expression is true, and return it.

    Playwright's own wait_for_function evaluates text within the page, which the page's policy forbids.
    """
    end = time.monotonic() + seconds
    while True:
        value = page.evaluate(expression, argument)
        if value:
            return value
        if time.monotonic() > end:
            folder = os.environ.get("STUDIO_SHOTS")
            if folder:
                page.screenshot(path=f"{folder}/timeout.png")
            raise AssertionError(f"after {seconds:g} s still not: {expression}\n{page.inner_text('body')[:3000]}")
        page.wait_for_timeout(30)


def wait_drawn(page: Any, *, color: str | None = None) -> None:
    """Wait until the picture of the current frame stands on the screen; `color`: preview, render or none."""
    same = "document.querySelector('#stage').dataset.frame === document.querySelector('#frame-number').value"
    wanted = f" && document.querySelector('#stage').dataset.color === '{color}'" if color else ""
    until(page, same + wanted)


def read_png(data: bytes) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 R'G'B' of a screenshot or of a downloaded frame."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(image[..., ::-1]).astype(np.uint8)


_TEXT: Final = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")


def text_faults(page: Any) -> tuple[int, list[str]]:
    """How many texts are seen, and those whose contrast is below WCAG 2.2 AA (1.4.3: 4.5, large text 3).

    Colors are as computed by the browser, laid over all grounds below them with their opacity; text of controls that
    are disabled is exempt there.
    """
    result = page.evaluate(_TEXT)
    return result["looked"], result["found"]
