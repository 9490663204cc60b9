"""The routes of what the page looks at and listens to beside the project: colors of photographs."""

from __future__ import annotations

from fastapi import APIRouter

from videocolor.studio.api import Answer, Served, hint_of
from videocolor.studio.models import HintId, Share
from videocolor.studio.pictures import color_at, hint_rgb, main_colors

__all__ = ["router"]

router = APIRouter()


@router.get("/api/hints/{hint_id}/color")
def hint_color(studio: Served, hint_id: HintId, x: Share, y: Share) -> Answer:
    return {"color": color_at(hint_rgb(studio.store.image_path(hint_of(studio, hint_id))), x, y)}


@router.get("/api/hints/{hint_id}/colors")
def hint_colors(studio: Served, hint_id: HintId) -> Answer:
    return {"colors": main_colors(hint_rgb(studio.store.image_path(hint_of(studio, hint_id))))}
