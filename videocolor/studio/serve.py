"""Run the studio: a socket for this machine only, uvicorn in the main thread."""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from videocolor.errors import UsageError, VideocolorError
from videocolor.studio import api, api_media, api_results, lobby
from videocolor.studio.errors import answer_to
from videocolor.studio.lobby import Lobby
from videocolor.studio.models import Uploads
from videocolor.studio.project import ProjectStore
from videocolor.studio.recent import remember_project
from videocolor.studio.security import App, Gate, Tickets, cookie_name
from videocolor.studio.session import Studio
from videocolor.video import probe

__all__ = ["StudioServer", "create_app", "serve", "studio_server"]

log = logging.getLogger(__name__)
_GRACE = 3
"""Seconds that pending answers get when the studio stops."""


class _Server(uvicorn.Server):
    """End the event streams before waiting for pending answers."""

    def __init__(self, config: uvicorn.Config, studio: Studio) -> None:
        super().__init__(config)
        self._studio = studio

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down; see `uvicorn.Server`."""
        self._studio.events.close()
        await super().shutdown(sockets)


@dataclass(frozen=True)
class StudioServer:
    """A studio with its listening socket; `run` serves it."""

    studio: Studio
    address: str
    """URL of the page, with the token."""
    port: int
    token: str
    server: uvicorn.Server
    listener: socket.socket
    tickets: Tickets

    def ticket_address(self) -> str:
        """Return a URL of the page valid once, for two minutes: other users can read command lines."""
        return f"http://127.0.0.1:{self.port}/?ticket={self.tickets.issue()}"

    def run(self) -> None:
        """Serve until the server is asked to stop (Ctrl-C in the main thread, else `server.should_exit`)."""
        self.server.run(sockets=[self.listener])


@contextmanager
def studio_server(
    film: Path, project: Path | None, *, port: int = 0, token: str | None = None
) -> Iterator[StudioServer]:
    """Open a film's project and listen; leaving the context ends everything.

    Args:
        film: to color.
        project: folder of the project; None: beside the film.
        port: 0: any free one.
        token: that requests must carry; None: a new one.

    Raises:
        InputError: the film cannot be read. UsageError: the port is taken, or the project is open elsewhere.
        ConfigError, OutputError: the project cannot be used.
    """
    probe(film)  # before anything is written or listened on
    with _listen(port) as listener:
        port = listener.getsockname()[1]
        token, tickets = token or secrets.token_urlsafe(32), Tickets()
        store = ProjectStore.open_or_create(project, film)
        try:
            studio = Studio(store)
        except BaseException:
            store.close()
            raise
        try:
            config = _config(create_app(studio, port=port, token=token, tickets=tickets))
            address = f"http://127.0.0.1:{port}/?token={token}"
            yield StudioServer(studio, address, port, token, _Server(config, studio), listener, tickets)
        finally:
            studio.close()


def serve(
    film: Path | None, project: Path | None, *, port: int = 0, browser: bool = True, ready: Callable[[str], None]
) -> None:
    """Serve a film's studio until Ctrl-C.

    Args:
        film: to color; None: the page lets a person choose one, and then is its studio.
        project: folder of the project; None: beside the film.
        port: 0: any free one.
        browser: open the page in the person's browser.
        ready: called with the address once the studio listens there.

    Errors as of `studio_server`.
    """
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        if film is not None:
            served = stack.enter_context(studio_server(film, project, port=port))
            ready(served.address)
            _show(served.ticket_address(), browser)
        else:
            served = _chosen(stack, port, browser, ready)
        served.studio.start()
        remember_project(served.studio.store.film, served.studio.store.folder)
        served.run()  # raises KeyboardInterrupt after Ctrl-C, when pending answers are sent


def _chosen(stack: ExitStack, port: int, browser: bool, ready: Callable[[str], None]) -> StudioServer:
    """Let a person choose until a film can be opened; its studio has the address of the chooser."""
    token, failed = secrets.token_urlsafe(32), None
    while True:
        choice, tickets = Lobby(failed), Tickets()
        with _listen(port) as listener:
            port = listener.getsockname()[1]
            app = _app(lobby.router, port=port, token=token, lobby=choice)
            choice.server = uvicorn.Server(_config(Gate(app, port, token, tickets)))
            if failed is None:
                ready(f"http://127.0.0.1:{port}/?token={token}")
                _show(f"http://127.0.0.1:{port}/?ticket={tickets.issue()}", browser)
            choice.server.run(sockets=[listener])
        if choice.choice is None:
            raise KeyboardInterrupt
        try:
            film, project = choice.choice.film, choice.choice.project
            return stack.enter_context(studio_server(film, project, port=port, token=token))
        except VideocolorError as error:  # open in another studio, say
            log.info("%s", error)
            failed = str(error)


def _config(app: App) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=30,
    )


def _show(address: str, browser: bool) -> None:
    """Open the page in the person's browser."""
    if browser:
        threading.Thread(target=_open, args=(address,), name="browser", daemon=True).start()


def _listen(port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only where the protocol is named; else every answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UsageError(f"--port {port}: {error.strerror or error}; leave it out for a free one") from error
    return listener


def _open(address: str) -> None:
    try:
        if not webbrowser.open(address):
            log.info("no browser was found; open the address yourself")
    except (webbrowser.Error, OSError) as error:
        log.info("no browser could be opened: %s", error)


log = logging.getLogger(__name__)


def create_app(studio: Studio, *, port: int, token: str, tickets: Tickets | None = None) -> App:
    """Make the ASGI application of a studio.

    Args:
        studio: the session that requests work on.
        port: that the server listens on; other Host headers are refused.
        token: that a request must carry; see `videocolor.studio.security`.
        tickets: for a browser that is started here.
    """
    routers = (part.router for part in (api, api_media, api_results))
    return Gate(_app(*routers, port=port, token=token, studio=studio, uploads=Uploads()), port, token, tickets)


def _app(*routers: APIRouter, port: int, token: str, **state: Any) -> FastAPI:
    """Make an application of these routes that answers errors as the page expects them."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.cookie = (cookie_name(port), token)
    for name, value in state.items():
        setattr(app.state, name, value)
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(VideocolorError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _bug)
    return app


def _expected(_request: Request, error: Exception) -> Response:
    assert isinstance(error, VideocolorError)
    status, answer = answer_to(error)
    return JSONResponse(answer, status)


def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    lines = []
    for detail in error.errors():
        where = ".".join(str(part) for part in detail["loc"][1:]) or str(detail["loc"][0])
        lines.append(f"{where}: {detail['msg'].removeprefix('Value error, ')}")
    return JSONResponse({"error": "; ".join(lines)[:2000], "kind": "usage"}, 400)


def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = {403: "forbidden", 404: "not_found", 413: "too_large"}.get(error.status_code, "usage")
    return JSONResponse({"error": str(error.detail), "kind": kind}, error.status_code, headers=error.headers)


def _gone(_request: Request, _error: Exception) -> Response:
    """Answer an upload that was broken off; nobody reads this."""
    return Response(status_code=400)


def _bug(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    text = "this is a bug in videocolor; the terminal that the studio was started in says more"
    return JSONResponse({"error": text, "kind": "internal"}, 500)
