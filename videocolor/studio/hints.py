"""Hints that come into a project: painted frames, loose photographs, frames of other shots, clicked points.

Each function writes the picture first, whole, under a name that no other picture has, then changes the project: a
crash between the two leaves a picture that `sweep_unused` takes away. Removing a hint keeps its picture, for undo.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import cv2
import numpy as np

from videocolor.color import codes_to_luma
from videocolor.errors import HintError, OutputError, UsageError
from videocolor.hints.align import align_painted
from videocolor.hints.plan import check_hint
from videocolor.studio.edits import add_hint, update_hint
from videocolor.studio.points import points_picture
from videocolor.studio.project import Point, ProjectHint, ProjectStore, State, next_hint_id
from videocolor.studio.uploads import decode_picture
from videocolor.types import Array, Frame, Hint

__all__ = ["add_frame", "add_loose", "add_painted", "encode_hint", "set_points", "sweep_unused"]

_LOOSE_PIXELS: Final = 1920 * 1080
"""Most pixels of a loose hint that is kept; the network sees a fraction of them."""
_LABEL: Final = 120
_PICTURE: Final = re.compile(r"h\d{4,6}-[0-9a-f]{12}\.(png|jpg)")


def add_painted(store: ProjectStore, revision: int, frame: Frame, data: bytes, name: str) -> State:
    """Take in a frame that was coloured elsewhere, laid over the film's own.

    A painting of a frame that has one already takes its place: a frame has one colour.

    Args:
        store: the project.
        revision: what the person has seen of it.
        frame: of the film.
        data: the bytes that were dropped.
        name: what their file is called; only shown.

    Raises:
        HintError: not a picture, or not of this frame; with the reason.
        StaleRevisionError, UsageError, OutputError: as `ProjectStore.change`.
    """
    _check_revision(store, revision)
    label = _label(name, "painted frame")
    rgb, mask = decode_picture(data, label)
    found = align_painted(rgb, mask, _luma(frame), name=label, frame_name=f"frame {frame.index}")
    check_hint(Hint(label, found.rgb, None, found.mask))
    origin: dict[str, Any] = {
        "file": label,
        "size": [rgb.shape[1], rgb.shape[0]],
        "moved": found.moved,
        "similarity": round(found.correlation, 4),
        "covered": round(found.covered, 4),
    }
    picture = encode_hint(found.rgb, found.mask, deep=frame.layout.depth > 8)
    before = next((h for h in store.data.hints if h.kind == "painted" and h.frame == frame.index), None)
    if before is not None:
        image = store.save_image(before.id, picture)
        changes = {"image": image, "label": label, "origin": origin, "enabled": True}
        return store.change(revision, lambda state: update_hint(state, before.id, **changes))
    return _add(store, revision, picture, kind="painted", frame=frame.index, label=label, origin=origin)


def add_loose(store: ProjectStore, revision: int, shot: int, data: bytes, name: str) -> State:
    """Take in any colour picture as a hint of a shot, named by its first frame; parameters and errors as above."""
    _check_revision(store, revision)
    store.state.check_shot(shot)
    label = _label(name, "photo")
    rgb, mask = decode_picture(data, label)
    check_hint(Hint(label, rgb, None, mask))
    origin: dict[str, Any] = {"file": label, "size": [rgb.shape[1], rgb.shape[0]]}
    picture = encode_hint(*_reduced(rgb, mask))
    return _add(store, revision, picture, kind="loose", shots=(shot,), label=label, origin=origin)


def add_frame(
    store: ProjectStore,
    revision: int,
    shot: int,
    rgb: Array,
    *,
    frame: int | None = None,
    origin: Mapping[str, Any] | None = None,
) -> State:
    """Take a frame of another shot, in the colour that it has there, as a hint of a shot.

    Args:
        store: the project.
        revision: what the person has seen of it.
        shot: first frame of the shot that gets it.
        rgb: (h, w, 3) uint8 sRGB.
        frame: which frame of the film it is; kept in the hint's origin.
        origin: what else is to be kept of where it came from.

    Raises:
        HintError: the frame has no colour yet.
        StaleRevisionError, UsageError, OutputError: as `ProjectStore.change`.
    """
    _check_revision(store, revision)
    store.state.check_shot(shot)
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"{rgb.shape=}, {rgb.dtype=}: expected (h, w, 3) uint8")
    label = "frame of another shot" if frame is None else f"frame {frame}"
    unit = np.asarray(rgb, np.float32) / np.float32(255)
    check_hint(Hint(label, unit))
    kept = {**({} if frame is None else {"frame": frame}), **(origin or {})}
    return _add(store, revision, encode_hint(unit, None), kind="frame", shots=(shot,), label=label, origin=kept)


def set_points(
    store: ProjectStore,
    revision: int,
    frame: Frame,
    points: Sequence[Point],
    hint_id: str | None = None,
    *,
    sar: Fraction = Fraction(1),
) -> State:
    """Set colours that were clicked on a frame, as a hint of its shot.

    Args:
        store: the project.
        revision: what the person has seen of it.
        frame: of the film.
        points: all of the hint's points, in the order they were made.
        hint_id: the hint whose points these are from now on; None: a new hint.
        sar: the film's sample aspect ratio, for round discs.

    Raises:
        HintError: no points, or none of them has any colour.
        UsageError: no such hint, or one that is not made of this frame's points.
        StaleRevisionError, OutputError: as `ProjectStore.change`.
    """
    _check_revision(store, revision)
    rgb, mask = points_picture(_luma(frame), points, sar=sar)
    label = f"{len(points)} point{'s' if len(points) > 1 else ''} on frame {frame.index}"
    check_hint(Hint(label, rgb, None, mask))
    picture = encode_hint(rgb, mask, deep=frame.layout.depth > 8)
    if hint_id is None:
        return _add(store, revision, picture, kind="points", frame=frame.index, label=label, points=tuple(points))
    old = store.data.hint(hint_id)
    if old.kind != "points" or old.frame != frame.index:
        raise UsageError(f"{hint_id}: not made of points on frame {frame.index}")
    changes = {"image": store.save_image(hint_id, picture), "points": tuple(points), "label": label}
    return store.change(revision, lambda state: update_hint(state, hint_id, **changes))


def sweep_unused(store: ProjectStore) -> list[str]:
    """Delete the pictures that neither the project, nor its history, nor a render needs; call it at opening.

    Only files that this module named are ever deleted.

    Returns:
        The names of what was deleted.

    Raises:
        OutputError: a file cannot be deleted.
    """
    needed, folder, gone = store.images_in_use(), store.folder / "hints", []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if _PICTURE.fullmatch(path.name) and path.name not in needed and not path.is_dir():
            try:
                path.unlink()
            except OSError as error:
                raise OutputError(f"{path}: cannot be deleted: {error.strerror or error}") from error
            gone.append(path.name)
    return gone


def encode_hint(rgb: Array, mask: Array | None, *, deep: bool = False) -> bytes:
    """A PNG of a hint.

    Args:
        rgb: (h, w, 3) R'G'B' in 0..1.
        mask: (h, w) opacity in 0..1, kept as straight alpha; None: opaque.
        deep: 16 bits a sample instead of 8.

    Raises:
        HintError: it cannot be encoded.
    """
    top, kind = (65535, np.uint16) if deep else (255, np.uint8)
    planes = [np.rint(np.clip(rgb[..., ::-1], 0, 1) * top).astype(kind)]
    if mask is not None:
        planes.append(np.rint(np.clip(mask[..., None], 0, 1) * top).astype(kind))
    done, data = cv2.imencode(".png", np.ascontiguousarray(np.concatenate(planes, axis=2)))
    if not done:
        raise HintError("this hint cannot be written as PNG")
    return bytes(data.tobytes())


def _add(store: ProjectStore, revision: int, picture: bytes, **fields: Any) -> State:
    """Write the picture, then take the hint in; `revision` guards the id as well."""
    hint_id = next_hint_id(store.data)
    image = store.save_image(hint_id, picture)
    hint = ProjectHint(id=hint_id, image=image, **fields)
    return store.change(revision, lambda state: add_hint(state, hint))


def _check_revision(store: ProjectStore, revision: int) -> None:
    """Refuse a stale request before anything is decoded or written."""
    store.change(revision, lambda state: state)


def _luma(frame: Frame) -> Array:
    return np.clip(codes_to_luma(frame.luma, frame.layout.depth, frame.color.range), 0, 1)


def _label(name: str, otherwise: str) -> str:
    """A file's name as it may be shown: no folders, no control characters, not endless."""
    shown = "".join(c for c in re.split(r"[/\\]", name)[-1] if c.isprintable()).strip()
    return shown[:_LABEL] or otherwise


def _reduced(rgb: Array, mask: Array | None) -> tuple[Array, Array | None]:
    factor = (_LOOSE_PIXELS / (rgb.shape[0] * rgb.shape[1])) ** 0.5
    if factor >= 1:
        return rgb, mask
    size = (max(1, round(rgb.shape[1] * factor)), max(1, round(rgb.shape[0] * factor)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return small, None if mask is None else cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
