"""Add hints to a project: painted frames, photographs, frames of other shots, points.

Each function first writes the picture under a new name, then changes the project: a crash in between leaves a picture
that `sweep_unused` deletes. Removing a hint keeps its picture, for undo.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np

from videocolor.color import codes_to_luma, lab_to_rgb, rgb_to_lab, rgb_to_luma
from videocolor.errors import HintError, OutputError, UsageError
from videocolor.hints.align import align_painted, with_luma
from videocolor.hints.plan import check_hint
from videocolor.images import encode_image
from videocolor.studio.edits import add_hint, update_hint
from videocolor.studio.project import ProjectStore
from videocolor.studio.projectdata import Point, ProjectHint, State, next_hint_id
from videocolor.studio.uploads import decode_picture
from videocolor.types import Array, Frame, Hint

__all__ = [
    "RADIUS",
    "add_frame",
    "add_loose",
    "add_painted",
    "encode_hint",
    "parse_color",
    "points_layer",
    "points_picture",
    "set_points",
    "shade",
    "shades",
    "sweep_unused",
]

_LOOSE_PIXELS: Final = 1920 * 1080
"""Largest photograph that is kept; the network uses a fraction of its pixels."""
_LABEL: Final = 120
_PICTURE: Final = re.compile(r"h\d{4,6}-[0-9a-f]{12}\.(png|jpg)")
RADIUS: Final = 0.02
"""Default radius of a disc, as a share of the picture's height; measured, see docs/guides/hints.md."""
_MARGIN: Final = 3.0
"""Radii around a point in which the transparent part has its color."""


def add_painted(store: ProjectStore, revision: int, frame: Frame, data: bytes, name: str) -> State:
    """Add a frame that was colored elsewhere, aligned to the film's own; it replaces an earlier one of this frame.

    Args:
        store: the project.
        revision: that the person has seen.
        frame: of the film.
        data: the file's bytes.
        name: of the file, for display.

    Raises:
        HintError: not a picture, or not of this frame.
        StaleRevisionError, UsageError, OutputError: as `ProjectStore.change`.
    """
    store.check_revision(revision)  # before anything is decoded or written
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
    """Add any color picture as a hint of the shot that begins at frame `shot`; otherwise as `add_painted`."""
    store.check_revision(revision)  # before anything is decoded or written
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
    """Add a colored frame of another shot as a hint.

    Args:
        store: the project.
        revision: what the person has seen of it.
        shot: first frame of the shot that gets it.
        rgb: (h, w, 3) uint8 sRGB.
        frame: which frame of the film it is; kept in the hint's origin.
        origin: what else is to be kept of where it came from.

    Raises:
        HintError: the frame has no color yet.
        StaleRevisionError, UsageError, OutputError: as `ProjectStore.change`.
    """
    store.check_revision(revision)  # before anything is decoded or written
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
    """Set the points on a frame, a hint of its shot.

    Args:
        store: the project.
        revision: that the person has seen.
        frame: of the film.
        points: all points of the hint, in the order they were made.
        hint_id: the hint to replace; None: that of this frame, else a new one.
        sar: the film's sample aspect ratio, for round discs.

    Raises:
        HintError: no points.
        UsageError: no such hint, or it does not hold points on this frame.
        StaleRevisionError, OutputError: as `ProjectStore.change`.
    """
    store.check_revision(revision)  # before anything is decoded or written
    rgb, mask = points_picture(_luma(frame), points, sar=sar)  # gray is a color here: no color wanted
    label = f"{len(points)} point{'s' if len(points) > 1 else ''} on frame {frame.index}"
    picture = encode_hint(rgb, mask, deep=frame.layout.depth > 8)
    mine = next((h.id for h in store.data.hints if h.kind == "points" and h.frame == frame.index), None)
    hint_id = hint_id or mine  # two tabs may each have begun one
    if hint_id is None:
        return _add(store, revision, picture, kind="points", frame=frame.index, label=label, points=tuple(points))
    old = store.data.hint(hint_id)
    if old.kind != "points" or old.frame != frame.index:
        raise UsageError(f"{hint_id}: does not hold points on frame {frame.index}")
    changes = {"image": store.save_image(hint_id, picture), "points": tuple(points), "label": label}
    return store.change(revision, lambda state: update_hint(state, hint_id, **changes))


