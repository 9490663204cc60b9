"""The routes of the render and of what is made of it: the film, its frames, the comparison film, the report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Final, Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from videocolor.studio import models
from videocolor.studio.api import REVALIDATE, Answer, Served, jpeg_answer
from videocolor.studio.desktop import open_folder
from videocolor.studio.errors import BusyError, NotFoundError
from videocolor.studio.frames import jpeg_bytes
from videocolor.studio.models import FrameIndex, Height
from videocolor.studio.pictures import chroma_alone, film_jpeg, resized
from videocolor.studio.security import REPORT_POLICY

__all__ = ["router"]

_FILMS: Final = {".mp4": "video/mp4", ".mov": "video/quicktime", ".mkv": "video/x-matroska"}
router = APIRouter()


def _film(path: Path) -> Response:
    """Return a film, complete or in the ranges that a player asks for."""
    return FileResponse(path, media_type=_FILMS[path.suffix], headers=REVALIDATE)


@router.post("/api/render")
def start_render(studio: Served, body: models.Render) -> Answer:
    studio.store.check_revision(body.revision)
    if studio.queue.running:
        raise BusyError("an export is being made: put the film in the queue, or stop that first")
    studio.renders.start(only_changed=body.only_changed)
    return studio.document.full()


@router.get("/api/render")
def render_status(studio: Served) -> Answer:
    return studio.renders.document()


@router.delete("/api/render")
def stop_render(studio: Served) -> Answer:
    return studio.renders.stop()


@router.get("/api/render/film")
def rendered_film(studio: Served) -> Response:
    return _film(studio.renders.film())


@router.get("/api/render/{index}.jpg")
def rendered_frame(
    studio: Served, index: FrameIndex, height: Height = 480, kind: Literal["after", "chroma"] = "after"
) -> Response:
    studio.shots.check_frame(index)
    rgb = resized(studio.renders.frame(index), height, studio.index.aspect)
    return jpeg_answer(jpeg_bytes(chroma_alone(rgb) if kind == "chroma" else rgb))


@router.post("/api/compare")
def start_comparison(studio: Served, body: models.Compare) -> Answer:
    return asdict(studio.renders.compare(body.kind))


@router.get("/api/compare")
def comparison_status(studio: Served) -> Answer:
    return studio.renders.comparison_document()


@router.delete("/api/compare")
def stop_comparison(studio: Served) -> Answer:
    return asdict(studio.renders.comparison.stop())


@router.get("/api/compare/film")
def comparison_film(studio: Served) -> Response:
    path = studio.renders.comparison_path
    if studio.renders.comparison_document()["state"] != "done" or not path.is_file() or path.is_symlink():
        raise NotFoundError("there is no comparison film yet")
    return _film(path)


@router.get("/api/report")
def report(studio: Served) -> Response:
    headers = {"content-security-policy": REPORT_POLICY}
    return Response(studio.renders.report(), media_type="text/html; charset=utf-8", headers=headers)


@router.get("/api/queue")
def queue(studio: Served) -> Answer:
    return studio.queue.document()


@router.post("/api/queue")
def put_in_queue(studio: Served, body: models.Export) -> Answer:
    return studio.queue.add(body.form, body.other)


@router.delete("/api/queue/{number}")
def take_off_queue(studio: Served, number: FrameIndex) -> Answer:
    return studio.queue.remove(number)


@router.get("/api/queue/{number}/film")
def exported_film(studio: Served, number: FrameIndex) -> Response:
    path, form = studio.queue.result(number), studio.queue.entry(number).form
    name = path.name if form in ("film", "comparison") else f"{path.stem}_{form}{path.suffix}"
    return FileResponse(path, media_type=_FILMS[path.suffix], headers=REVALIDATE, filename=name)


@router.get("/api/queue/{number}.jpg")
def exported_picture(studio: Served, number: FrameIndex) -> Response:
    return jpeg_answer(film_jpeg(studio.queue.result(number), 144))


@router.post("/api/queue/{number}/folder")
def show_export(studio: Served, number: FrameIndex) -> Answer:
    folder = studio.queue.result(number).parent
    open_folder(folder)
    return {"folder": str(folder)}


@router.post("/api/folder")
def show_folder(studio: Served) -> Answer:
    open_folder(studio.store.renders)
    return {"folder": str(studio.store.renders)}
