"""The studio's web application: routes, the gate before them, and how errors read."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from videocolor.errors import VideocolorError
from videocolor.studio import routes_hints, routes_page, routes_pictures, routes_project, routes_work
from videocolor.studio.problems import answer_to
from videocolor.studio.security import App, Gate, Tickets
from videocolor.studio.session import Studio

__all__ = ["create_app"]

log = logging.getLogger(__name__)


def create_app(studio: Studio, *, port: int, token: str, tickets: Tickets | None = None) -> App:
    """The ASGI application of a studio.

    Args:
        studio: what the requests work on.
        port: the one that is listened on; other Host headers are refused.
        token: what a request must bring along; see `videocolor.studio.security`.
        tickets: for a browser that is started here; None: there are none.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    for routes in (routes_page, routes_project, routes_pictures, routes_hints, routes_work):
        app.include_router(routes.router(studio, port=port, token=token))
    app.add_exception_handler(VideocolorError, _on_purpose)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _bug)
    return Gate(app, port, token, tickets)


def _on_purpose(request: Request, error: Exception) -> Response:
    assert isinstance(error, VideocolorError)
    status, answer = answer_to(error)
    return JSONResponse(answer, status)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    lines = []
    for detail in error.errors():
        where = ".".join(str(part) for part in detail["loc"][1:]) or str(detail["loc"][0])
        lines.append(f"{where}: {detail['msg'].removeprefix('Value error, ')}")
    return JSONResponse({"error": "; ".join(lines)[:2000], "kind": "usage"}, 400)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = {403: "forbidden", 404: "not_found", 413: "too_large"}.get(error.status_code, "usage")
    return JSONResponse({"error": str(error.detail), "kind": kind}, error.status_code, headers=error.headers)


def _gone(request: Request, error: Exception) -> Response:
    """An upload was broken off: nobody reads this, and nothing went wrong here."""
    return Response(status_code=400)


def _bug(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    text = "this is a bug in videocolor; the terminal that the studio was started in says more"
    return JSONResponse({"error": text, "kind": "internal"}, 500)