def points_picture(luma: Array, points: Sequence[Point], *, sar: Fraction = Fraction(1)) -> tuple[Array, Array]:
    """Draw points as discs of color on their frame's luma, transparent elsewhere; see `points_layer`.

    Returns:
        (h, w, 3) float32 R'G'B' in 0..1, and (h, w) float32 opacity.

    Raises:
        HintError: no points.
    """
    ab, mask = points_layer(luma, points, sar=sar)
    return with_luma(ab, np.clip(luma, 0, 1)), mask


def points_layer(luma: Array, points: Sequence[Point], *, sar: Fraction = Fraction(1)) -> tuple[Array, Array]:
    """Draw the chroma of points as discs, strokes and areas, transparent elsewhere.

    The transparent part has the color of the nearest point, so that scaling does not mix gray into the discs.

    Args:
        luma: (h, w) full-range Y' of the frame in 0..1, at the stored size.
        points: where two overlap, the later one wins.
        sar: sample aspect ratio of the film, for discs that are round on display.

    Returns:
        (2, h, w) float32 CIE a*b*, and (h, w) float32 opacity, with edges one sample wide.

    Raises:
        HintError: no points.
    """
    if not points:
        raise HintError("no points; click at least one color")
    height, width = luma.shape
    mask = np.zeros((height, width), np.float32)
    ab = np.zeros((2, height, width), np.float32)
    for point in points:
        if point.reach == "keep":
            continue  # says where color stays, not which
        radius = max(point.radius * height, 0.75)
        rows, columns, away = _distance(point, radius, (height, width), float(sar))
        # The later of two overlapping points wins, also in the transparent part outside of other discs.
        near = (away <= _MARGIN * radius) & ((mask[rows, columns] <= 0) | (away <= radius + 0.5))
        lumas = np.clip(luma[rows, columns], 0, 1)
        if point.path:
            chroma = shade(point.color, np.linspace(0, 1, 65, dtype=np.float32))
            steps = np.linspace(0, 1, 65)
            ab[:, rows, columns][:, near] = [np.interp(lumas[near], steps, plane) for plane in chroma]
        else:
            place = lumas[away <= max(radius, 1)].mean()
            ab[:, rows, columns][:, near] = _shade_at(point.color, float(place))
        mask[rows, columns] = np.maximum(mask[rows, columns], np.clip(radius + 0.5 - away, 0, 1))
    return ab, mask


def _distance(point: Point, radius: float, size: tuple[int, int], sar: float) -> tuple[slice, slice, Array]:
    """Rows and columns around a point, stroke or area, and the distance of their samples from it, in samples."""
    height, width = size
    reach = _MARGIN * radius + 1
    path = np.array([(point.x, point.y), *point.path]) * (width, height)
    (left, top), (right, bottom) = path.min(axis=0), path.max(axis=0)
    rows = slice(_around(top, reach, height).start, _around(bottom, reach, height).stop)
    columns = slice(_around(left, reach / sar, width).start, _around(right, reach / sar, width).stop)
    y, x = np.ogrid[rows, columns]
    ends = path if len(path) == 1 else path[1:]
    if point.filled:
        path, ends = np.concatenate((path, path[-1:])), np.concatenate((path[1:], path[-1:], path[:1]))
    away = np.full((rows.stop - rows.start, columns.stop - columns.start), np.inf, np.float32)
    for (x0, y0), (x1, y1) in zip(path, ends, strict=False):
        # Only what the segment may reach: strokes have hundreds of them.
        top, bottom = max(0, int(min(y0, y1) - reach) - rows.start), int(max(y0, y1) + reach) + 2 - rows.start
        left = max(0, int(min(x0, x1) - reach / sar) - columns.start)
        right = int(max(x0, x1) + reach / sar) + 2 - columns.start
        near, across, down = away[top:bottom, left:right], x[:, left:right], y[top:bottom]
        along_x, along_y, from_x, from_y = (x1 - x0) * sar, y1 - y0, (across + 0.5 - x0) * sar, down + 0.5 - y0
        length = along_x * along_x + along_y * along_y
        share = np.clip((from_x * along_x + from_y * along_y) / length, 0, 1) if length else 0.0
        np.minimum(near, np.hypot(from_x - share * along_x, from_y - share * along_y), out=near, casting="same_kind")
    if point.filled:
        inside = np.zeros(away.shape, np.uint8)
        outline = np.rint(path - (columns.start + 0.5, rows.start + 0.5)).astype(np.int32)
        cv2.fillPoly(inside, [outline], 1)
        away[inside > 0] = 0
    return rows, columns, away


def parse_color(color: str) -> Array:
    """Return (3,) float32 R'G'B' in 0..1 of `#rrggbb`."""
    return np.array([int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)], np.float32)


