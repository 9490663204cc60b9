"""The project's document and its edits: cuts, settings of shots and of the film, undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter

from videocolor.errors import UsageError
from videocolor.studio import bodies, edits
from videocolor.studio.bodies import FrameIndex
from videocolor.studio.document import SETTINGS, models
from videocolor.studio.project import State
from videocolor.studio.session import Studio

__all__ = ["router"]

Answer = dict[str, Any]


def router(studio: Studio, *, port: int, token: str) -> APIRouter:
    """GET /api/project and all that changes it, but for hints."""
    routes = APIRouter(prefix="/api")
    store = studio.store

    def change(revision: int, edit: Callable[[State], State]) -> Answer:
        store.change(revision, edit)
        return studio.document.whole()

    @routes.get("/project")
    def project() -> Answer:
        return studio.document.whole()

    @routes.post("/shots/cut")
    def cut(body: bodies.Cut) -> Answer:
        return change(body.revision, lambda state: edits.add_cut(state, body.frame))

    @routes.post("/shots/merge")
    def merge(body: bodies.Merge) -> Answer:
        return change(body.revision, lambda state: edits.remove_cut(state, body.start))

    @routes.post("/shots/move")
    def move(body: bodies.Move) -> Answer:
        return change(body.revision, lambda state: edits.move_cut(state, body.start, body.to))

    @routes.patch("/shots/{start}")
    def shot(start: FrameIndex, body: bodies.ShotChange) -> Answer:
        given = {name: getattr(body, name) for name in body.model_fields_set - {"revision"}}
        if "note" in given and given["note"] is None:
            given["note"] = ""
        return change(body.revision, lambda state: edits.set_shot(state, start, **given))

    @routes.patch("/settings")
    def settings(body: bodies.SettingsChange) -> Answer:
        given = {name: getattr(body, name) for name in body.model_fields_set - {"revision"}}
        # A weights file may be named in project.json by hand; a request names nothing but what is packaged.
        if given.get("model") is not None and given["model"] not in {model["name"] for model in models()}:
            raise UsageError(f"model {given['model']}: expected one of those that `videocolor models` lists")
        container = given.pop("container", None)
        values = {SETTINGS[name]: value for name, value in given.items()}

        def edit(state: State) -> State:
            state = edits.set_settings(state, values) if values else state
            return state if container is None else edits.set_container(state, f".{container}")

        return change(body.revision, edit)

    @routes.post("/undo")
    def undo(body: bodies.Change) -> Answer:
        store.undo(body.revision)
        return studio.document.whole()

    @routes.post("/redo")
    def redo(body: bodies.Change) -> Answer:
        store.redo(body.revision)
        return studio.document.whole()

    return routes
