"""Pieces of self-contained pages: nothing is fetched, only our own script runs, every text is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from videocolor.errors import InputError, OutputError
from videocolor.types import Array

__all__ = ["cells", "data_url", "data_url_within", "document", "read_still", "scaled"]

_QUALITY: Final = 88
_QUALITIES: Final = (_QUALITY, 78, 68, 56)
_SMALLEST: Final = 24
"""Lines under which no picture is made smaller to save bytes."""


def document(title: str, body: str, style: str, script: str) -> str:
    """A whole page whose policy admits its own style, its own script and pictures inside it, nothing else.

    Args:
        title: plain text.
        body: HTML; its texts must be escaped already.
        style: CSS.
        script: JavaScript.
    """
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def cells(head: Sequence[str], body: Iterable[Sequence[str]], caption: str) -> str:
    """A table of plain texts; the first column heads its rows."""
    top = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    rows = "".join(
        f'<tr><th scope="row">{escape(first)}</th>' + "".join(f"<td>{escape(text)}</td>" for text in rest) + "</tr>\n"
        for first, *rest in body
    )
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption><thead><tr>{top}</tr></thead>\n'
        f"<tbody>\n{rows}</tbody></table></div>"
    )


def read_still(path: Path) -> Array:
    """(h, w, 3) uint8 R'G'B' of a picture.

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
    """(h, w, 3) uint8 brought to at most `height` lines."""
    if rgb.shape[0] <= height:
        return rgb
    size = (max(1, round(rgb.shape[1] * height / rgb.shape[0])), height)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


def data_url(rgb: Array, quality: int = _QUALITY) -> str:
    """A picture (h, w, 3) uint8 as a JPEG inside a URL; one without colour has one channel."""
    gray = bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all())
    stored = np.ascontiguousarray(rgb[..., 0] if gray else rgb[..., ::-1])
    done, data = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise OutputError(f"a picture of {rgb.shape[1]}x{rgb.shape[0]} cannot be written as JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def data_url_within(rgb: Array, most: int) -> str:
    """`data_url` of at most so many characters: of less quality, then of fewer pixels, as far as that takes."""
    while True:
        for quality in _QUALITIES:
            url = data_url(rgb, quality)
            if len(url) <= most or min(rgb.shape[:2]) < 2 * _SMALLEST:
                return url
        height = max(_SMALLEST, rgb.shape[0] * 3 // 4)
        rgb = scaled(rgb, height)
