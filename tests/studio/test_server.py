"""The studio's API: document, edits, pictures, news, previews, the render, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from click.testing import CliRunner, Result
from films import write_reel
from serving import Client, serving, until

from videocolor.cli import cli
from videocolor.errors import InputError
from videocolor.preview import PreviewFrame, before_rgb, chroma_rgb, preview_rgb
from videocolor.shots.shotlist import read_shots
from videocolor.studio import previews as previews_module
from videocolor.studio.document import _picture_size
from videocolor.studio.events import EventHub
from videocolor.studio.pictures import BYTES_PER_PIXEL, PackedFrame
from videocolor.video import open_video

SHOTS = ((1, 8), (2, 6), (1, 7), (3, 5))
CUTS = [0, 8, 14, 21]
HELLO = ": hello\nretry: 1000\n\n"


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reel(tmp_path_factory.mktemp("reel") / "reel.mkv", SHOTS)


@pytest.fixture
def page(reel: Path, tmp_path: Path) -> Iterator[Client]:
    with serving(Path(shutil.copy2(reel, tmp_path / "reel.mkv"))) as client:
        client.scanned()
        yield client


def picture(answer: httpx.Response) -> np.ndarray[Any, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] in ("image/jpeg", "image/png")
    image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return np.asarray(image)


# ---- the project ----


def test_the_document(page: Client) -> None:
    document = page.project()
    film = document["film"]
    assert (film["name"], film["width"], film["height"], film["frames"]) == ("reel.mkv", 96, 64, 26)
    assert (film["rate"], film["codec"], film["has_sound"]) == (12.0, "ffv1", True)
    assert document["scan"] == {"state": "done", "frames": 26, "total": 26, "error": None}
    assert [shot["start"] for shot in document["shots"]] == CUTS
    assert [shot["number"] for shot in document["shots"]] == [1, 2, 3, 4]
    third = document["shots"][2]
    assert third["end"] == 21 and third["reuses"] == 1 and third["hints"] == [] and third["saturation"] is None
    assert third["start_seconds"] == pytest.approx(14 / 12, abs=1e-3)
    assert third["end_seconds"] == pytest.approx(21 / 12, abs=1e-3)
    assert document["settings"]["model"] == "hint" and document["settings"]["saturation"] == 1.0
    assert {"name": "hint", "hints": True} in document["models"]
    assert document["preview"] is None and document["render"]["state"] == "idle"


def test_cuts_go_into_the_list_that_the_commands_read(page: Client) -> None:
    listed = page.served.studio.store.folder / "shots.yaml"
    assert [shot.start for shot in read_shots(listed)] == CUTS
    page.change("POST", "/api/shots/cut", frame=4)
    page.change("POST", "/api/shots/move", start=8, to=9)
    document = page.change("POST", "/api/shots/merge", start=21)
    assert [shot["start"] for shot in document["shots"]] == [0, 4, 9, 14]
    assert [shot.start for shot in read_shots(listed)] == [0, 4, 9, 14]
    until(lambda: all(shot["suggested"] for shot in page.project()["shots"]))
    for shot in page.project()["shots"]:
        assert shot["start"] <= shot["suggested"][0] < shot["end"]
        assert picture(page.get(f"/api/shots/{shot['start']}.jpg")).shape == (90, 135)
    document = page.change("POST", "/api/undo")
    assert [shot["start"] for shot in document["shots"]] == [0, 4, 9, 14, 21] and document["redo"]
    assert [shot["start"] for shot in page.change("POST", "/api/redo")["shots"]] == [0, 4, 9, 14]


def test_what_cannot_be_done_is_said(page: Client) -> None:
    revision = page.project()["revision"]
    for path, body in (
        ("cut", {"frame": 8}),
        ("cut", {"frame": 26}),
        ("merge", {"start": 3}),
        ("move", {"start": 8, "to": 14}),
    ):
        answer = page.http.post(f"/api/shots/{path}", json={"revision": revision, **body})
        assert answer.status_code == 400 and answer.json()["kind"] == "usage" and len(answer.json()["error"]) > 15
    assert page.http.delete("/api/hints/h0009", params={"revision": revision}).status_code == 404
    assert page.http.put("/api/project").status_code == 405


def test_settings(page: Client) -> None:
    document = page.change(
        "PATCH", "/api/settings", saturation=1.3, model="constant", codec="ffv1", crf=None, container="mkv"
    )
    found = document["settings"]
    assert (found["saturation"], found["model"], found["codec"], found["container"]) == (1.3, "constant", "ffv1", "mkv")
    assert page.served.studio.store.config().model.name == "constant"
    assert page.change("PATCH", "/api/settings", saturation=None)["settings"]["saturation"] == 1.0
    for wrong in (
        {"model": "/etc/passwd"},
        {"model": "../../x.safetensors"},
        {"saturation": 9},
        {"shots.file": "x"},
        {"crf": "a"},
    ):
        revision = page.project()["revision"]
        answer = page.http.patch("/api/settings", json={"revision": revision, **wrong})
        assert answer.status_code == 400 and page.project()["revision"] == revision


@pytest.mark.slow
def test_shots_of_a_second_start(reel: Path, tmp_path: Path) -> None:
    """What was done is there again, in a project that is named, and the scan is not made anew."""
    with serving(reel, tmp_path / "project") as client:
        client.scanned()
        client.change("POST", "/api/shots/cut", frame=4)
        client.change("PATCH", "/api/shots/4", note="the bridge", saturation=0.5)
    with serving(reel, tmp_path / "project") as client:
        shots = client.scanned()["shots"]
        assert [shot["start"] for shot in shots] == [0, 4, 8, 14, 21]
        assert (shots[1]["note"], shots[1]["saturation"]) == ("the bridge", 0.5)


# ---- pictures ----


def test_frames(page: Client) -> None:
    with open_video(page.served.studio.store.film) as video:
        lumas = [frame.luma.copy() for frame in video]
    png = picture(page.get("/api/frames/17.png"))
    assert np.array_equal(png, np.repeat(lumas[17][..., None], 3, axis=2)), "gray films have the full range"
    jpeg = page.get("/api/frames/17.jpg", height=64)
    assert picture(jpeg).shape == (64, 96) and np.abs(picture(jpeg).astype(int) - lumas[17]).mean() < 3
    assert picture(page.get("/api/frames/17.jpg", height=200)).shape == (200, 300)
    tag = jpeg.headers["etag"]
    again = page.http.get("/api/frames/17.jpg?height=64", headers={"If-None-Match": tag})
    assert again.status_code == 304 and not again.content
    assert page.http.get("/api/frames/18.jpg?height=64", headers={"If-None-Match": tag}).status_code == 200
    assert "immutable" not in jpeg.headers["cache-control"], "another film may be served here tomorrow"
    version = page.project()["film"]["version"]
    assert "immutable" in page.get("/api/frames/17.jpg", v=version).headers["cache-control"]
    assert "immutable" not in page.get("/api/frames/17.jpg", v="x" + version).headers["cache-control"]
    assert page.get("/api/frames/26.jpg").status_code == 404
    assert page.get("/api/frames/0.jpg", height=5000).status_code == 400


# ---- news ----


def test_pages_hear_of_changes(page: Client) -> None:
    with page.http.stream("GET", "/api/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines) == ": hello"
        document = page.change("PATCH", "/api/shots/0", note="x")
        text = next(line for line in lines if line.startswith("event: project"))
        assert text and json.loads(next(lines).removeprefix("data: ")) == {"revision": document["revision"]}


def test_signs_of_life_and_slow_pages() -> None:
    async def listen() -> None:
        hub = EventHub()
        stream = hub.stream(beat=0.01)
        assert [await anext(stream) for _ in range(2)] == [HELLO, ": keep-alive\n\n"]
        hub.publish("scan", {"state": "<b>\n", "x": float("nan")})
        heard = await anext(stream)
        while heard.startswith(":"):
            heard = await anext(stream)
        assert heard == 'event: scan\ndata: {"state": "<b>\\n", "x": null}\n\n'
        for number in range(5000):  # a page that does not read holds no endless memory: its stream ends
            hub.publish("scan", {"number": number})
        await asyncio.sleep(0.05)
        assert [text async for text in stream] == [] and hub.listeners == 0
        other = hub.stream()
        await anext(other)
        hub.close()
        assert [text async for text in other] == [] and [text async for text in hub.stream()] == [HELLO]
        hub.publish("scan", {})

    asyncio.run(listen())


def test_many_tabs_leave_connections_for_requests() -> None:
    """A browser has six for all tabs of a server; a stream holds one for as long as it is open."""

    async def listen() -> None:
        hub = EventHub()
        streams = [hub.stream() for _ in range(7)]
        for stream in streams:
            assert await anext(stream) == HELLO
        assert hub.listeners == 4
        hub.publish("scan", {})
        for stream in streams[:3]:
            assert [text async for text in stream] == [], "the oldest have ended"
        for stream in streams[3:]:
            assert (await anext(stream)).startswith("event: scan")
            await stream.aclose()
        assert hub.listeners == 0

    asyncio.run(listen())


def test_the_last_page_that_goes_is_noticed() -> None:
    async def leave() -> None:
        gone = asyncio.Event()
        hub = EventHub(gone.set, patience=0.02)
        first, second = hub.stream(), hub.stream()
        await anext(first)
        await anext(second)
        await first.aclose()
        await asyncio.sleep(0.1)
        assert not gone.is_set(), "another one is still open"
        await second.aclose()
        await asyncio.wait_for(gone.wait(), 30)

    asyncio.run(leave())


# ---- previews ----


def finished(page: Client, preview: Any) -> Any:
    return until(lambda: (now := page.get(f"/api/preview/{preview['id']}").json())["state"] != "running" and now)


def begin(page: Client, **wish: Any) -> Any:
    answer = page.http.post("/api/preview", json=wish)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_preview(page: Client) -> None:
    page.change("PATCH", "/api/settings", model="constant")
    done = finished(page, begin(page, shot=8, lines=72))
    assert (done["state"], done["first"], done["count"], done["done"], done["reused"]) == ("done", 8, 6, 6, False)
    address = f"/api/preview/{done['id']}/9.jpg"
    gray = picture(page.get(address, kind="before")).astype(int)
    source = picture(page.get("/api/frames/9.jpg", height=72)).astype(int)
    assert gray.shape == (72, 108, 3) and np.abs(gray.mean(axis=2) - source).mean() < 3
    assert np.ptp(gray, axis=2).max() <= 4, "no color before"

    def chroma(**query: Any) -> float:
        return float(np.ptp(picture(page.get(address, **query)).astype(int), axis=2).mean())

    assert chroma(saturation=0) < 3 < chroma(saturation=0.5) < chroma() < chroma(saturation=2)
    flat = picture(page.get(address, kind="chroma")).astype(int)
    assert flat.std(axis=(0, 1)).max() < 3, "the constant network gives one color, at one lightness"
    assert page.get(f"/api/preview/{done['id']}/14.jpg").status_code == 404
    assert page.get("/api/preview/p99").status_code == 404
    assert page.http.post("/api/preview", json={"shot": 9}).status_code == 404
    assert page.http.post("/api/preview", json={"shot": 8, "start": 14}).status_code == 404
    part = finished(page, begin(page, shot=14, start=16, seconds=0.25, lines=72))
    assert (part["first"], part["count"]) == (16, 3)


@pytest.mark.slow
def test_only_what_a_change_affects_is_computed_again(page: Client) -> None:
    page.change("PATCH", "/api/settings", model="constant")
    first = finished(page, begin(page, shot=8, lines=72))
    page.change("PATCH", "/api/settings", saturation=1.4, codec="ffv1")
    page.change("PATCH", "/api/shots/8", saturation=0.4, note="x")
    page.change("POST", "/api/shots/cut", frame=4)
    again = begin(page, shot=8, lines=72)
    assert (again["id"], again["reused"], again["stale"], again["state"]) == (first["id"], True, False, "done")
    shorter = begin(page, shot=8, lines=72, seconds=0.2)
    assert shorter["id"] == first["id"], "the longer one holds it"
    page.change("POST", "/api/shots/cut", frame=11)
    assert page.get(f"/api/preview/{first['id']}").json()["stale"]
    anew = finished(page, begin(page, shot=8, lines=72))
    assert anew["id"] != first["id"] and anew["count"] == 3
    page.change("POST", "/api/undo")
    assert begin(page, shot=8, lines=72)["id"] == first["id"], "undone: the old colors hold again"


def test_what_the_colors_of_a_shot_follow_from(page: Client) -> None:
    """By the key alone: hints of this shot and of its lender, the network's size; nothing else."""
    studio = page.served.studio

    def keys() -> list[str]:
        return [studio.shots.colors(start, start, 240).key.digest for start in (0, 8, 14, 21)]

    def changed(before: list[str]) -> list[int]:
        studio.scan.settled(60)
        return [start for start, one, other in zip(CUTS, before, keys(), strict=True) if one != other]

    before = keys()
    photo = cv2.imencode(".png", np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))[1].tobytes()
    assert page.upload("/api/hints/loose", photo, shot=8).status_code == 200
    assert changed(before) == [8]
    before = keys()
    page.change("PATCH", "/api/hints/h0001", shots=[0])
    assert changed(before) == [0, 8, 14], "shot 14 takes up the colors of shot 0"
    page.change("PATCH", "/api/hints/h0001", shots=[8])
    before = keys()
    with open_video(studio.store.film) as video:
        luma = [frame.luma.copy() for frame in video][22]
    rgb = np.clip((luma[..., None].astype(float) - 16) / 219 * 255 + [20, 0, -20], 0, 255).astype(np.uint8)
    painted = cv2.imencode(".png", rgb)[1].tobytes()
    answer = page.upload("/api/hints/painted", painted, "a.png", frame=22)
    assert answer.status_code == 200, answer.text
    assert changed(before) == [21], "only its own shot"
    before = keys()
    page.change("PATCH", "/api/hints/h0001", label="another name")
    page.change("PATCH", "/api/shots/8", saturation=2)
    assert changed(before) == []
    page.change("PATCH", "/api/settings", model="constant")
    assert changed(before) == CUTS


