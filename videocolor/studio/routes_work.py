"""What takes a while: previews, the render, the comparison film, the report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from videocolor.studio import bodies
from videocolor.studio.bodies import FrameIndex, Height, PreviewId, Saturation
from videocolor.studio.frames import jpeg_bytes
from videocolor.studio.pictures import chroma_alone, resized
from videocolor.studio.previews import Kind
from videocolor.studio.problems import NotFoundError
from videocolor.studio.security import REPORT_POLICY
from videocolor.studio.session import Studio

__all__ = ["router"]

Answer = dict[str, Any]
_FILMS: Final = {".mp4": "video/mp4", ".mov": "video/quicktime", ".mkv": "video/x-matroska"}


def _film(path: Path) -> Response:
    """A film, whole or in the ranges that a player asks for."""
    return FileResponse(path, media_type=_FILMS[path.suffix], headers={"cache-control": "private, no-cache"})


def _picture(data: bytes) -> Response:
    """A JPEG that is asked for anew: what it shows may have changed, and so may the studio on this port."""
    return Response(data, media_type="image/jpeg", headers={"cache-control": "private, no-cache"})


def router(studio: Studio, *, port: int, token: str) -> APIRouter:
    """Previews, render, comparison, report."""
    routes = APIRouter(prefix="/api")
    _add_previews(routes, studio)
    _add_render(routes, studio)
    _add_results(routes, studio)
    return routes


def _add_previews(routes: APIRouter, studio: Studio) -> None:
    @routes.post("/preview")
    def start(body: bodies.Preview) -> Answer:
        return studio.previews.start(body)

    @routes.get("/preview/{run_id}")
    def status(run_id: PreviewId) -> Answer:
        return studio.previews.get(run_id)

    @routes.delete("/preview/{run_id}")
    def cancel(run_id: PreviewId) -> Answer:
        return studio.previews.cancel(run_id)

    @routes.get("/preview/{run_id}/{index}.jpg")
    def picture(run_id: PreviewId, index: FrameIndex, kind: Kind = "after", saturation: Saturation = 1.0) -> Response:
        return _picture(studio.previews.picture(run_id, index, kind, saturation))


def _add_render(routes: APIRouter, studio: Studio) -> None:
    @routes.post("/render")
    def start(body: bodies.Render) -> Answer:
        studio.check_revision(body.revision)
        studio.renders.start(only_changed=body.only_changed)
        return studio.document.whole()

    @routes.get("/render")
    def status() -> Answer:
        return studio.renders.document()

    @routes.delete("/render")
    def stop() -> Answer:
        return studio.renders.stop()

    @routes.get("/render/film")
    def film() -> Response:
        return _film(studio.renders.film())

    @routes.get("/render/{index}.jpg")
    def picture(index: FrameIndex, height: Height = 480, kind: Literal["after", "chroma"] = "after") -> Response:
        studio.check_frame(index)
        rgb = resized(studio.renders.frame(index), height, studio.aspect)
        return _picture(jpeg_bytes(chroma_alone(rgb) if kind == "chroma" else rgb))


def _add_results(routes: APIRouter, studio: Studio) -> None:
    @routes.post("/compare")
    def start(body: bodies.Compare) -> Answer:
        return asdict(studio.renders.compare(body.kind))

    @routes.get("/compare")
    def status() -> Answer:
        return studio.renders.comparison_document()

    @routes.delete("/compare")
    def stop() -> Answer:
        return asdict(studio.renders.comparison.stop())

    @routes.get("/compare/film")
    def film() -> Response:
        path = studio.renders.comparison_path
        if studio.renders.comparison_document()["state"] != "done" or not path.is_file() or path.is_symlink():
            raise NotFoundError("there is no comparison film yet")
        return _film(path)

    @routes.get("/report")
    def report() -> Response:
        headers = {"content-security-policy": REPORT_POLICY}
        return Response(studio.renders.report(), media_type="text/html; charset=utf-8", headers=headers)
