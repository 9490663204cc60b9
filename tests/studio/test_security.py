"""Hostile input: whoever is not the studio's own page gets nothing, and nothing outside project and film is touched."""

from __future__ import annotations

import asyncio
import html
import http.client
import json
import re
import shutil
import socket
import struct
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from films import write_reel
from serving import Client, serving, until

from videocolor.studio import serve as serve_module
from videocolor.studio.security import HEADERS, MAX_JSON, MAX_UPLOAD, Gate, Tickets, cookie_name

NAME = "<img src=x onerror=alert(1)>&quot;.mkv"
SHOTS = ((1, 8), (2, 6), (3, 7))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("film")
    write_reel(folder / NAME, SHOTS)
    (folder / "secret.txt").write_text("nobody's business")
    with serving(folder / NAME) as client:
        client.scanned()
        yield client


def raw(
    page: Client, method: str, path: str, headers: dict[str, str | list[str]] | None = None, body: Any = None
) -> tuple[int, dict[str, str], bytes]:
    """A request byte for byte: nothing is normalized, nothing added but what is given."""
    connection = http.client.HTTPConnection("127.0.0.1", page.served.port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        given = {"Host": f"127.0.0.1:{page.served.port}", **(headers or {})}
        for name, value in given.items():
            for one in value if isinstance(value, list) else [value]:
                if one:
                    connection.putheader(name, one)
        if isinstance(body, bytes):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body if isinstance(body, bytes) else None)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def kind(answer: tuple[int, dict[str, str], bytes]) -> str:
    return str(json.loads(answer[2])["kind"])


def own(page: Client) -> dict[str, str | list[str]]:
    return {"X-Videocolor-Token": page.served.token}


