"""A project is rendered by a process of its own; changed shots alone; the same samples as from the command line."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from films import packets_of, picture, samples_of, write_reel

from videocolor.batch.lock import Holder, lock_holder
from videocolor.batch.state import state_folder
from videocolor.batch.status import batch_status
from videocolor.cli import cli
from videocolor.errors import InputError, UsageError
from videocolor.studio import edits, render
from videocolor.studio.project import ProjectStore
from videocolor.studio.projectdata import ProjectHint, State, next_hint_id
from videocolor.studio.render import RenderStatus, render_status, start_render, stop_render
from videocolor.studio.requests import AskedShot, Request, changed_shots

REEL = ((1, 20), (2, 12), (1, 20), (2, 10), (3, 9))  # shot 3 returns to 1, shot 4 to 2
CUTS = (0, 20, 32, 52, 62)


class Index:
    frames = 71
    pts = range(71)
    time_base = Fraction(1, 12)


def png(seed: int, frame: int) -> bytes:
    rgb = np.moveaxis(picture(seed, frame), 0, -1)
    done, data = cv2.imencode(".png", np.rint(rgb[..., ::-1] * 255).astype(np.uint8))
    assert done
    return data.tobytes()


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reel(tmp_path_factory.mktemp("reel") / "reel.mkv", REEL)


@pytest.fixture
def store(reel: Path, tmp_path: Path) -> Iterator[ProjectStore]:
    film = Path(shutil.copy2(reel, tmp_path / "a reel.mkv"))
    with ProjectStore.open_or_create(None, film) as made:
        made.set_cuts(CUTS, Index())
        made.change(1, lambda s: edits.set_settings(s, {"output.codec": "ffv1"}))
        yield made
        stop_render(made)


def change(store: ProjectStore, edit: Callable[[State], State]) -> State:
    return store.change(store.revision, edit)


def add_hint(store: ProjectStore, image: bytes, **values: Any) -> str:
    hint_id = next_hint_id(store.data)
    name = store.save_image(hint_id, image)
    change(store, lambda s: edits.add_hint(s, ProjectHint(id=hint_id, image=name, **values)))
    return hint_id


def finished(store: ProjectStore, seconds: float = 120) -> RenderStatus:
    until = time.monotonic() + seconds
    while (status := render_status(store)).state == "running":
        assert time.monotonic() < until, status
        time.sleep(0.1)
    return status


def shot_digests(path: Path) -> list[list[str]]:
    digests = [digest for _, digest in samples_of(path)]
    return [digests[a:b] for a, b in zip(CUTS, [*CUTS[1:], len(digests)], strict=True)]


def colorize(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["colorize", *map(str, arguments)])


@pytest.fixture(scope="module")
def rendered(reel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a film, and its project, which has been rendered: copied by whoever goes on from there."""
    film = Path(shutil.copy2(reel, tmp_path_factory.mktemp("rendered") / "a reel.mkv"))
    with ProjectStore.open_or_create(None, film) as store:
        store.set_cuts(CUTS, Index())
        change(store, lambda s: edits.set_settings(s, {"output.codec": "ffv1"}))
        assert render_status(store) == RenderStatus("idle", 0, 71, None, None, None, store.target, None, (), ())
        add_hint(store, png(1, 5), kind="painted", frame=5)
        status = start_render(store, only_changed=False)
        assert status.state == "running" and status.total == 71 and status.revision == store.revision
        with pytest.raises(UsageError, match="is being rendered"):
            start_render(store, only_changed=False)
        status = finished(store)
        assert (status.state, status.frames, status.total, status.changed) == ("done", 71, 71, ())
        assert status.target == store.target and status.rendered == store.revision and status.error is None
        assert packets_of(store.target) == packets_of(store.film)
        json.dumps(status.as_dict())
    return film.parent


@pytest.fixture
def finished_store(rendered: Path, tmp_path: Path) -> Iterator[ProjectStore]:
    """The same, at another place."""
    place = Path(shutil.copytree(rendered, tmp_path / "elsewhere"))
    with ProjectStore.open(place / "a reel.mkv.videocolor-project") as store:
        assert store.film == place / "a reel.mkv"
        store.set_cuts(CUTS, Index())
        yield store
        stop_render(store)