def shade(color: str, luma: Array) -> Array:
    """Return the chroma that a chosen color has where the film's luma is another than the color's own.

    Toward black, chroma falls in proportion to L* + 16, which keeps chromaticity, as under less light. Toward white and
    where the gamut narrows, it keeps its share of the largest chroma of its hue. It never grows.

    Args:
        color: `#rrggbb`.
        luma: (n,) full-range Y' in 0..1.

    Returns:
        (2, n) float32 CIE a*b*.
    """
    rgb = parse_color(color)
    ab = np.asarray(rgb_to_lab(rgb)[1:], np.float32)
    own = rgb_to_luma(rgb[:, None], "bt709")
    lightness = _lightness(np.concatenate((own, np.asarray(luma, np.float32))))
    most = _largest_chroma(lightness, np.hypot(*ab), ab)
    factor = np.minimum((lightness + 16) / (lightness[0] + 16), most / max(float(most[0]), 1e-3))[1:]
    return np.asarray(ab[:, None] * np.minimum(factor, 1), np.float32)


@lru_cache(maxsize=512)
def _shade_at(color: str, luma: float) -> Array:
    return shade(color, np.array([luma]))


@lru_cache(maxsize=256)
def shades(color: str, saturation: float = 1.0) -> list[str]:
    """Return `#rrggbb` of a chosen color at 65 lumas from 0 to 1, as a film of this saturation shows it."""
    luma = np.linspace(0, 1, 65, dtype=np.float32)
    rgb = with_luma(saturation * shade(color, luma)[:, None], luma[None])[0]
    return ["#" + bytes(value).hex() for value in np.rint(rgb * 255).astype(np.uint8)]


def _lightness(luma: Array) -> Array:
    """Return CIE L* of neutral pixels."""
    return np.asarray(rgb_to_lab(np.repeat(luma[None], 3, axis=0))[0])


def _largest_chroma(lightness: Array, chroma: float, ab: Array) -> Array:
    """Return the chroma at which a hue leaves sRGB, per lightness, by bisection."""
    low, high = np.zeros_like(lightness), np.full_like(lightness, 180)
    direction = ab[:, None] / max(chroma, 1e-6)
    for _ in range(14):
        middle = (low + high) / 2
        rgb = lab_to_rgb(np.concatenate((lightness[None], direction * middle)))
        fits = (rgb.min(axis=0) >= 0) & (rgb.max(axis=0) <= 1)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return low


def _around(middle: float, reach: float, length: int) -> slice:
    return slice(max(0, int(middle - reach)), min(length, int(middle + reach) + 2))


def sweep_unused(store: ProjectStore) -> list[str]:
    """Delete pictures that neither project, history nor a render needs; only files that this module has named.

    Returns:
        The names of the deleted files.

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
    """Encode a hint as PNG.

    Args:
        rgb: (h, w, 3) R'G'B' in 0..1.
        mask: (h, w) opacity in 0..1, stored as straight alpha; None: opaque.
        deep: 16 bits a sample instead of 8.
    """
    top, kind = (65535, np.uint16) if deep else (255, np.uint8)
    planes = [np.rint(np.clip(rgb, 0, 1) * top).astype(kind)]
    if mask is not None:
        planes.append(np.rint(np.clip(mask[..., None], 0, 1) * top).astype(kind))
    return encode_image(np.concatenate(planes, axis=2))


def _add(store: ProjectStore, revision: int, picture: bytes, **fields: Any) -> State:
    """Write the picture, then add the hint; `revision` guards the id as well."""
    hint_id = next_hint_id(store.data)
    image = store.save_image(hint_id, picture)
    hint = ProjectHint(id=hint_id, image=image, **fields)
    return store.change(revision, lambda state: add_hint(state, hint))


def _luma(frame: Frame) -> Array:
    return np.clip(codes_to_luma(frame.luma, frame.layout.depth, frame.color.range), 0, 1)


def _label(name: str, otherwise: str) -> str:
    """Return a file's name for display: no folders, no control characters, limited length."""
    shown = "".join(c for c in re.split(r"[/\\]", name)[-1] if c.isprintable()).strip()
    return shown[:_LABEL] or otherwise


def _reduced(rgb: Array, mask: Array | None) -> tuple[Array, Array | None]:
    factor = (_LOOSE_PIXELS / (rgb.shape[0] * rgb.shape[1])) ** 0.5
    if factor >= 1:
        return rgb, mask
    size = (max(1, round(rgb.shape[1] * factor)), max(1, round(rgb.shape[0] * factor)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return small, None if mask is None else cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
