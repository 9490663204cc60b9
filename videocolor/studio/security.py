"""Access control: only the studio's own page on this machine may send requests.

Listening on 127.0.0.1 excludes other machines, not other pages in the same browser. Those are excluded by the address
they call (Host: DNS rebinding), by their origin (Origin, Referer, Sec-Fetch-Site), and by a token that only the printed
address holds; see docs/guides/studio.md.
"""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from secrets import compare_digest, token_urlsafe
from time import monotonic
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from videocolor.errors import UsageError, VideocolorError
from videocolor.studio.errors import TooLargeError, answer_to

__all__ = ["HEADERS", "MAX_JSON", "MAX_UPLOAD", "REPORT_POLICY", "Gate", "Tickets", "cookie_name"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

MAX_JSON: Final = 2**20
"""Bytes of a request's body."""
MAX_UPLOAD: Final = 64 * 2**20
"""Bytes of a picture that is uploaded."""
_UPLOADS: Final = ("/api/hints/painted", "/api/hints/loose")
_DRAINED: Final = 4
"""A body up to this factor too large is read to its end, so that the browser sees the answer, not a broken pipe."""
_PATIENCE: Final = 10.0
"""Seconds that this may take."""
_TICKET_SECONDS: Final = 120.0
"""That a browser may take to start."""
_HTTP_PORT: Final = 80
_POLICY: Final = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY: Final = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of a report, which has its own script and style: it is sandboxed, and its own policy admits only these by hash."""
_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="dark light">'
    '<meta name="viewport" content="width=device-width"><title>videocolor studio</title></head>'
    "<body><h1>videocolor studio</h1><p>The studio does not open here: {}.</p></body></html>"
)
"""Shown to a person with an old address."""
HEADERS: Final = {
    b"content-security-policy": _POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
"""Defaults for every answer."""


class _Forbidden(UsageError):
    """The request does not come from the studio's page."""

    def __init__(self, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.status = status


def cookie_name(port: int) -> str:
    """Return the cookie's name: cookies ignore ports, so it distinguishes two studios."""
    return f"videocolor_{port}"


class Tickets:
    """Single-use passwords to the page, valid for a short time.

    All users of a machine can read the command line of a browser, so the address there holds a ticket, which is
    worthless once the page is open; the token would not be.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._open: dict[str, float] = {}

    def issue(self) -> str:
        """Make a ticket."""
        ticket = token_urlsafe(32)
        self._open[ticket] = self._clock() + _TICKET_SECONDS
        return ticket

    def spend(self, given: str) -> bool:
        """Return whether a ticket is valid, and invalidate it."""
        known = next((ticket for ticket in self._open if compare_digest(ticket.encode(), given.encode())), None)
        return known is not None and self._open.pop(known) >= self._clock()


class Gate:
    """ASGI middleware: pass requests of the studio's own page, limit bodies, add security headers.

    Args:
        app: the application.
        port: that the server listens on.
        token: of the printed address.
        tickets: for browsers that are started here.
    """

    def __init__(self, app: App, port: int, token: str, tickets: Tickets | None = None) -> None:
        self._app, self._port, self._token = app, port, token.encode()
        self._tickets = tickets or Tickets()
        names = ("127.0.0.1", "localhost")
        usual = names if port == _HTTP_PORT else ()  # which browsers leave out
        self._hosts = (*(f"{name}:{port}" for name in names), *usual)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no websockets here
        body = _Body(receive, scope, MAX_UPLOAD if scope["path"] in _UPLOADS else MAX_JSON)
        answer = _Answer(send, body)
        try:
            self._check(scope)
            await body.check()
            try:
                await self._app(scope, body, answer)
            except TooLargeError:
                if not body.exceeded:
                    raise
            if body.exceeded:
                await body.drain()
                raise TooLargeError(body.message)
        except _Forbidden as error:
            await answer.refuse(error.status, {"error": str(error), "kind": "forbidden"}, as_page=_is_navigation(scope))
        except TooLargeError as error:
            await answer.refuse(*answer_to(error))

    def _check(self, scope: MutableMapping[str, Any]) -> None:
        """Raise `_Forbidden` where a request does not come from our page, or calls another address."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = _all(headers, b"host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            raise _Forbidden(f"this address is not the studio's; it is http://{self._hosts[0]}/", 421)
        for origin in _all(headers, b"origin"):
            if origin.lower() not in {f"http://{host}" for host in self._hosts}:
                raise _Forbidden("another page asks; the studio answers its own page alone")
        for referer in _all(headers, b"referer"):
            if not self._is_ours(referer):
                raise _Forbidden("another page asks; the studio answers its own page alone")
        if any(site not in ("same-origin", "none") for site in _all(headers, b"sec-fetch-site")):
            raise _Forbidden(
                "another page leads here; open the address that `videocolor studio` printed by typing or pasting it"
            )
        if scope["path"].startswith("/static/") and scope["method"] in ("GET", "HEAD"):
            return  # a part of the package that everybody can read
        if any(compare_digest(given.encode(), self._token) for given in self._tokens(scope, headers)):
            return
        if scope["path"] == "/" and scope["method"] == "GET":
            given = parse_qs(scope["query_string"].decode("latin-1")).get("ticket", [])
            if len(given) == 1 and self._tickets.spend(given[0]):
                return
        raise _Forbidden(
            "no valid token; open the address that `videocolor studio` printed when it was last started, with all of it"
        )

    def _is_ours(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        return parts.scheme == "http" and parts.netloc.lower() in self._hosts

    def _tokens(self, scope: MutableMapping[str, Any], headers: list[tuple[bytes, bytes]]) -> Iterable[str]:
        yield from parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=None).get("token", [])
        yield from _all(headers, b"x-videocolor-token")
        for text in _all(headers, b"cookie"):
            for part in text.split(";"):  # separately: a malformed cookie of another program must not hide ours
                try:
                    found = SimpleCookie(part).get(cookie_name(self._port))
                except CookieError:
                    continue
                if found is not None:
                    yield found.value


def _is_navigation(scope: MutableMapping[str, Any]) -> bool:
    """Return whether a person will read the answer: only a tab accepts HTML."""
    accepted = ",".join(_all(scope["headers"], b"accept")).lower()
    return scope["method"] == "GET" and "text/html" in accepted


def _all(headers: list[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


class _Body:
    """Count a request's body while it is read."""

    def __init__(self, receive: Receive, scope: MutableMapping[str, Any], limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._stated = _all(scope["headers"], b"content-length")
        self._has_body = bool(_all(scope["headers"], b"transfer-encoding")) or any(text != "0" for text in self._stated)
        self.seen = 0
        self.ended = False
        self.exceeded = False
        self.message = f"the request is too large: the studio takes {limit // 2**20} MiB here"

    async def check(self) -> None:
        """Refuse by the stated length, before reading."""
        lengths = [int(text) if text.isdigit() else 2**63 for text in self._stated]
        if any(length > self._limit for length in lengths):
            self.exceeded = True
            if max(lengths) <= _DRAINED * self._limit:
                await self.drain()
            raise TooLargeError(self.message)

    async def __call__(self) -> Message:
        message = await self._read()
        if self.seen > self._limit:
            self.exceeded = True
            raise TooLargeError(self.message)
        return message

    async def _read(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.seen += len(message.get("body", b""))
            self.ended = not message.get("more_body", False)
        else:
            self.ended = True
        return message

    async def drain(self) -> None:
        """Read and discard the rest, within limits of size and time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while self.unread and self.seen <= _DRAINED * self._limit:
                    await self._read()

    @property
    def unread(self) -> bool:
        """Whether unread data may follow."""
        return self._has_body and not self.ended


class _Answer:
    """Send an answer with the security headers; suppress it if the request's body was too large."""

    def __init__(self, send: Send, body: _Body) -> None:
        self._send, self._body = send, body
        self._refusing = self._started = False

    async def __call__(self, message: Message) -> None:
        if not self._started and self._body.exceeded and not self._refusing:
            return  # the app's answer to a truncated body
        if message["type"] == "http.response.start":
            self._started = True
            headers = list(message.get("headers", []))
            given = {key.lower() for key, _ in headers}
            headers += [(key, value) for key, value in HEADERS.items() if key not in given]
            if self._body.unread:
                headers.append((b"connection", b"close"))  # ends an upload that still goes on
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, status: int, answer: dict[str, str], *, as_page: bool = False) -> None:
        """Refuse, unless an answer has started; to a person in a tab as a page."""
        if self._started:
            raise VideocolorError(answer["error"])
        self._refusing = True
        text = _PAGE.format(html.escape(answer["error"])) if as_page else json.dumps(answer, ensure_ascii=False)
        kind, data = b"text/html; charset=utf-8" if as_page else b"application/json", text.encode()
        headers = [(b"content-type", kind), (b"content-length", str(len(data)).encode())]
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": data})
