"""Hints: pictures that are dropped in, frames of other shots, clicked colours."""

from __future__ import annotations

from fastapi import APIRouter

from videocolor.studio.session import Studio

__all__ = ["router"]


def router(studio: Studio, *, port: int, token: str) -> APIRouter:
    """All under /api/hints."""
    return APIRouter(prefix="/api/hints")