class Slow:
    """In the place of `preview_part`: one frame each time that it is told to go on."""

    def __init__(self, lines: int = 4) -> None:
        self.go = threading.Semaphore(0)
        self.closed = self.begun = 0
        self.size = (lines, lines * 3 // 2)

    def __call__(self, *_: Any, frames: int, **__: Any) -> Iterator[Any]:
        self.begun += 1
        try:
            for number in range(frames):
                while not self.go.acquire(timeout=0.01):
                    yield_to = threading.current_thread()
                    assert yield_to.name == "preview"
                    if self.closed < 0:
                        return
                gray = np.full(self.size, 0.5, np.float32)
                yield PreviewFrame(8 + number, number, Fraction(1), gray, np.zeros((2, *self.size), np.float32))
        finally:
            self.closed += 1


@pytest.mark.slow
def test_a_new_preview_ends_the_old_one(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    page.change("PATCH", "/api/settings", model="constant")
    slow = Slow()
    monkeypatch.setattr(previews_module, "preview_part", slow)
    first = begin(page, shot=8, lines=72)
    slow.go.release()
    until(lambda: page.get(f"/api/preview/{first['id']}").json()["done"] == 1)
    assert begin(page, shot=8, lines=72)["id"] == first["id"], "the same wish is not begun again"
    second = begin(page, shot=14, lines=72)
    slow.go.release()  # the frame after which it sees that it is to end
    until(lambda: slow.closed == 1 and slow.begun == 2)
    assert page.get(f"/api/preview/{first['id']}").json()["state"] == "cancelled"
    assert page.get(f"/api/preview/{first['id']}/8.jpg").status_code == 200, "what is colored can be looked at"
    assert page.http.delete(f"/api/preview/{second['id']}").json()["state"] == "cancelled"
    slow.go.release()
    until(lambda: slow.closed == 2)
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "preview"])


