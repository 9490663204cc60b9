"""The studio's web application: routes, the gate before them, and how errors are answered."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from videocolor.errors import VideocolorError
from videocolor.studio.api import router
from videocolor.studio.errors import answer_to
from videocolor.studio.models import Uploads
from videocolor.studio.security import App, Gate, Tickets, cookie_name
from videocolor.studio.session import Studio

__all__ = ["create_app"]

log = logging.getLogger(__name__)


def create_app(studio: Studio, *, port: int, token: str, tickets: Tickets | None = None) -> App:
    """Make the ASGI application of a studio.

    Args:
        studio: the session that requests work on.
        port: that the server listens on; other Host headers are refused.
        token: that a request must carry; see `videocolor.studio.security`.
        tickets: for a browser that is started here.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.studio, app.state.uploads, app.state.cookie = studio, Uploads(), (cookie_name(port), token)
    app.include_router(router)
    app.add_exception_handler(VideocolorError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _bug)
    return Gate(app, port, token, tickets)


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
