"""What takes a while: previews, the render, the comparison film, the report."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from videocolor.studio import bodies
from videocolor.studio.bodies import FrameIndex, PreviewId, Saturation
from videocolor.studio.previews import Kind
from videocolor.studio.session import Studio

__all__ = ["router"]

Answer = dict[str, Any]


def router(studio: Studio, *, port: int, token: str) -> APIRouter:
    """Previews, render, comparison, report."""
    routes = APIRouter(prefix="/api")

    @routes.post("/preview")
    def start_preview(body: bodies.Preview) -> Answer:
        return studio.previews.start(body)

    @routes.get("/preview/{run_id}")
    def preview(run_id: PreviewId) -> Answer:
        return studio.previews.get(run_id)

    @routes.delete("/preview/{run_id}")
    def cancel_preview(run_id: PreviewId) -> Answer:
        return studio.previews.cancel(run_id)

    @routes.get("/preview/{run_id}/{index}.jpg")
    def preview_picture(
        run_id: PreviewId, index: FrameIndex, kind: Kind = "after", saturation: Saturation = 1.0
    ) -> Response:
        data = studio.previews.picture(run_id, index, kind, saturation)
        # The address holds all that the picture follows from, for as long as this studio runs; ids begin anew with it.
        return Response(data, media_type="image/jpeg", headers={"cache-control": "private, no-cache"})

    return routes
