"""How long a click takes until the frame on screen has its color: the studio's server and a real browser.

    python benchmarks/clicks.py FILM [--clicks 20] [--pause 1.5] [--json]

A point is set at seeded places of one frame, one after the other, and removed when there are ten. Timed is the page:
from the press of the button to the picture in color on the screen, fetched and drawn; beside it what the server says
that coloring took. Not `click.py`: the scripts beside it would import that in place of the package. Needs chromium and
playwright. Processors that do other work meanwhile spoil it: `load` says how many processes wanted to run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from playwright.sync_api import Page, Response, sync_playwright

READY = "document.querySelector('#scan-state').hidden && !document.querySelector('#render').disabled"
TIMES = "performance.getEntriesByName('studio-click').map((entry) => entry.duration)"
SWATCHES = 16


def wait(page: Page, expression: str, seconds: float = 300) -> None:
    for _ in range(int(seconds / 0.02)):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(20)
    raise click.ClickException(f"after {seconds:g} s still not: {expression}")


def timed(page: Page, clicks: int, pause: float) -> dict[str, Any]:
    """Click, and collect the milliseconds of page and server."""
    times: list[tuple[float, float]] = []
    served: list[Response] = []
    sizes: set[int] = set()
    page.on("response", lambda answer: served.append(answer) if answer.url.endswith("/api/live") else None)
    page.on("request", lambda sent: sizes.add(sent.post_data_json["lines"]) if sent.url.endswith("/api/live") else None)
    wait(page, READY)
    page.keyboard.press("4")
    page.keyboard.press("o")
    box = page.locator("#points-layer").bounding_box()
    assert box is not None
    random = np.random.default_rng(0)
    page.keyboard.press("1")
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.95 * box["height"])  # loads the network, not counted
    wait(page, f"{TIMES}.length === 1")
    for number in range(clicks):
        if number % 10 == 9:
            for _ in range(9):  # all but the one that is in no cell: a press on a point would pick it
                page.locator(".pointlist .danger").last.click()
            page.wait_for_timeout(1000 * pause)
        page.wait_for_timeout(1000 * pause)
        page.evaluate("performance.clearMeasures('studio-click')")
        served.clear()
        page.locator(".swatch").nth(int(random.integers(SWATCHES))).click()
        cell = number % 10  # apart from each other: a press on a point picks it
        x, y = (cell % 5 + random.uniform(0.3, 0.7)) / 5, (cell // 5 + random.uniform(0.2, 0.5)) / 2
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        wait(page, f"{TIMES}.length > 0")
        times.append((page.evaluate(TIMES)[0], served[0].json()["ms"]))
    shown, colored = np.array(times).T
    return {
        "lines": max(sizes),
        "clicks": clicks,
        "click_ms_median": round(float(np.median(shown)), 1),
        "click_ms_p90": round(float(np.percentile(shown, 90)), 1),
        "server_ms_median": round(float(np.median(colored)), 1),
        "server_ms_p90": round(float(np.percentile(colored, 90)), 1),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


@click.command()
@click.argument("film", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--clicks", default=20)
@click.option("--pause", default=1.5, help="Seconds between clicks.")
@click.option("--json", "as_json", is_flag=True)
def main(film: Path, clicks: int, pause: float, as_json: bool) -> None:
    """Time clicks in the studio."""
    browser = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        command = [sys.executable, "-m", "videocolor", "studio", str(film), "--project", f"{folder}/project"]
        with subprocess.Popen([*command, "--no-browser"], stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                address = process.stdout.readline().strip()
                started = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
                page = started.new_page(viewport={"width": 1280, "height": 1000})
                page.goto(address)
                result = timed(page, clicks, pause)
                started.close()
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(60)
    click.echo(json.dumps(result) if as_json else "\n".join(f"{key}: {value}" for key, value in result.items()))


if __name__ == "__main__":
    main()