# ---- who asks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost",
        "[::1]:{port}",
        "127.0.0.1.nip.io:{port}",
        "127.0.0.1:{port}@evil.example",
        "0.0.0.0:{port}",
        ["127.0.0.1:{port}", "evil.example"],
    ],
)
def test_another_host_is_refused(page: Client, host: str | list[str]) -> None:
    """DNS rebinding: the browser thinks that it talks to evil.example."""
    port = str(page.served.port)
    filled = [one.replace("{port}", port) for one in ([host] if isinstance(host, str) else host)]
    answer = raw(page, "GET", "/api/project", {**own(page), "Host": filled})
    assert answer[0] in (400, 421), answer
    assert b"revision" not in answer[2]


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}"])
def test_both_names_of_this_machine_are_ours(page: Client, host: str) -> None:
    named = host.replace("{port}", str(page.served.port))
    origin = f"http://{named.lower()}"
    answer = raw(
        page, "GET", "/api/project", {**own(page), "Host": named, "Origin": origin, "Referer": f"{origin}/#f3"}
    )
    assert answer[0] == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://127.0.0.1"),
        ("Origin", "https://127.0.0.1:{port}"),
        ("Origin", "http://127.0.0.1:{port}.evil.example"),
        ("Origin", "http://localhost:1"),
        ("Referer", "http://evil.example/?http://127.0.0.1:{port}/"),
        ("Referer", "http://127.0.0.1:{port}@evil.example/"),
        ("Referer", "http://[broken/"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/project", "/static/main.js"])
def test_another_page_is_refused(page: Client, name: str, value: str, path: str) -> None:
    headers = {**own(page), name: value.replace("{port}", str(page.served.port))}
    answer = raw(page, "GET", path, headers)
    assert answer[0] == 403 and kind(answer) == "forbidden"


def routes() -> list[tuple[str, str]]:
    """Every route of the application but the static parts, with something in the place of each parameter."""
    from fastapi.routing import APIRoute

    from videocolor.studio import api, api_media, api_results

    found = []
    for route in (route for part in (api, api_media, api_results) for route in part.router.routes):
        assert isinstance(route, APIRoute)
        path = re.sub(r"\{hint_id\}", "h0001", re.sub(r"\{run_id\}", "p1", route.path))
        found += [(method, re.sub(r"\{\w+\}", "0", path)) for method in sorted(route.methods)]
    return [(method, path) for method, path in found if not path.startswith("/static/")]


def test_there_are_routes_to_try() -> None:
    assert len(routes()) >= 35 and ("GET", "/") in routes() and ("DELETE", "/api/hints/h0001") in routes()


@pytest.mark.parametrize("token", ["", "wrong", "é", "A" * 5000])
def test_without_the_token_nothing_answers(page: Client, token: str) -> None:
    before = page.project()["revision"]
    for method, path in routes():
        headers: dict[str, str | list[str]] = {"Content-Type": "application/json"}
        if token:
            headers |= {
                "X-Videocolor-Token": token,
                "Cookie": f"{cookie_name(page.served.port)}={token.encode().hex()}",
            }
        body = None if method in ("GET", "DELETE") else b'{"revision": 1}'
        answer = raw(page, method, path, headers, body)
        assert answer[0] == 403 and kind(answer) == "forbidden", (method, path)
    assert page.project()["revision"] == before


def test_three_ways_to_carry_the_token(page: Client) -> None:
    token, port = page.served.token, page.served.port
    assert raw(page, "GET", f"/api/project?token={token}")[0] == 200
    assert raw(page, "GET", "/api/project", {"X-Videocolor-Token": token})[0] == 200
    others = 'odd="; broken=é=; a b=c'
    cookies = f"{others}; {cookie_name(port)}={token}; z=1"
    assert raw(page, "GET", "/api/project", {"Cookie": cookies})[0] == 200
    assert raw(page, "GET", "/api/project", {"Cookie": f"{cookie_name(port + 1)}={token}"})[0] == 403


def test_the_printed_address_is_the_page_itself(page: Client) -> None:
    status, headers, body = raw(page, "GET", page.served.address.partition(str(page.served.port))[2])
    assert status == 200 and headers["content-type"].startswith("text/html") and b"<!doctype html>" in body.lower()
    cookie = headers["set-cookie"]
    assert cookie.startswith(f"{cookie_name(page.served.port)}={page.served.token};")
    assert "httponly" in cookie.lower() and "samesite=strict" in cookie.lower()
    assert page.served.token.encode() not in body


def test_what_a_browser_is_started_with_admits_once(page: Client) -> None:
    """Its command line can be read by other users of the machine: what stands there must be worth nothing soon."""
    address = page.served.ticket_address()
    assert page.served.token not in address
    path = address.partition(str(page.served.port))[2]
    assert raw(page, "HEAD", path)[0] == 403 and raw(page, "GET", path.replace("/", "/api/project", 1))[0] == 403
    status, headers, body = raw(page, "GET", path)
    assert status == 200 and b"<!doctype html>" in body.lower()
    assert headers["set-cookie"].startswith(f"{cookie_name(page.served.port)}={page.served.token};")
    assert raw(page, "GET", path)[0] == 403, "once"
    assert raw(page, "GET", path, own(page))[0] == 200, "loaded again in the browser that has the cookie"
    for wrong in ("/?ticket=", "/?ticket=x", "/?ticket=%ff", f"/?ticket={page.served.token}", f"/?token={path[9:]}"):
        assert raw(page, "GET", wrong)[0] == 403, wrong


def test_a_ticket_is_good_for_a_short_time() -> None:
    now = 100.0
    tickets = Tickets(lambda: now)
    early, late, other = tickets.issue(), tickets.issue(), Tickets().issue()
    now += 119
    assert tickets.spend(early) and not tickets.spend(early) and not tickets.spend(other)
    now += 2
    assert not tickets.spend(late)


def test_the_browser_is_given_a_ticket(page: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[str] = []
    served: list[str] = []
    monkeypatch.setattr(serve_module.webbrowser, "open", lambda address: opened.append(address) or True)
    monkeypatch.setattr(serve_module.StudioServer, "run", lambda _: until(lambda: opened))
    film = Path(shutil.copy2(page.served.studio.store.film, tmp_path / "reel.mkv"))
    serve_module.serve(film, None, ready=served.append)
    assert "?token=" in served[0] and "?ticket=" in opened[0] and served[0].rpartition("=")[2] not in opened[0]


def at_port(port: int, headers: dict[str, str]) -> int:
    """Status of the gate of a port that nobody listens on here."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ask() -> int:
        transport = httpx.ASGITransport(Gate(app, port, "secret"))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return (await client.get("/", headers={"X-Videocolor-Token": "secret", **headers})).status_code

    return asyncio.run(ask())


def test_browsers_leave_out_the_usual_port() -> None:
    for host in ("127.0.0.1", "localhost", "127.0.0.1:80"):
        place = {"Host": host, "Origin": f"http://{host}", "Referer": f"http://{host}/"}
        assert at_port(80, place) == 200, host
    assert at_port(80, {"Host": "evil.example"}) == 421
    assert at_port(80, {"Host": "127.0.0.1", "Origin": "http://evil.example"}) == 403
    assert at_port(8080, {"Host": "127.0.0.1"}) == 421
    assert at_port(8080, {"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1"}) == 403


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 403),
        ({"Cookie": "videocolor_{port}=of-an-earlier-start"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_a_person_with_an_old_address_reads_words(page: Client, change: dict[str, str], status: int) -> None:
    filled: dict[str, str | list[str]] = {
        name: value.replace("{port}", str(page.served.port)) for name, value in change.items()
    }
    said = json.loads(raw(page, "GET", "/", filled)[2])["error"]
    answer = raw(page, "GET", "/?token=old", {**filled, "Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer[0] == status and answer[1]["content-type"] == "text/html; charset=utf-8"
    text = answer[2].decode()
    assert html.escape(said) in text and "<script" not in text and "style" not in text
    assert {name.decode(): value for name, value in HEADERS.items()}.items() <= {
        name: value.encode() for name, value in answer[1].items()
    }.items()
    assert "set-cookie" not in answer[1]


def test_it_listens_on_this_machine_alone(page: Client) -> None:
    assert page.served.listener.getsockname()[0] == "127.0.0.1"
    with socket.socket() as other:
        other.settimeout(2)
        assert other.connect_ex(("127.0.0.2", page.served.port)) != 0, "even another loopback address reaches nothing"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/api/project", 200),
        ("/static/main.js", 200),
        ("/static/none.js", 404),
        ("/nowhere", 404),
        ("/api/frames/999.jpg", 404),
        ("/api/frames/x.jpg", 400),
    ],
)
def test_every_answer_is_fenced(page: Client, path: str, status: int) -> None:
    answer = raw(page, "GET", path, own(page))
    assert answer[0] == status
    assert set(HEADERS) <= {name.encode() for name in answer[1]}
    policy = answer[1]["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    refused = raw(page, "GET", path, {"Origin": "http://evil.example"})
    assert set(HEADERS) <= {name.encode() for name in refused[1]}, "a refusal, too"
    assert "access-control-allow-origin" not in answer[1]


def test_no_preflight_is_granted(page: Client) -> None:
    headers: dict[str, str | list[str]] = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    status, got, _ = raw(page, "OPTIONS", "/api/undo", headers)
    assert status == 403 and not any(name.startswith("access-control") for name in got)


# ---- where requests lead --------------------------------------------------------------------------------------------

_UP = [
    "../../secret.txt",
    "..%2f..%2fsecret.txt",
    "%2e%2e/%2e%2e/secret.txt",
    "....//secret.txt",
    "/etc/passwd",
    "..%5c..%5csecret.txt",
    "%00",
    "secret.txt%00.jpg",
    "~/.bashrc",
    "..;/project.json",
    "file:///etc/passwd",
]
_PLACES = [
    "/static/{}",
    "/static/{}.js",
    "/api/frames/{}.jpg",
    "/api/frames/{}.png",
    "/api/shots/{}.jpg",
    "/api/hints/{}.jpg",
    "/api/preview/{}/0.jpg",
    "/api/preview/p1/{}.jpg",
    "/api/render/{}.jpg",
    "/api/render/{}",
    "/{}",
]


def test_no_path_leads_out(page: Client, opened: list[str]) -> None:
    for place in _PLACES:
        for up in _UP:
            status, _, body = raw(page, "GET", place.format(up), own(page))
            assert status in (400, 404), (place, up, status)
            assert b"nobody's business" not in body and b"root:" not in body
    strange = [path for path in opened if not _is_ours(page, path)]
    assert not strange


def _is_ours(page: Client, path: str) -> bool:
    """In the project's folder, the film, the package, or the interpreter's own."""
    studio = page.served.studio
    roots = [studio.store.folder, studio.store.film, Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2]]
    return any(Path(path).resolve().is_relative_to(root.resolve()) for root in roots) or path.startswith(
        ("/proc/", "/dev/")
    )


_heard: list[list[str]] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _heard and isinstance(arguments[0], str | bytes):
        _heard[-1].append(arguments[0] if isinstance(arguments[0], str) else arguments[0].decode())


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The files that this process opens meanwhile (an audit hook stays for ever, so there is one for all tests)."""
    if not hasattr(sys, "_videocolor_test_hook"):
        sys.addaudithook(_hear)
        sys._videocolor_test_hook = True  # type: ignore[attr-defined]
    _heard.append([])
    yield _heard[-1]
    _heard.pop()


def test_the_hook_hears(opened: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    assert str(tmp_path / "a.txt") in opened


def test_names_of_uploads_name_no_file(page: Client, opened: list[str]) -> None:
    folder = page.served.studio.store.folder
    before = {path for path in folder.parent.rglob("*") if folder not in path.parents}
    name = "..%2F..%2F%3Cscript%3Ealert(1)%3C%2Fscript%3E%00.png"
    start = page.project()["shots"][0]["start"]
    answer = page.upload("/api/hints/loose", _png(_colors()), name, shot=start)
    assert answer.status_code == 200, answer.text
    hint = answer.json()["hints"][-1]
    assert "/" not in hint["label"] and "\0" not in hint["label"] and ".." not in hint["label"]
    assert {path for path in folder.parent.rglob("*") if folder not in path.parents} == before
    assert re.fullmatch(r"h\d{4}-[0-9a-f]{12}\.(png|jpg)", page.served.studio.store.data.hints[-1].image)
    assert not [path for path in opened if not _is_ours(page, path)]


def test_a_film_that_is_a_link_is_not_given_out(page: Client) -> None:
    store = page.served.studio.store
    store.target.symlink_to(store.folder.parent / "secret.txt")
    comparison = page.served.studio.renders.comparison_path
    comparison.symlink_to(store.folder.parent / "secret.txt")
    try:
        for path in ("/api/render/film", "/api/render/0.jpg", "/api/report", "/api/compare/film"):
            assert page.get(path).status_code == 404, path
    finally:
        store.target.unlink()
        comparison.unlink()


@pytest.mark.parametrize("number", ["-1", "1.5", "1e9", "99999999999999999999", "NaN", "0x10", "１", "%31%00"])
def test_numbers_have_bounds(page: Client, number: str) -> None:
    encoded = number.encode().decode("latin-1") if number.isascii() else "%EF%BC%91"
    for path in ("/api/frames/{}.jpg", "/api/frames/{}.png", "/api/shots/{}.jpg", "/api/render/{}.jpg"):
        assert raw(page, "GET", path.format(encoded), own(page))[0] in (400, 404)
    for query in ("height={}", "height={}&kind=after"):
        assert raw(page, "GET", "/api/frames/0.jpg?" + query.format(encoded), own(page))[0] == 400
    assert raw(page, "GET", f"/api/color?frame=0&x={encoded}&y=0", own(page))[0] in (400, 404)


# ---- what requests carry --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"revision": NaN, "frame": 3}',
        b'{"revision": 1, "frame": ' + b"9" * 5000 + b"}",
        b'{"revision": 1, "frame": 1e400}',
        b'{"revision": "1", "frame": 3}',
        b'{"revision": true, "frame": 3}',
        b'{"revision": 1, "frame": 3, "path": "/etc/passwd"}',
        b'{"revision": 1, "frame": -3}',
        b'{"revision": 1}',
        b'{"__proto__": {}, "revision": 1, "frame": 3}',
    ],
    ids=lambda body: f"{zlib.crc32(body):08x}",
)
def test_broken_json_is_refused_in_words(page: Client, body: bytes) -> None:
    before = page.project()
    answer = raw(page, "POST", "/api/shots/cut", {**own(page), "Content-Type": "application/json"}, body)
    assert answer[0] == 400 and kind(answer) == "usage" and b"Traceback" not in answer[2] and len(answer[2]) < 4000
    assert page.project() == before


@pytest.mark.parametrize("stated", [True, False])
def test_json_has_a_limit(page: Client, stated: bool) -> None:
    data = b'{"revision": 1, "note": "' + b"x" * MAX_JSON + b'"}'
    body: Any = data if stated else iter([data[:1000], data[1000:]])
    headers = {"Content-Type": "application/json"}
    answer = page.http.request("PATCH", "/api/shots/0", content=body, headers=headers)
    assert answer.status_code == 413 and answer.json()["kind"] == "too_large"
    assert page.project()["scan"]["state"] == "done", "the connection is of use afterward"


@pytest.mark.parametrize("stated", [True, False])
def test_uploads_have_a_limit(page: Client, stated: bool) -> None:
    piece, before = b"\0" * 2**20, page.project()
    count = MAX_UPLOAD // len(piece) + 1
    pieces = (piece for _ in range(count))
    answer = page.upload("/api/hints/loose", piece * count if stated else pieces, shot=0)
    assert answer.status_code == 413 and answer.json()["kind"] == "too_large" and "64 MiB" in answer.json()["error"]
    assert page.project() == before


def test_an_endless_upload_ends(page: Client) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 2**16
            yield b"x" * 2**16

    with suppress(httpx.NetworkError, httpx.ProtocolError):  # the connection may be closed before the answer is read
        assert page.http.post("/api/undo", content=endless()).status_code == 413
    assert sent < 64 * MAX_JSON
    assert page.http.get("/api/project").status_code == 200


def test_a_length_that_lies_is_refused(page: Client) -> None:
    for length in ("-1", "1e3", "99999999999999999999", "+5"):
        headers = {**own(page), "Content-Length": length}
        assert raw(page, "POST", "/api/hints/loose?revision=1&shot=0", headers)[0] in (400, 413)


def test_an_upload_that_is_broken_off_is_no_news(
    page: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = Path(shutil.copy2(page.served.studio.store.film, tmp_path / "reel.mkv"))
    with serving(film) as client:
        client.scanned()
        for path in ("/api/hints/loose?revision=1&shot=0", "/api/shots/cut"):
            with socket.create_connection(("127.0.0.1", client.served.port), timeout=30) as connection:
                head = (
                    f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{client.served.port}\r\nContent-Length: 1000\r\n"
                    f"X-Videocolor-Token: {client.served.token}\r\nContent-Type: application/json\r\n"
                    "Expect: 100-continue\r\n\r\n"
                )
                connection.sendall(head.encode())
                assert b" 100 " in connection.recv(1000), "it waits for the body"
                connection.sendall(b"{")
    assert not caplog.records, "the server has ended, so it has seen both"


def _png(rgb: np.ndarray[Any, Any]) -> bytes:
    done, data = cv2.imencode(".png", rgb[..., ::-1])
    assert done
    return data.tobytes()


def _colors() -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).integers(0, 255, (64, 96, 3), dtype=np.uint8)


def _bomb() -> bytes:
    """A PNG whose header promises 100,000 x 100,000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        _png(_colors())[:900],
        _bomb(),
        b"\0" * 4096,
        b"#!/bin/sh\nrm -rf /\n",
    ],
    ids=["empty", "gif", "svg", "truncated", "bomb", "zeros", "script"],
)
@pytest.mark.parametrize("place", ["painted", "loose"])
def test_broken_uploads_are_refused_with_the_reason(page: Client, data: bytes, place: str) -> None:
    before = page.project()
    query = {"frame": 3} if place == "painted" else {"shot": 0}
    answer = page.upload(f"/api/hints/{place}", data, "x.png", **query)
    assert answer.status_code == 422 and answer.json()["kind"] == "input", answer.text
    assert len(answer.json()["error"]) > 10 and "Traceback" not in answer.text
    assert page.project() == before


def test_html_in_names_stays_text(page: Client) -> None:
    answer = page.get("/api/project")
    assert answer.json()["film"]["name"] == NAME
    assert (
        answer.headers["content-type"] == "application/json" and answer.headers["x-content-type-options"] == "nosniff"
    )
    assert "onerror" not in page.get("/").text
    note = "</script><script>alert(1)</script>"
    document = page.change("PATCH", "/api/shots/0", note=note)
    assert document["shots"][0]["note"] == note
    png = page.get("/api/frames/0.png").headers["content-disposition"]
    assert re.fullmatch(r'attachment; filename="shot\d{4}_t\d{5}\.\d{3}s\.png"', png)


# ---- two tabs -------------------------------------------------------------------------------------------------------


def test_two_tabs_never_overwrite_each_other(page: Client) -> None:
    revision = page.project()["revision"]
    answers: list[httpx.Response] = []
    ready = threading.Barrier(6)

    def edit(number: int) -> None:
        with httpx.Client(base_url=page.http.base_url, cookies=page.http.cookies, timeout=60) as tab:
            ready.wait()
            answers.append(tab.patch("/api/shots/0", json={"revision": revision, "note": f"tab {number}"}))

    tabs = [threading.Thread(target=edit, args=(number,)) for number in range(6)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    won = [answer for answer in answers if answer.status_code == 200]
    lost = [answer for answer in answers if answer.status_code == 409]
    assert len(won) == 1 and len(lost) == 5
    assert {answer.json()["kind"] for answer in lost} == {"stale"}
    assert page.project()["shots"][0]["note"] == won[0].json()["shots"][0]["note"]


def test_every_change_asks_for_the_revision(page: Client) -> None:
    """What a tab has not seen it cannot change, whichever way it tries."""
    document = page.project()
    old = document["revision"] - 1
    png = _png(_colors())
    tries: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/api/shots/cut", {"json": {"frame": 3}}),
        ("POST", "/api/shots/merge", {"json": {"start": 8}}),
        ("POST", "/api/shots/move", {"json": {"start": 8, "to": 9}}),
        ("PATCH", "/api/shots/0", {"json": {"saturation": 0.5}}),
        ("PATCH", "/api/settings", {"json": {"saturation": 0.5}}),
        ("POST", "/api/undo", {"json": {}}),
        ("POST", "/api/redo", {"json": {}}),
        ("POST", "/api/hints/frame", {"json": {"frame": 3, "shot": 8}}),
        ("POST", "/api/hints/points", {"json": {"frame": 3, "points": [{"x": 0.5, "y": 0.5, "color": "#ff0000"}]}}),
        ("PATCH", "/api/hints/h0001", {"json": {"enabled": False}}),
        ("DELETE", "/api/hints/h0001", {"params": {}}),
        ("POST", "/api/hints/painted", {"params": {"frame": 3}, "content": png}),
        ("POST", "/api/hints/loose", {"params": {"shot": 0}, "content": png}),
        ("POST", "/api/render", {"json": {}}),
    ]
    for method, path, what in tries:
        place = "json" if "json" in what else "params"
        with_revision = {**what, place: {**what[place], "revision": old}}
        answer = page.http.request(method, path, **with_revision)
        assert answer.status_code == 409 and answer.json()["kind"] == "stale", (path, answer.text)
        assert page.http.request(method, path, **what).status_code == 400, f"{path} without a revision"
    assert page.project() == document


def test_bugs_show_no_traceback(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("a secret place")

    monkeypatch.setattr(page.served.studio.document, "full", broken)
    answer = page.get("/api/project")
    assert answer.status_code == 500 and answer.json()["kind"] == "internal"
    assert "secret" not in answer.text and "Traceback" not in answer.text


def test_the_film_is_as_it_was(tmp_path: Path) -> None:
    film = write_reel(tmp_path / "reel.mkv", SHOTS)
    copy = Path(shutil.copy2(film, tmp_path / "copy.mkv"))
    with serving(film) as client:
        client.scanned()
        client.get("/api/frames/3.jpg")
    assert film.read_bytes() == copy.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"reel.mkv", "copy.mkv", "reel.mkv.videocolor-project"}