@pytest.mark.slow
def test_from_the_first_render_to_the_last_correction(finished_store: ProjectStore, tmp_path: Path) -> None:
    store = finished_store
    first = shot_digests(store.target)

    # The command line gives the same samples.
    said = colorize("--project", store.folder, tmp_path / "cli.mkv")
    assert said.exit_code == 0, said.output
    assert shot_digests(tmp_path / "cli.mkv") == first

    # A saturation concerns one shot, a hint those that borrow from its shot as well, a cut the two shots beside it.
    change(store, lambda s: edits.set_shot(s, 62, saturation=0.3))
    assert render_status(store).changed == (5,)
    add_hint(store, png(7, 0), kind="loose", shots=(20,))
    assert render_status(store).changed == (2, 4, 5)
    change(store, lambda s: edits.add_cut(s, 44))
    status = render_status(store)
    assert (status.state, status.changed, status.rendered) == ("done", (2, 3, 4, 5, 6), store.revision - 3)
    assert start_render(store, only_changed=True).state == "running"
    assert finished(store).changed == () and render_status(store).error is None
    second = shot_digests(store.target)
    assert second[0] == first[0] and all(a != b for a, b in zip(first[1:], second[1:], strict=True))
    said = colorize("--project", store.folder, tmp_path / "cli.mkv", "--overwrite")
    assert said.exit_code == 0 and samples_of(tmp_path / "cli.mkv") == samples_of(store.target)
    record = json.loads(Path(f"{store.target}.json").read_text())
    assert [shot["start"] for shot in record["shots"]] == list(store.cuts or ()) == [0, 20, 32, 44, 52, 62]

    # So it does for a shot of a finished film, and with settings of its own.
    said = colorize("--project", store.folder, tmp_path / "cli.mkv", "--only-shots", "1", "--saturation", "0")
    assert said.exit_code == 0, said.output
    assert [a == b for a, b in zip(second, shot_digests(tmp_path / "cli.mkv"), strict=True)] == [False] + [True] * 4

    # Nothing has changed, nothing is done; taken back, the film is the first one again.
    number = render_status(store).revision
    assert start_render(store, only_changed=True).state == "done" and render_status(store).revision == number
    for _ in range(3):
        store.undo(store.revision)
    assert render_status(store).changed == (2, 3, 4, 5)
    start_render(store, only_changed=True)
    assert finished(store).state == "done" and shot_digests(store.target) == first


def begun(store: ProjectStore, pattern: str) -> None:
    """Wait until the render has come so far that there is such a file in its working folder."""
    until = time.monotonic() + 100
    while not list(state_folder(store.renders).glob(pattern)):
        assert time.monotonic() < until and render._processes[store.renders].poll() is None
        time.sleep(0.01)


SLOW = {"shots.shard": 1, "shots.max_shard": 4, "smoothing.motion": "detailed", "model.keyframe_interval": 1}


@pytest.mark.slow
def test_killed_it_goes_on_and_gives_the_same(store: ProjectStore, tmp_path: Path) -> None:
    change(store, lambda s: edits.set_settings(s, SLOW))
    start_render(store, only_changed=False)
    begun(store, "shards/*/shard-00001.json")
    process = render._processes.pop(store.renders)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    store.close()

    # Another studio opens the folder, as after a crash: it knows how things stand, and goes on.
    with ProjectStore.open(store.folder) as again:
        status = render_status(again)
        assert (status.state, status.error, status.rendered) == ("stopped", None, None) and not again.target.exists()
        shard = next(state_folder(again.renders).glob("shards/*/shard-00001.vcs"))
        written = shard.stat().st_mtime_ns
        again.set_cuts(CUTS, Index())
        change(again, lambda s: edits.set_settings(s, {"output.keep_shards": True}))
        start_render(again, only_changed=True)
        process = render._processes.pop(again.renders)  # as if another studio had started it
        while lock_holder(state_folder(again.renders)) is None:
            assert process.poll() is None
            time.sleep(0.01)
        assert render_status(again).state == "running"
        process.wait()
        assert render_status(again).state == "done"
        assert shard.stat().st_mtime_ns == written  # what was finished was not colored again
        assert colorize("--project", again.folder, tmp_path / "cli.mkv").exit_code == 0
        assert samples_of(tmp_path / "cli.mkv") == samples_of(again.target)


