"""Self-contained pages from the templates of this folder, and pictures inside them.

Nothing is fetched, only a page's own style and script are admitted by its policy, and every text is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from videocolor.errors import InputError
from videocolor.images import encode_image
from videocolor.types import Array

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["data_url", "data_url_within", "read_still", "render", "scaled"]

_QUALITY: Final = 88
_QUALITIES: Final = (_QUALITY, 78, 68, 56)
_SMALLEST: Final = 24
"""Lines under which no picture is made smaller to save bytes."""


def render(name: str, folder: Path | None = None, /, **values: Any) -> str:
    """Fill NAME.html, with the style NAME.css (after base.css) and the script NAME.js.

    Args:
        name: of the template, which extends base.html.
        folder: where the three files are; None: templates/ beside this file.
        **values: what the template shows; texts are escaped.
    """
    from markupsafe import Markup

    environment = _environment(folder)
    base, style, script = (_source(environment, file) for file in ("base.css", f"{name}.css", f"{name}.js"))
    return environment.get_template(f"{name}.html").render(style=Markup(base + style), script=Markup(script), **values)


@lru_cache(maxsize=4)
def _environment(folder: Path | None) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folders = [Path(__file__).parent / "templates", *([] if folder is None else [folder])]
    made = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["sha256"] = lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return made


def _source(environment: Environment, file: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, file)[0]


def read_still(path: Path) -> Array:
    """Read a picture as (h, w, 3) uint8 R'G'B'.

    Raises:
        InputError: missing or unreadable.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise InputError(f"{path}: not a picture that can be read")
    return np.ascontiguousarray(image[..., ::-1])


def scaled(rgb: Array, height: int) -> Array:
    """Scale (h, w, 3) uint8 down to at most `height` lines."""
    if rgb.shape[0] <= height:
        return rgb
    size = (max(1, round(rgb.shape[1] * height / rgb.shape[0])), height)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


def data_url(rgb: Array, quality: int = _QUALITY) -> str:
    """Encode (h, w, 3) uint8 R'G'B' as a JPEG inside a URL; gray pictures get one channel."""
    gray = bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all())
    data = encode_image(rgb[..., 0] if gray else rgb, ".jpg", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def data_url_within(rgb: Array, most: int) -> str:
    """Encode as `data_url` in at most `most` characters, by less quality, then fewer pixels, where possible."""
    while True:
        for quality in _QUALITIES:
            url = data_url(rgb, quality)
            if len(url) <= most or min(rgb.shape[:2]) < 2 * _SMALLEST:
                return url
        rgb = scaled(rgb, max(_SMALLEST, rgb.shape[0] * 3 // 4))
