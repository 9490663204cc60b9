"""The studio without a film: recent projects, and a film chosen in the page."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from films import write_reel
from studio.browser.driver import FLAGS, chromium, missing, until

from videocolor.cli import cli
from videocolor.errors import UsageError
from videocolor.studio.lobby import folder
from videocolor.studio.project import ProjectStore
from videocolor.studio.recent import read_recent, remember_project


def test_a_folder_lists_folders_and_films(tmp_path: Path) -> None:
    for name in ("reels", ".hidden", "film.videocolor-project"):
        (tmp_path / name).mkdir()
    (tmp_path / "film.videocolor-project" / "project.json").write_text("{}")
    for name in ("b.mkv", "A.MOV", "notes.txt", ".secret.mp4"):
        (tmp_path / name).write_bytes(b"")
    found = folder(str(tmp_path))
    assert (found["folders"], found["films"]) == (["reels"], ["A.MOV", "b.mkv"])
    assert found["parent"] == str(tmp_path.parent) and folder("/")["parent"] is None
    with pytest.raises(UsageError, match="cannot be listed"):
        folder(str(tmp_path / "b.mkv"))
    with suppress(OSError):  # systems that know UTF-8 alone
        (tmp_path / os.fsdecode(b"caf\xe9.mkv")).write_bytes(b"")
    assert folder(str(tmp_path))["films"] == ["A.MOV", "b.mkv"]


def test_recent_projects_are_kept_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert read_recent() == []
    projects = [tmp_path / name for name in ("one", "two", "gone")]
    for project in projects:
        project.mkdir()
        remember_project(tmp_path / f"{project.name}.mkv", project)
    (tmp_path / "two.mkv").write_bytes(b"")
    projects[2].rmdir()
    remember_project(tmp_path / "one.mkv", projects[0])
    found = read_recent()
    assert [(Path(entry["project"]).name, entry["there"]) for entry in found] == [("one", False), ("two", True)]
    (tmp_path / "state" / "videocolor" / "recent.json").write_text("nonsense")
    assert read_recent() == []


def test_a_project_needs_its_film() -> None:
    result = CliRunner().invoke(cli, ["studio", "--project", "somewhere"])
    assert result.exit_code == 2 and "needs FILM" in result.output


@pytest.mark.slow
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_film_is_chosen_in_the_page_and_its_studio_opens_there(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    film = write_reel(tmp_path / "reel.mkv", ((1, 8), (2, 6)))
    (tmp_path / "broken.mkv").write_bytes(b"no film")
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}

    def started() -> Any:
        command = [sys.executable, "-m", "videocolor", "studio", "--no-browser"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=env)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS), headless=True)
        for visit in range(2):
            with started() as process:
                try:
                    address = process.stdout.readline().strip()
                    assert httpx.get(address.partition("?")[0] + "api/folder").status_code == 403
                    page = browser.new_page()
                    page.goto(address)
                    until(page, "document.querySelectorAll('#places button').length >= 3")
                    if visit == 0:
                        page.click("#places >> text=broken.mkv")
                        until(page, "document.querySelector('#lobby-state.error') !== null")
                        place = tmp_path / "reel.mkv.videocolor-project"
                        with ProjectStore.open_or_create(place, film):  # open in another studio: the chooser says so
                            page.click("#places >> text=reel.mkv")
                            until(page, "document.querySelector('#lobby-state.error')?.textContent.includes('open')")
                        page.click("#places >> text=reel.mkv")
                    else:
                        assert page.locator("#recent li").count() == 1
                        page.click("#recent button")
                    page.locator("#film-name >> text=reel.mkv").wait_for(timeout=60_000)
                    page.close()
                finally:
                    process.send_signal(signal.SIGINT)
                    assert process.wait(30) == 0
        browser.close()
    assert (tmp_path / f"{film.name}.videocolor-project").is_dir() or list(tmp_path.glob("*.videocolor-project"))