def test_previews_have_room_for_so_much(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is refused before anything is colored; what was looked at longest ago makes room."""
    page.change("PATCH", "/api/settings", model="constant")
    slow = Slow(lines=72)
    slow.go = threading.Semaphore(10_000)
    monkeypatch.setattr(previews_module, "preview_part", slow)
    each = 3 * 72 * 108
    monkeypatch.setattr(previews_module, "_KEPT", 6 * each)
    revision = page.project()["revision"]
    answer = page.http.post("/api/preview", json={"shot": 0, "lines": 72})
    assert answer.status_code == 400 and answer.json()["kind"] == "usage" and slow.begun == 0
    assert "8 frames of 72 lines" in answer.json()["error"] and "0.5 s fit" in answer.json()["error"]
    finished(page, first := begin(page, shot=0, lines=72, seconds=0.25))
    finished(page, second := begin(page, shot=14, lines=72, seconds=0.25))
    assert held(page) == 6 * each
    assert page.get(f"/api/preview/{first['id']}").status_code == 200
    slow.go = threading.Semaphore(0)
    third = begin(page, shot=21, lines=72, seconds=0.25)
    assert page.get(f"/api/preview/{first['id']}").status_code == 404, "room is made before, not when memory is full"
    assert page.get(f"/api/preview/{second['id']}").status_code == 200
    page.http.delete(f"/api/preview/{third['id']}")
    slow.go.release()
    until(lambda: slow.closed == 3)
    begin(page, shot=8, lines=72)
    assert page.get(f"/api/preview/{second['id']}").status_code == 404
    assert held(page) <= 6 * each and page.project()["revision"] == revision
    page.http.delete(f"/api/preview/{page.project()['preview']['id']}")
    slow.go.release()


def held(page: Client) -> int:
    return sum(run.bytes for run in page.served.studio.previews._runs.values())


def test_previews_that_were_cancelled_do_not_pile_up(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    page.change("PATCH", "/api/settings", model="constant")
    slow = Slow(lines=72)
    monkeypatch.setattr(previews_module, "preview_part", slow)
    monkeypatch.setattr(previews_module, "_MOST_RUNS", 3)
    for first in range(6):
        begin(page, shot=0, start=first, lines=72, seconds=0.1)
    assert len(page.served.studio.previews._runs) == 3
    slow.go.release(100)


def test_what_is_kept_of_a_preview_looks_the_same() -> None:
    """For every view and saturation, against the frame as it was colored: within what 8 bits can tell."""
    rng = np.random.default_rng(5)
    luma = rng.uniform(0, 1, (90, 160)).astype(np.float32)
    for most in (10, 40, 90):
        smooth = rng.uniform(-most, most, (2, 9, 16)).astype(np.float32)
        ab = np.stack([cv2.resize(plane, (160, 90), interpolation=cv2.INTER_CUBIC) for plane in smooth])
        frame = PreviewFrame(3, 30, Fraction(1, 10), luma, ab)
        packed = PackedFrame.of(frame)
        kept = packed.unpacked()
        assert packed.bytes == BYTES_PER_PIXEL * luma.size and (kept.index, kept.pts) == (3, 30)
        assert np.abs(kept.luma - luma).max() <= 0.5 / 255 + 1e-6
        # Half a step, and what the half float before it is off by.
        assert (np.abs(kept.ab - ab) <= 0.0125 * np.hypot(ab, 16) + 0.03).all()
        assert np.array_equal(before_rgb(kept), before_rgb(frame))
        for saturation in (0, 1, 2):
            pairs = [(make(kept, saturation), make(frame, saturation)) for make in (preview_rgb, chroma_rgb)]
            for one, other in pairs:  # in the darkest corner of the gamut a code of luma is many of blue
                off = np.abs(one.astype(int) - other)
                assert off.mean() < 0.6 and np.percentile(off, 99) <= 5
    gray = PackedFrame.of(PreviewFrame(0, 0, Fraction(1), luma, np.zeros((2, 90, 160), np.float32)))
    assert not gray.unpacked().ab.any(), "gray stays gray"
    wild = np.array([[[np.nan, np.inf, -np.inf, 1e9]], [[-1e9, 175.0, -175.0, 1e-9]]], np.float32)
    assert np.isfinite(PackedFrame.of(PreviewFrame(0, 0, Fraction(1), luma[:1, :4], wild)).unpacked().ab).all()


def test_a_preview_that_fails_says_why(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    page.change("PATCH", "/api/settings", model="constant")

    def breaks(film: Path, *_: Any, **__: Any) -> Iterator[Any]:
        raise InputError(f"{film}: damaged")
        yield

    monkeypatch.setattr(previews_module, "preview_part", breaks)
    done = finished(page, begin(page, shot=8, lines=72))
    assert done["state"] == "failed" and done["error"].endswith("reel.mkv: damaged")


def test_a_film_that_is_another_one_by_now(page: Client) -> None:
    """Somebody writes a new version over it: nothing of the two is mixed, and the words say what to do."""
    page.change("PATCH", "/api/settings", model="constant", codec="ffv1")
    done = finished(page, begin(page, shot=8, lines=72))
    film, revision = page.served.studio.store.film, page.project()["revision"]
    was = film.read_bytes()
    page.served.studio.store.target.write_bytes(was)
    write_reel(film, ((5, 8), (6, 6), (5, 7), (4, 5)))
    for path, body in (
        ("preview", {"shot": 0, "lines": 72}),
        ("render", {"revision": revision}),
        ("compare", {"kind": "side"}),
    ):
        answer = page.http.post(f"/api/{path}", json=body)
        assert answer.status_code == 422 and answer.json()["kind"] == "input", path
        assert "reel.mkv: has changed" in answer.json()["error"] and "Put that film back" in answer.json()["error"]
    assert page.get(f"/api/preview/{done['id']}/9.jpg").status_code == 200, "what was colored can be looked at"
    film.write_bytes(was)
    assert finished(page, begin(page, shot=0, lines=72))["state"] == "done", "the same film with another time"


def test_colors_that_are_known(page: Client) -> None:
    page.change("PATCH", "/api/settings", model="constant")
    assert page.get("/api/color", frame=9, x=0.5, y=0.5).status_code == 404
    revision = page.project()["revision"]
    assert page.http.post("/api/hints/frame", json={"revision": revision, "frame": 9, "shot": 21}).status_code == 404
    done = finished(page, begin(page, shot=8, lines=72))
    shown = picture(page.get(f"/api/preview/{done['id']}/9.jpg"))[..., ::-1].astype(int)
    color = page.get("/api/color", frame=9, x=0.25, y=0.75).json()
    assert color["source"] == "preview"
    named = np.array([int(color["color"][k : k + 2], 16) for k in (1, 3, 5)])
    assert np.abs(named - shown[53:56, 26:29].mean(axis=(0, 1))).max() < 12
    document = page.change("POST", "/api/hints/frame", frame=9, shot=21)
    assert document["hints"][0]["shots"] == [21] and document["hints"][0]["kind"] == "frame"
    assert document["shots"][3]["hints"] == ["h0001"]
    assert picture(page.get("/api/hints/h0001.jpg", height=72)).shape == (72, 108, 3)
    clicked = [{"x": 0.5, "y": 0.5, "color": "#FF0000"}]
    document = page.change("POST", "/api/hints/points", frame=3, points=clicked)
    assert document["hints"][1]["points"][0]["color"] == "#ff0000" and document["hints"][1]["frame"] == 3
    document = page.change("POST", "/api/hints/points", frame=3, points=clicked * 2, id="h0002")
    assert len(document["hints"]) == 2 and len(document["hints"][1]["points"]) == 2
    red = picture(page.get("/api/hints/h0002.jpg", height=200)).astype(int)[100, 150]
    assert red[2] - max(red[0], red[1]) > 40
    assert not page.change("PATCH", "/api/hints/h0002", enabled=False)["hints"][1]["enabled"]
    revision = page.project()["revision"]
    gone = page.http.delete("/api/hints/h0001", params={"revision": revision})
    assert [hint["id"] for hint in gone.json()["hints"]] == ["h0002"]


@pytest.mark.slow
def test_a_hint_whose_picture_was_taken_away_closes_nothing(reel: Path, tmp_path: Path) -> None:
    photo = cv2.imencode(".png", np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))[1].tobytes()
    with serving(reel, tmp_path / "project") as client:
        client.scanned()
        assert client.upload("/api/hints/loose", photo, shot=8).status_code == 200
    next((tmp_path / "project" / "hints").iterdir()).unlink()
    with serving(reel, tmp_path / "project") as client:
        document = client.scanned()
        assert document["hints"][0]["id"] == "h0001" and client.get("/api/hints/h0001.jpg").status_code == 404
        answer = client.http.post("/api/preview", json={"shot": 8})
        assert answer.status_code == 422 and "missing" in answer.json()["error"]
        assert client.http.delete("/api/hints/h0001", params={"revision": document["revision"]}).status_code == 200


@pytest.mark.slow
def test_hints_that_were_put_there_by_hand(reel: Path, tmp_path: Path) -> None:
    """A project may come from somebody else: no link is followed, nothing large is decoded to show the page."""
    photo = cv2.imencode(".png", np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))[1].tobytes()
    with serving(reel, tmp_path / "project") as client:
        client.scanned()
        for start in (0, 8):
            assert client.upload("/api/hints/loose", photo, shot=start).status_code == 200
        assert [(hint["width"], hint["height"]) for hint in client.project()["hints"]] == [(60, 40)] * 2
    first, second = sorted((tmp_path / "project" / "hints").iterdir())
    (tmp_path / "secret.png").write_bytes(photo)
    first.unlink()
    first.symlink_to(tmp_path / "secret.png")
    _picture_size.cache_clear()
    second.write_bytes(photo[:16] + (30_000).to_bytes(4, "big") * 2 + photo[24:])
    with serving(reel, tmp_path / "project") as client:
        hints = client.scanned()["hints"]
        assert [(hint["width"], hint["height"]) for hint in hints] == [(None, None), (30_000, 30_000)]
        assert client.get("/api/hints/h0001.jpg").status_code == 404
        assert client.get("/api/hints/h0002.jpg").status_code == 404, "its check sums are wrong"


def test_a_click_colors_its_frame_at_once(page: Client) -> None:
    points = [{"x": 0.5, "y": 0.5, "color": "#2f5233", "radius": 0.1}]
    assert page.http.post("/api/live/prepare", json={"frame": 3, "lines": 72}).json() == {"frame": 3}
    answer = page.http.post("/api/live", json={"frame": 3, "points": points, "lines": 72})
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert made["frame"] == 3 and page.project()["hints"] == [], "nothing is saved"

    def middle(number: int, **query: Any) -> Any:
        picture = page.get(f"/api/live/{number}.jpg", **query)
        assert picture.status_code == 200
        image = cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape[0] == 72
        height, width = image.shape[:2]
        return image[height // 2 - 2 : height // 2 + 3, width // 2 - 2 : width // 2 + 3].reshape(-1, 3).mean(axis=0)

    assert base64.b64decode(made["jpeg"]) == page.get(f"/api/live/{made['id']}.jpg").content
    blue, green, red = middle(made["id"])
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    shade = page.get("/api/shades", colors="2f5233").json()["shades"]["2f5233"][round(luma / 255 * 64)]
    assert np.abs(np.array([red, green, blue]) - [int(shade[n : n + 2], 16) for n in (1, 3, 5)]).max() < 12
    assert np.ptp(middle(made["id"], kind="before")) < 3 and np.ptp(middle(made["id"], saturation=0)) < 3
    again = page.http.post("/api/live", json={"frame": 3, "points": [], "lines": 72}).json()
    assert again["id"] > made["id"] and page.get("/api/live/99999.jpg").status_code == 404
    for bad in ({"frame": 3}, {"frame": 3, "points": points, "lines": 5000}, {"frame": 999, "points": []}):
        assert page.http.post("/api/live", json=bad).status_code in (400, 404)
    assert page.get("/api/shades", colors="red").status_code == 400
    grays = page.get("/api/shades", colors="2f5233", saturation=0).json()["shades"]["2f5233"]
    assert all(len({one[1:3], one[3:5], one[5:7]}) == 1 for one in grays), "as dull as the shot"


@pytest.mark.slow
def test_a_painted_frame_is_shown_at_once_and_previews_are_kept(page: Client) -> None:
    gray = cv2.imdecode(np.frombuffer(page.get("/api/frames/10.png").content, np.uint8), cv2.IMREAD_GRAYSCALE)
    painted = np.clip(np.stack([gray * 0.7, gray * 0.9, gray * 1.15], axis=-1), 0, 255).astype(np.uint8)
    data = cv2.imencode(".png", painted)[1].tobytes()
    assert page.upload("/api/hints/painted", data, "mine.png", frame=10).status_code == 200
    made = page.http.post("/api/live", json={"frame": 10, "points": [], "lines": 72}).json()
    picture = page.get(f"/api/live/{made['id']}.jpg").content
    shown = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    wanted = cv2.resize(painted, shown.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(shown.astype(int) - wanted).mean() < 8
    for shot in (0, 14):
        wish = {"shot": shot, "seconds": 0.1, "lines": 72}
        begun = page.http.post("/api/preview", json=wish).json()
        until(lambda begun=begun: page.get(f"/api/preview/{begun['id']}").json()["state"] == "done")
    kept = page.get("/api/preview").json()["previews"]
    assert {preview["shot"] for preview in kept} == {0, 14} and not any(preview["stale"] for preview in kept)


# ---- the render and what is made of it ----


@pytest.mark.slow
def test_render_compare_report(page: Client) -> None:
    for path in ("render/film", "render/3.jpg", "compare/film", "report"):
        assert page.get(f"/api/{path}").status_code == 404
    page.change("PATCH", "/api/settings", model="constant", codec="ffv1", container="mkv")
    with page.http.stream("GET", "/api/events") as stream:
        page.change("POST", "/api/render", only_changed=False)
        kinds = {line for line in _until(stream, lambda: page.get("/api/render").json()["state"] != "running")}
    status = page.get("/api/render").json()
    assert status["state"] == "done" and status["changed"] == [] and "event: render" in kinds, status
    film = page.get("/api/render/film")
    target = page.served.studio.store.target
    assert film.status_code == 200 and film.content == target.read_bytes()
    part = page.http.get("/api/render/film", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == film.content[10:20]
    with open_video(target) as result, open_video(page.served.studio.store.film) as source:
        assert all(np.array_equal(one.luma, other.luma) for one, other in zip(result, source, strict=True))
    gray = picture(page.get("/api/frames/9.jpg", height=64)).astype(int)
    colored = picture(page.get("/api/render/9.jpg", height=64)).astype(int)
    assert colored.shape == (64, 96, 3) and np.ptp(colored, axis=2).mean() > 5
    assert np.abs(cv2.cvtColor(colored.astype(np.uint8), cv2.COLOR_BGR2GRAY).astype(int) - gray).mean() < 6
    assert picture(page.get("/api/render/9.jpg", height=64, kind="chroma")).astype(int).std(axis=(0, 1)).max() < 4
    assert page.get("/api/color", frame=9, x=0.5, y=0.5).json()["source"] == "render"
    changed = page.change("PATCH", "/api/shots/8", saturation=0.3)
    assert changed["render"]["changed"] == [2]

    assert page.http.post("/api/compare", json={"kind": "wipe"}).status_code == 200
    until(lambda: page.get("/api/compare").json()["state"] != "running")
    assert page.get("/api/compare").json()["state"] == "done", page.get("/api/compare").json()
    compared = page.http.get("/api/compare/film", headers={"Range": "bytes=0-11"})
    assert compared.status_code == 206 and compared.content[4:8] == b"ftyp"

    report = page.get("/api/report")
    assert report.status_code == 200 and "data:image/jpeg" in report.text
    policy = report.headers["content-security-policy"]
    assert (
        policy.startswith("sandbox allow-scripts;")
        and "allow-same-origin" not in policy
        and "default-src 'none'" in policy
    )


def _until(stream: httpx.Response, true: Any) -> Iterator[str]:
    for line in stream.iter_lines():
        yield line
        if line.startswith("event: render") and true():
            return


# ---- beginning and end ----


def _studio(film: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "videocolor", "studio", str(film), "--no-browser", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_the_command(reel: Path, tmp_path: Path) -> None:
    """One line, an address that answers by itself; Ctrl-C with a page open is a clean end."""
    process = _studio(reel, "--project", str(tmp_path / "project"))
    try:
        assert process.stdout is not None and process.stderr is not None
        address = process.stdout.readline().strip()
        assert httpx.get(address).status_code == 200
        with httpx.stream("GET", address.replace("/?", "/api/events?"), timeout=60) as events:
            assert next(events.iter_lines()) == ": hello"
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            assert not children.exists() or not children.read_text().split(), "no process but its own"
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        assert process.stdout.read() == "" and process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()
    assert not (tmp_path / "project" / ".studio").exists() or _free(tmp_path / "project", reel)


def _free(project: Path, film: Path) -> bool:
    from videocolor.studio.project import ProjectStore

    with ProjectStore.open(project, film):
        return True


def test_answers_are_sent_at_once(page: Client) -> None:
    """A socket whose protocol is not named gets no TCP_NODELAY from asyncio: 40 ms more for every answer."""
    assert page.served.listener.proto == socket.IPPROTO_TCP


def refused(*arguments: str | Path) -> Result:
    """What the command says that begins no server: in this process, since another one takes seconds to begin."""
    return CliRunner().invoke(cli, ["studio", *map(str, arguments), "--no-browser"])


def test_a_film_that_cannot_be_read(tmp_path: Path) -> None:
    for film in (tmp_path / "none.mkv", tmp_path / "text.mkv"):
        if film.name == "text.mkv":
            film.write_text("not a film")
        done = refused(film)
        assert done.exit_code == 1 and done.stdout == "" and str(film) in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["text.mkv"], "no project was made"


def test_a_port_that_is_taken(page: Client, tmp_path: Path, reel: Path) -> None:
    port = str(page.served.port)
    done = refused(reel, "--project", tmp_path / "p", "--port", port)
    assert done.exit_code == 2 and f"--port {port}" in done.stderr and not (tmp_path / "p").exists()


def test_a_second_studio_is_refused(page: Client) -> None:
    done = refused(page.served.studio.store.film)
    assert done.exit_code == 2 and not done.stdout and str(page.served.studio.store.folder) in done.stderr


def test_without_the_extra(reel: Path, tmp_path: Path) -> None:
    """As where fastapi and uvicorn are not installed: neither is found, nor may anything import them before."""
    block = (
        "import sys, importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name in ('fastapi', 'uvicorn') else find(name, *a)\n"
        "sys.modules['fastapi'] = sys.modules['uvicorn'] = None\n"
        "from videocolor.cli import cli\ncli.main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", block, "studio", str(reel), "--project", str(tmp_path / "p"), "--no-browser"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.returncode == 2 and "pip install 'videocolor[web]'" in done.stderr


def test_nothing_is_left_behind(reel: Path, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with serving(reel, tmp_path / "project") as client:
        client.scanned()
        client.change("PATCH", "/api/settings", model="constant")
        begin(client, shot=8, lines=72)
        client.get("/api/frames/3.jpg")
    until(lambda: {thread for thread in threading.enumerate() if thread.is_alive()} <= before)


def test_proposals_are_pictures_of_the_frame_in_other_colors(page: Client) -> None:
    small = [picture(page.get(f"/api/proposals/3/{number}.jpg")) for number in range(3)]
    assert all(one.shape == (240, 360, 3) for one in small)
    full = [picture(page.get(f"/api/proposals/3/{number}.png")).astype(int) for number in range(3)]
    gray = picture(page.get("/api/frames/3.png"))
    assert all(one.shape[:2] == gray.shape[:2] for one in full)
    assert min(np.abs(one - other).mean() for one, other in pairwise(full)) > 0.2
    assert page.get("/api/proposals/3/3.png").status_code == 404
    assert page.get("/api/proposals/999/0.png").status_code == 404
    assert page.get("/api/proposals/3/0.gif").status_code in (400, 404)
    page.change("PATCH", "/api/settings", model="constant")
    assert page.get("/api/proposals/3/0.jpg").status_code == 200  # has one answer
    assert page.get("/api/proposals/3/1.jpg").status_code == 404
