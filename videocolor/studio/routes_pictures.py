"""Pictures of the film: frames, thumbnails of shots."""

from __future__ import annotations

from bisect import bisect_right

from fastapi import APIRouter, Request
from fastapi.responses import Response

from videocolor.hints.plan import suggestion_name
from videocolor.studio.bodies import FrameIndex, Height
from videocolor.studio.problems import NotFoundError
from videocolor.studio.session import Studio

__all__ = ["kept", "router"]


def kept(request: Request, data: bytes, tag: str, version: str) -> Response:
    """A JPEG with a tag that the browser can ask with; kept for long where its address names the film's version.

    An address alone does not say which film it is about: the next studio may listen on the same port.
    """
    named = request.query_params.get("v", "").startswith(version)
    headers = {
        "etag": f'"{tag}"',
        "cache-control": "private, max-age=86400, immutable" if named else "private, no-cache",
    }
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="image/jpeg", headers=headers)


def router(studio: Studio, *, port: int, token: str) -> APIRouter:
    """GET /api/frames/N.jpg, /api/frames/N.png, /api/shots/START.jpg."""
    routes = APIRouter(prefix="/api")

    @routes.get("/frames/{index}.jpg")
    def jpeg(request: Request, index: FrameIndex, height: Height = 240) -> Response:
        studio.check_frame(index)
        tag = f"{studio.version}-{index}-{height}"
        if request.headers.get("if-none-match") == f'"{tag}"':
            return kept(request, b"", tag, studio.version)
        return kept(request, studio.source.jpeg(index, height), tag, studio.version)

    @routes.get("/frames/{index}.png")
    def png(index: FrameIndex) -> Response:
        studio.check_frame(index)
        starts = [start for start, _ in studio.spans()]
        name = suggestion_name(bisect_right(starts, index) - 1, studio.source.frame(index))
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(studio.source.png(index), media_type="image/png", headers=headers)

    @routes.get("/shots/{start}.jpg")
    def thumbnail(request: Request, start: FrameIndex) -> Response:
        begin, end = studio.shot_span(start)
        look = studio.scan.look(begin, end)
        if look is None:
            raise NotFoundError(f"nobody has looked at the shot of frame {start} yet")
        frame = look.suggested[0]
        return kept(request, look.jpeg, f"{studio.version}-shot-{frame}-{len(look.jpeg)}", studio.version)

    return routes
