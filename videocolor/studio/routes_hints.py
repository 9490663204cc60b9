"""Hints: pictures that are dropped in, frames of other shots, clicked colours; and the eyedropper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final
from urllib.parse import unquote

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from videocolor.errors import HintError, InputError, UsageError
from videocolor.studio import bodies, edits
from videocolor.studio.bodies import Frame, Height, HintId, Revision
from videocolor.studio.hints import add_frame, add_loose, add_painted, set_points
from videocolor.studio.pictures import color_at, colored_frame, hint_jpeg
from videocolor.studio.problems import BusyError, NotFoundError
from videocolor.studio.project import Point, ProjectHint
from videocolor.studio.routes_pictures import kept
from videocolor.studio.session import Studio

__all__ = ["router"]

Answer = dict[str, Any]
Place = Annotated[float, Query(ge=0, le=1, allow_inf_nan=False)]
_AT_ONCE: Final = 4
"""Uploads that are taken in at the same time; their pictures are decoded one by one."""


class _Uploads:
    """Reads uploads into memory, few at a time, and works on them one by one, outside the event loop."""

    def __init__(self) -> None:
        self._reading = 0
        self._limiter: anyio.CapacityLimiter | None = None

    async def take(self, request: Request, work: Callable[[bytes], Answer]) -> Answer:
        if self._reading >= _AT_ONCE:
            raise BusyError("other pictures are being taken in; try again in a moment")
        self._limiter = self._limiter or anyio.CapacityLimiter(1)
        self._reading += 1
        try:
            data = b"".join([chunk async for chunk in request.stream()])  # the gate counts the bytes
            return await anyio.to_thread.run_sync(work, data, limiter=self._limiter)
        finally:
            self._reading -= 1


def _name(request: Request) -> str:
    """What the dropped file is called: only shown, never opened."""
    return unquote(request.headers.get("x-file-name", ""), errors="replace")[:255]


def router(studio: Studio, *, port: int, token: str) -> APIRouter:
    """All under /api/hints, and /api/color."""
    routes, store, uploads = APIRouter(prefix="/api"), studio.store, _Uploads()

    def known(hint_id: str) -> ProjectHint:
        try:
            return store.data.hint(hint_id)
        except UsageError as error:
            raise NotFoundError(str(error)) from error

    @routes.post("/hints/painted")
    async def painted(request: Request, revision: Revision, frame: Frame) -> Answer:
        def work(data: bytes) -> Answer:
            studio.check_frame(frame)
            add_painted(store, revision, studio.source.frame(frame), data, _name(request))
            return studio.document.whole()

        return await uploads.take(request, work)

    @routes.post("/hints/loose")
    async def loose(request: Request, revision: Revision, shot: Frame) -> Answer:
        def work(data: bytes) -> Answer:
            add_loose(store, revision, shot, data, _name(request))
            return studio.document.whole()

        return await uploads.take(request, work)

    @routes.post("/hints/frame")
    def frame_of_another_shot(body: bodies.FrameHint) -> Answer:
        studio.check_revision(body.revision)
        rgb, source = colored_frame(studio, body.frame)
        add_frame(store, body.revision, body.shot, rgb, frame=body.frame, origin={"colour": source})
        return studio.document.whole()

    @routes.post("/hints/points")
    def points(body: bodies.PointHint) -> Answer:
        studio.check_frame(body.frame)
        clicked = [Point.model_validate(point.model_dump(exclude_none=True)) for point in body.points]
        frame = studio.source.frame(body.frame)
        if body.id is not None:
            known(body.id)
        set_points(store, body.revision, frame, clicked, body.id, sar=studio.info.sar)
        return studio.document.whole()

    @routes.patch("/hints/{hint_id}")
    def change(hint_id: HintId, body: bodies.HintChange) -> Answer:
        studio.check_revision(body.revision)
        known(hint_id)
        given = {name: getattr(body, name) for name in body.model_fields_set - {"revision"}}
        empty = [name for name, value in given.items() if value is None]
        if empty:
            raise UsageError(f"{empty[0]}: null is no value here; leave it out to keep it")
        if "shots" in given:
            given["shots"] = tuple(given["shots"])
        store.change(body.revision, lambda state: edits.update_hint(state, hint_id, **given))
        return studio.document.whole()

    @routes.delete("/hints/{hint_id}")
    def remove(hint_id: HintId, revision: Revision) -> Answer:
        studio.check_revision(revision)
        known(hint_id)
        store.change(revision, lambda state: edits.remove_hint(state, hint_id))
        return studio.document.whole()

    @routes.get("/hints/{hint_id}.jpg")
    def picture(request: Request, hint_id: HintId, height: Height = 240) -> Response:
        hint = known(hint_id)
        tag = f"{hint.image}-{height}"
        if request.headers.get("if-none-match") == f'"{tag}"':
            return kept(request, b"", tag, "\0")  # nothing need be decoded for that
        try:
            data = hint_jpeg(studio, hint, height)
        except (HintError, InputError) as error:
            raise NotFoundError(str(error)) from error
        return kept(request, data, tag, "\0")

    @routes.get("/color")
    def color(frame: Frame, x: Place, y: Place) -> Answer:
        rgb, source = colored_frame(studio, frame)
        return {"color": color_at(rgb, x, y), "source": source}

    return routes
