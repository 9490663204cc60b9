"""The routes of the studio's web application."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import unquote

import anyio.to_thread
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from pydantic import ValidationError

from videocolor.errors import HintError, InputError, UsageError
from videocolor.keyframes.choose import suggestion_name
from videocolor.studio import edits, models
from videocolor.studio.delivery import set_delivery
from videocolor.studio.document import SETTINGS, packaged_models
from videocolor.studio.errors import NotFoundError
from videocolor.studio.hints import add_frame, add_loose, add_painted, set_points, shades
from videocolor.studio.models import Frame, FrameIndex, Height, HintId, PreviewId, Revision, Saturation, Share
from videocolor.studio.pictures import Kind, color_at, hint_jpeg
from videocolor.studio.projectdata import Point, ProjectHint, State, explain
from videocolor.studio.session import Studio

__all__ = ["REVALIDATE", "Answer", "Served", "hint_of", "jpeg_answer", "router"]

_STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_PARTS: Final = {path.name: path for path in sorted(_STATIC.iterdir()) if path.suffix in _TYPES}
"""Only these files are ever served, by name: no part of a request becomes part of a path."""
REVALIDATE: Final = {"cache-control": "private, no-cache"}


async def _studio(request: Request) -> Studio:
    studio = request.app.state.studio
    assert isinstance(studio, Studio)
    return studio


Served: TypeAlias = Annotated[Studio, Depends(_studio)]
Answer: TypeAlias = dict[str, Any]
router = APIRouter()


@router.get("/")
def page(request: Request) -> Response:
    answer = HTMLResponse(_PARTS["index.html"].read_bytes())
    name, token = request.app.state.cookie
    answer.set_cookie(name, token, httponly=True, samesite="strict", path="/")
    return answer


@router.get("/static/{name}")
def page_part(name: str) -> Response:
    path = _PARTS.get(name)
    if path is None or name == "index.html":
        raise NotFoundError("the page has no such part")
    return Response(path.read_bytes(), media_type=_TYPES[path.suffix], headers={"cache-control": "no-cache"})


@router.get("/favicon.ico")
def favicon() -> Response:
    return Response(status_code=204)


@router.get("/api/events")
async def events(studio: Served) -> Response:
    return StreamingResponse(studio.events.stream(), media_type="text/event-stream")


def _change(studio: Studio, revision: int, edit: Callable[[State], State]) -> Answer:
    studio.store.change(revision, edit)
    return studio.document.full()


@router.get("/api/project")
def project(studio: Served) -> Answer:
    return studio.document.full()


@router.post("/api/shots/cut")
def cut(studio: Served, body: models.Cut) -> Answer:
    return _change(studio, body.revision, lambda state: edits.add_cut(state, body.frame))


@router.post("/api/shots/merge")
def merge(studio: Served, body: models.Merge) -> Answer:
    return _change(studio, body.revision, lambda state: edits.remove_cut(state, body.start))


@router.post("/api/shots/move")
def move(studio: Served, body: models.Move) -> Answer:
    return _change(studio, body.revision, lambda state: edits.move_cut(state, body.start, body.to))


@router.patch("/api/shots")
def change_shots(studio: Served, body: models.ShotsChange) -> Answer:
    given = {name: getattr(body, name) for name in body.model_fields_set - {"revision", "starts"}}
    return _change(studio, body.revision, lambda state: edits.set_shots(state, body.starts, **given))


@router.patch("/api/shots/{start}")
def change_shot(studio: Served, start: FrameIndex, body: models.ShotChange) -> Answer:
    given = {name: getattr(body, name) for name in body.model_fields_set - {"revision"}}
    if "note" in given and given["note"] is None:
        given["note"] = ""
    return _change(studio, body.revision, lambda state: edits.set_shot(state, start, **given))


@router.patch("/api/settings")
def change_settings(studio: Served, body: models.SettingsChange) -> Answer:
    given = {name: getattr(body, name) for name in body.model_fields_set - {"revision"}}
    # project.json may name a weights file; a request may name packaged models only.
    if given.get("model") is not None and given["model"] not in {model["name"] for model in packaged_models()}:
        raise UsageError(f"model {given['model']}: expected one that `videocolor models` lists")
    container, delivery = given.pop("container", None), given.pop("delivery", None)
    values = {SETTINGS[name]: value for name, value in given.items()}

    def edit(state: State) -> State:
        state = state if delivery is None else set_delivery(state, delivery)
        state = edits.set_settings(state, values) if values else state
        return state if container is None else edits.set_container(state, f".{container}")

    return _change(studio, body.revision, edit)


@router.post("/api/undo")
def undo(studio: Served, body: models.Change) -> Answer:
    studio.store.undo(body.revision)
    return studio.document.full()


@router.post("/api/redo")
def redo(studio: Served, body: models.Change) -> Answer:
    studio.store.redo(body.revision)
    return studio.document.full()


def _cached(request: Request, tag: str, version: str, make: Callable[[], bytes]) -> Response:
    """Return a JPEG with an entity tag; immutable where the address names `version`.

    An address alone does not identify the film: the next studio may listen on the same port.
    """
    named = request.query_params.get("v", "").startswith(version)
    control = "private, max-age=86400, immutable" if named else "private, no-cache"
    headers = {"etag": f'"{tag}"', "cache-control": control}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(make(), media_type="image/jpeg", headers=headers)


def jpeg_answer(data: bytes) -> Response:
    """Return a JPEG that a browser does not keep."""
    return Response(data, media_type="image/jpeg", headers=REVALIDATE)


@router.get("/api/frames/{index}.jpg")
def frame_jpeg(request: Request, studio: Served, index: FrameIndex, height: Height = 240) -> Response:
    studio.shots.check_frame(index)
    version = studio.index.version
    return _cached(request, f"{version}-{index}-{height}", version, lambda: studio.source.jpeg(index, height))


@router.get("/api/frames/{index}.png")
def frame_png(studio: Served, index: FrameIndex, color: bool = False) -> Response:
    studio.shots.check_frame(index)
    name = suggestion_name(studio.shots.number_at(index), studio.source.frame(index))
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    data = studio.live.png(index) if color else studio.source.png(index)
    return Response(data, media_type="image/png", headers=headers)


@router.get("/api/shots/{start}.jpg")
def shot_jpeg(request: Request, studio: Served, start: FrameIndex) -> Response:
    view = studio.scan.view(*studio.shots.span(start))
    if view is None:
        raise NotFoundError(f"the shot of frame {start} has not been scanned yet")
    version = studio.index.version
    return _cached(request, f"{version}-shot-{view.suggested[0]}-{len(view.jpeg)}", version, lambda: view.jpeg)


def _name(request: Request) -> str:
    """Return the name of the dropped file, for display only."""
    return unquote(request.headers.get("x-file-name", ""), errors="replace")[:255]


def _points(given: list[models.PointBody]) -> list[Point]:
    try:
        return [Point.model_validate(point.model_dump(exclude_none=True)) for point in given]
    except ValidationError as error:
        raise UsageError(explain(error)) from error


def hint_of(studio: Studio, hint_id: str) -> ProjectHint:
    """Return the hint of an id, or raise `NotFoundError`."""
    try:
        return studio.store.data.hint(hint_id)
    except UsageError as error:
        raise NotFoundError(str(error)) from error


@router.post("/api/hints/painted")
async def painted_hint(request: Request, studio: Served, revision: Revision, frame: Frame) -> Answer:
    def work(data: bytes) -> None:
        studio.shots.check_frame(frame)
        add_painted(studio.store, revision, studio.source.frame(frame), data, _name(request))

    await request.app.state.uploads.take(request, work)
    return await anyio.to_thread.run_sync(studio.document.full)


@router.post("/api/hints/loose")
async def loose_hint(request: Request, studio: Served, revision: Revision, shot: Frame) -> Answer:
    def work(data: bytes) -> None:
        add_loose(studio.store, revision, shot, data, _name(request))

    await request.app.state.uploads.take(request, work)
    return await anyio.to_thread.run_sync(studio.document.full)


@router.post("/api/hints/frame")
def frame_hint(studio: Served, body: models.FrameHint) -> Answer:
    studio.store.check_revision(body.revision)
    rgb, source = studio.colored_frame(body.frame)
    add_frame(studio.store, body.revision, body.shot, rgb, frame=body.frame, origin={"color": source})
    return studio.document.full()


@router.post("/api/hints/points")
def points_hint(studio: Served, body: models.PointHint) -> Answer:
    studio.shots.check_frame(body.frame)
    frame = studio.source.frame(body.frame)
    if body.id is not None:
        hint_of(studio, body.id)
    set_points(studio.store, body.revision, frame, _points(body.points), body.id, sar=studio.index.info.sar)
    return studio.document.full()


@router.patch("/api/hints/{hint_id}")
def change_hint(studio: Served, hint_id: HintId, body: models.HintChange) -> Answer:
    studio.store.check_revision(body.revision)
    hint_of(studio, hint_id)
    given = {name: getattr(body, name) for name in body.model_fields_set - {"revision"}}
    empty = [name for name, value in given.items() if value is None]
    if empty:
        raise UsageError(f"{empty[0]}: null is no value here; leave it out to keep it")
    if "shots" in given:
        given["shots"] = tuple(given["shots"])
    return _change(studio, body.revision, lambda state: edits.update_hint(state, hint_id, **given))


@router.delete("/api/hints/{hint_id}")
def remove_hint(studio: Served, hint_id: HintId, revision: Revision) -> Answer:
    studio.store.check_revision(revision)
    hint_of(studio, hint_id)
    return _change(studio, revision, lambda state: edits.remove_hint(state, hint_id))


@router.get("/api/hints/{hint_id}.jpg")
def hint_picture(request: Request, studio: Served, hint_id: HintId, height: Height = 240) -> Response:
    hint = hint_of(studio, hint_id)

    def make() -> bytes:
        try:
            return hint_jpeg(studio.store.image_path(hint), hint.kind, studio.index.info.sar, height)
        except (HintError, InputError) as error:
            raise NotFoundError(str(error)) from error

    return _cached(request, f"{hint.image}-{height}", "\0", make)


@router.get("/api/shades")
def color_shades(colors: models.Colors, saturation: Saturation = 1.0) -> Answer:
    return {"shades": {color: shades(f"#{color}", saturation) for color in colors.split(",")}}


@router.get("/api/color")
def color(studio: Served, frame: Frame, x: Share, y: Share) -> Answer:
    rgb, source = studio.colored_frame(frame)
    return {"color": color_at(rgb, x, y), "source": source}


@router.post("/api/preview")
def start_preview(studio: Served, body: models.Preview) -> Answer:
    return studio.previews.start(body)


@router.get("/api/preview")
def kept_previews(studio: Served) -> Answer:
    return {"previews": studio.previews.kept()}


@router.get("/api/preview/{run_id}")
def preview_status(studio: Served, run_id: PreviewId) -> Answer:
    return studio.previews.get(run_id)


@router.delete("/api/preview/{run_id}")
def cancel_preview(studio: Served, run_id: PreviewId) -> Answer:
    return studio.previews.cancel(run_id)


@router.get("/api/preview/{run_id}/{index}.jpg")
def preview_picture(
    studio: Served, run_id: PreviewId, index: FrameIndex, kind: Kind = "after", saturation: Saturation = 1.0
) -> Response:
    return jpeg_answer(studio.previews.picture(run_id, index, kind, saturation))


@router.post("/api/live")
def color_live(studio: Served, body: models.Live) -> Answer:
    studio.shots.check_frame(body.frame)
    return studio.live.color(body.frame, _points(body.points), body.lines, body.kind, body.saturation)


@router.post("/api/live/regions")
def live_regions(studio: Served, body: models.Regions) -> Answer:
    studio.shots.check_frame(body.frame)
    return studio.live.regions(body.frame, _points(body.points))


@router.post("/api/live/prepare")
def prepare_live(studio: Served, body: models.LiveFrame) -> Answer:
    studio.shots.check_frame(body.frame)
    studio.live.prepare(body.frame, body.lines)
    return {"frame": body.frame}


@router.get("/api/live/{number}.jpg")
def live_picture(studio: Served, number: FrameIndex, kind: Kind = "after", saturation: Saturation = 1.0) -> Response:
    return jpeg_answer(studio.live.picture(number, kind, saturation))


@router.get("/api/proposals/{frame}/{number}.{kind}")
def proposal(
    studio: Served,
    frame: FrameIndex,
    number: FrameIndex,
    kind: Literal["jpg", "png"],
    saturation: Saturation = 1.0,
    cast: Share = 1.0,
) -> Response:
    studio.shots.check_frame(frame)
    data = studio.live.proposal(frame, number, kind, saturation=saturation, cast=cast)
    return Response(data, media_type="image/png" if kind == "png" else "image/jpeg", headers=REVALIDATE)