@pytest.mark.slow
def test_a_finished_film_moves_with_its_project(finished_store: ProjectStore) -> None:
    again, rendered = finished_store, finished_store.revision
    status = render_status(again)
    assert (status.state, status.changed, status.rendered) == ("done", (), rendered)
    change(again, lambda s: edits.set_shot(s, 20, saturation=2.0))
    assert render_status(again).changed == (2,)
    before = again.target.read_bytes()
    start_render(again, only_changed=True)
    begun(again, "shards/*.recolor")
    status = stop_render(again)
    assert (status.state, status.changed, status.rendered) == ("stopped", (2,), rendered), status
    assert again.target.read_bytes() == before and batch_status(again.renders).counts["done"] == 1
    start_render(again, only_changed=True)
    status = finished(again)
    assert (status.state, status.changed, status.rendered) == ("done", (), rendered + 1), status
    assert again.target.read_bytes() != before
    again.target.unlink()
    status = render_status(again)
    assert (status.state, status.rendered, status.changed) == ("idle", None, ())


@pytest.mark.slow
def test_stopped_by_a_person(store: ProjectStore) -> None:
    assert stop_render(store).state == "idle"
    change(store, lambda s: edits.set_settings(s, SLOW))
    start_render(store, only_changed=False)
    begun(store, "shards/*/job.json")
    process = render._processes.pop(store.renders)  # another studio's, known by its lock alone
    assert os.getsid(process.pid) == process.pid != os.getsid(0)  # Ctrl-C in the studio's terminal does not reach it
    assert stop_render(store).state == "stopped"
    assert process.wait() == 143
    assert render_status(store).error is None and not store.target.exists()
    start_render(store, only_changed=False)
    assert stop_render(store).state == "stopped"
    # A signal that meets the process inside a library may come out as that library's error.
    log = store.renders / "render.log"
    failed = '{"event": "error", "type": "PydanticSerializationError", "message": "Error calling function"}\n'
    said = log.read_text()
    log.write_text(failed + said)
    assert (render_status(store).state, render_status(store).error) == ("stopped", None)
    log.write_text(failed)
    assert render_status(store).state == "failed", "nobody had stopped it"


