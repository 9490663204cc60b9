"""The page itself, its static parts, and the stream of news."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from videocolor.studio.problems import NotFoundError
from videocolor.studio.security import cookie_name
from videocolor.studio.session import Studio

__all__ = ["router"]

_STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
_PLACEHOLDER: Final = "<!doctype html><title>videocolor studio</title><p>The page of the studio is not installed.</p>"


def router(studio: Studio, *, port: int, token: str) -> APIRouter:
    """GET /, /static/NAME, /api/events."""
    routes = APIRouter()
    # Only what lies there now is ever served, by its name: no part of a request becomes part of a path.
    static = {path.name: path for path in sorted(_STATIC.iterdir()) if path.is_file() and path.suffix in _TYPES}

    @routes.get("/")
    def page() -> Response:
        index = static.get("index.html")
        answer = HTMLResponse(_PLACEHOLDER if index is None else index.read_bytes())
        answer.set_cookie(cookie_name(port), token, httponly=True, samesite="strict", path="/")
        return answer

    @routes.get("/static/{name}")
    def part(name: str) -> Response:
        path = static.get(name)
        if path is None or name == "index.html":
            raise NotFoundError("there is no such part of the page")
        return Response(path.read_bytes(), media_type=_TYPES[path.suffix], headers={"cache-control": "no-cache"})

    @routes.get("/favicon.ico")
    def favicon() -> Response:
        return Response(status_code=204)

    @routes.get("/api/events")
    async def events() -> Response:
        return StreamingResponse(studio.events.stream(), media_type="text/event-stream")

    return routes
