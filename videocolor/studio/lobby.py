"""The page of a studio without a film: recent projects, and a chooser of films."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import uvicorn
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import Field

from videocolor.batch.listing import VIDEO_SUFFIXES
from videocolor.errors import UsageError
from videocolor.studio.api import page_part
from videocolor.studio.filmref import locate
from videocolor.studio.models import Body
from videocolor.studio.projectfolder import PROJECT, load_state
from videocolor.studio.recent import read_recent
from videocolor.video import probe

__all__ = ["Choice", "Lobby", "router"]

_PAGE: Final = Path(__file__).parent / "static" / "lobby.html"
_MOST: Final = 2000
"""Folders and films that are listed."""
PathText = Annotated[str, Field(min_length=1, max_length=4096)]


@dataclass(frozen=True)
class Choice:
    """The film that a person chose."""

    film: Path
    project: Path | None


class Lobby:
    """Waits for a choice; the server that asks for it ends then.

    Args:
        failed: why the film that was chosen before could not be opened.
    """

    def __init__(self, failed: str | None = None) -> None:
        self.failed = failed
        self.choice: Choice | None = None
        self.server: uvicorn.Server | None = None


class Wish(Body):
    """Open a film."""

    film: PathText
    project: PathText | None = None


router = APIRouter()
router.get("/static/{name}")(page_part)


@router.get("/")
def page(request: Request) -> Response:
    answer = HTMLResponse(_PAGE.read_bytes())
    name, token = request.app.state.cookie
    answer.set_cookie(name, token, httponly=True, samesite="strict", path="/")
    return answer


@router.get("/api/recent")
def recent(request: Request) -> dict[str, Any]:
    return {"recent": read_recent(), "failed": request.app.state.lobby.failed}


@router.get("/api/folder")
def folder(path: Annotated[str, Query(max_length=4096)] = "") -> dict[str, Any]:
    """List the folders and films in a folder; without a path, in the person's own."""
    place = Path(path) if path else Path.home()
    try:
        place = place.resolve(strict=True)
        entries = sorted(place.iterdir(), key=lambda entry: entry.name.casefold())
        # Names that are no UTF-8 cannot travel in JSON. What os.path cannot look into is false, where Path raises.
        shown = [entry for entry in entries if not entry.name.startswith(".") and entry.name.isprintable()]
        folders = [entry.name for entry in shown if os.path.isdir(entry) and not os.path.isfile(entry / PROJECT)]
        films = [entry.name for entry in shown if entry.suffix.lower() in VIDEO_SUFFIXES and os.path.isfile(entry)]
    except (OSError, ValueError) as error:
        raise UsageError(f"{place}: cannot be listed: {getattr(error, 'strerror', None) or error}") from error
    return {
        "path": str(place),
        "parent": None if place.parent == place else str(place.parent),
        "folders": folders[:_MOST],
        "films": films[:_MOST],
    }


@router.post("/api/open")
def open_film(request: Request, wish: Wish) -> dict[str, Any]:
    """Check that a film can be opened, and end the chooser: the studio answers at the same address."""
    film, project = Path(wish.film), None if wish.project is None else Path(wish.project)
    probe(film)
    if project is not None:
        state, _ = load_state(project)
        locate(state.data.film, film, project)
    lobby = request.app.state.lobby
    lobby.choice, lobby.failed = Choice(film, project), None
    lobby.server.should_exit = True
    return {"film": str(film)}