def test_a_render_that_ends_just_before_it_is_stopped(store: ProjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    holders = [Holder(gone.pid, socket.gethostname(), 0.0)]
    monkeypatch.setattr(render, "lock_holder", lambda _folder: holders.pop() if holders else None)
    assert stop_render(store).state == "idle"


@pytest.mark.slow
def test_names_that_yaml_does_not_take_as_they_are_and_a_change_taken_back(reel: Path, tmp_path: Path) -> None:
    film = tmp_path / "\U0001f3ac \"'" / "\u3000 a\n\u2028b\x7f\x85 \U0001f3ac.mkv"
    film.parent.mkdir()
    shutil.copy2(reel, film)
    with ProjectStore.open_or_create(None, film) as store:
        store.set_cuts(CUTS, Index())
        add_hint(store, png(1, 5), kind="painted", frame=5)
        change(store, lambda s: edits.set_settings(s, {"output.codec": "ffv1"}))
        start_render(store, only_changed=False)
        status = finished(store)
        assert status.state == "done" and status.log == () and "\U0001f3ac" in store.target.name
        said = colorize("--project", store.folder, tmp_path / "cli.mkv")
        assert said.exit_code == 0, said.output
        assert samples_of(tmp_path / "cli.mkv") == samples_of(store.target)

        # What has failed or was stopped for a change that was taken back then is no business left undone.
        change(store, lambda s: edits.set_settings(s, {"model.name": "automatic-that-is-not-there"}))
        start_render(store, only_changed=True)
        status = finished(store)
        assert status.state == "failed" and "automatic-that-is-not-there" in str(status.error)
        assert any("automatic-that-is-not-there" in line for line in status.log), "what fails says why"
        store.undo(store.revision)
        status = render_status(store)
        assert (status.state, status.error, status.changed) == ("done", None, ())
        assert start_render(store, only_changed=True).state == "done"


def test_a_film_that_is_gone_or_another_one(store: ProjectStore, tmp_path: Path) -> None:
    film = store.film
    film.rename(tmp_path / "gone.mkv")
    with pytest.raises(InputError, match=r"a reel\.mkv"):
        start_render(store, only_changed=False)
    said = colorize("--project", store.folder, tmp_path / "out.mkv")
    assert said.exit_code == 1 and "a reel.mkv; `videocolor studio FILM --project" in said.output
    write_reel(film, ((5, 9),))
    with pytest.raises(InputError, match="has changed"):
        start_render(store, only_changed=False)
    assert render_status(store).state == "idle"


@pytest.mark.slow
def test_the_command_line_takes_either_a_film_or_a_project(store: ProjectStore, tmp_path: Path) -> None:
    def says(*arguments: str | Path) -> str:
        said = colorize(*arguments)
        assert said.exit_code in (1, 2)
        return said.output

    assert "Missing argument 'INPUT'" in says()
    assert "Missing argument 'OUTPUT'" in says(store.film)
    assert "--project names the film" in says("--project", store.folder, store.film, tmp_path / "out.mkv")
    for option in (("--hint", "a.png"), ("--hints", "DIR"), ("--shots", "a.yaml"), ("--config", "master")):
        assert "does not go together with --project" in says("--project", store.folder, tmp_path / "o.mkv", *option)
    assert "holds no project" in says("--project", tmp_path / "nothing", tmp_path / "out.mkv")
    said = colorize("--project", store.folder, "--dry-run", "--json", "--crf", "7", "--set", "output.codec=libx264")
    assert said.exit_code == 0, said.output
    assert str(store.target) in said.output and "libx264" in said.output
    target = store.renders / "a reel_colorized.mkv"
    target.write_bytes(b"")
    assert "exists" in says("--project", store.folder)


def ask(**changes: Any) -> Request:
    shots = (AskedShot(0, 10, (), 1.0), AskedShot(10, 20, ("a.png",), 1.0), AskedShot(20, 30, (), 1.0))
    return replace(Request("x", 1, 1, "film", "film.mkv", "whole", "same", shots, ()), **changes)


def with_shot(number: int, **changes: Any) -> Request:
    shots = list(ask().shots)
    shots[number] = replace(shots[number], **changes)
    return ask(shots=tuple(shots))


def test_which_shots_a_change_concerns() -> None:
    def found(now: Request, returns: dict[int, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        change = changed_shots(now, ask(), returns)
        return change.shots, change.reused

    assert found(ask(revision=9), {20: 10}) == ((), ())
    assert found(with_shot(1, saturation=0.5), {20: 10}) == ((1,), ())
    assert found(with_shot(1, hints=("b.png",)), {20: 10}) == ((1, 2), (1,))
    assert found(with_shot(1, hints=("b.png",)), {20: 0}) == ((1,), (1,))
    assert found(with_shot(0, hints=("b.png",)), {}) == ((0,), (0,))
    joined = ask(shots=(AskedShot(0, 20, (), 1.0), ask().shots[2]))
    assert found(joined, {20: 10}) == ((0, 1), (0,))
    assert changed_shots(ask(whole="other"), ask(), {}).everything
    assert changed_shots(ask(), ask(shots=()), {}).everything


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_changed_the_result_is_that_of_a_whole_render(
    seed: int, store: ProjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(renders: Path, more: list[str]) -> None:
        options = ["-o", str(renders), "--json", "--set", "films.damaged=accept", *more]
        assert CliRunner().invoke(cli, ["batch", "run", str(renders / "render.yaml"), *options]).exit_code == 0

    monkeypatch.setattr(render, "_spawn", here)
    chance = random.Random(seed)
    start_render(store, only_changed=False)
    alone = 0
    for number in range(8):
        for _ in range(chance.randrange(1, 4)):
            with contextlib.suppress(UsageError):  # a cut where there is one, nothing to undo
                any_change(store, chance)
        expected = render_status(store).changed
        alone += len(expected) < len(store.cuts or ())
        assert start_render(store, only_changed=True).state == "done"
        whole = tmp_path / f"{number}.mkv"
        said = colorize("--project", store.folder, whole)
        assert said.exit_code == 0, said.output
        assert samples_of(whole) == samples_of(store.target), (seed, number)
        assert render_status(store).changed == ()
    assert alone  # or nothing was tried


def any_change(store: ProjectStore, chance: random.Random) -> None:
    cuts = store.cuts or ()
    start, frame = chance.choice(cuts), chance.randrange(71)
    hints = [hint.id for hint in store.data.hints]
    match chance.randrange(8):
        case 0:
            change(store, lambda s: edits.set_shot(s, start, saturation=chance.choice([None, 0.3, 2.0])))
        case 1:
            change(store, lambda s: edits.add_cut(s, frame))
        case 2:
            change(store, lambda s: edits.remove_cut(s, start))
        case 3:
            change(store, lambda s: edits.move_cut(s, start, frame))
        case 4:
            seed = next(REEL[n][0] for n in range(5) if frame < [*CUTS[1:], 71][n])
            add_hint(store, png(seed, frame - max(c for c in CUTS if c <= frame)), kind="painted", frame=frame)
        case 5:
            add_hint(store, png(chance.randrange(4, 9), 0), kind="loose", shots=(start,))
        case 6 if hints:
            change(store, lambda s: edits.remove_hint(s, chance.choice(hints)))
        case _ if store.data.position > 2:  # the first change chose a lossless codec
            store.undo(store.revision)
