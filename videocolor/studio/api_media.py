"""The routes of what the page looks at and listens to beside the project."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from videocolor.studio.api import REVALIDATE, Answer, Served, hint_of, jpeg_answer
from videocolor.studio.models import Frame, FrameIndex, Height, HintId, Share
from videocolor.studio.pictures import color_at, hint_rgb, main_colors
from videocolor.video.sound import read_sound, wave_bytes

__all__ = ["router"]

router = APIRouter()


@router.get("/api/hints/{hint_id}/color")
def hint_color(studio: Served, hint_id: HintId, x: Share, y: Share) -> Answer:
    return {"color": color_at(hint_rgb(studio.store.image_path(hint_of(studio, hint_id))), x, y)}


@router.get("/api/hints/{hint_id}/colors")
def hint_colors(studio: Served, hint_id: HintId) -> Answer:
    return {"colors": main_colors(hint_rgb(studio.store.image_path(hint_of(studio, hint_id))))}


@router.get("/api/shots/{start}/doubt")
def shot_doubt(studio: Served, start: FrameIndex) -> Answer:
    return {"doubt": studio.doubts.of_shot(start)}


@router.get("/api/doubt/{index}.jpg")
def frame_doubt(studio: Served, index: FrameIndex, height: Height = 480) -> Response:
    studio.shots.check_frame(index)
    return jpeg_answer(studio.doubts.picture(index, height))


@router.get("/api/sound.wav")
def sound(studio: Served, frame: Frame, seconds: Annotated[float, Query(gt=0, le=60, allow_inf_nan=False)]) -> Response:
    studio.shots.check_frame(frame)
    length = Fraction(seconds).limit_denominator(1000)
    wave = wave_bytes(read_sound(studio.store.film, studio.index.time_of(frame), length))
    return Response(wave, media_type="audio/wav", headers=REVALIDATE)
