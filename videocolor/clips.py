"""Color frames that a program holds in memory: for filters and nodes of other programs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import HintError, UsageError
from videocolor.events import Observer, ignore
from videocolor.files import write_atomically
from videocolor.images import encode_image
from videocolor.models.base import Colorizer
from videocolor.types import Array, ColorSpec, Frame
from videocolor.video import open_video
from videocolor.video.excerpts import GRAY_FORMATS, write_gray

__all__ = ["colorize_frames"]


def colorize_frames(
    lumas: Iterable[Array],
    config: ColorizeConfig | None = None,
    *,
    hints: Mapping[int, Array | Path] | None = None,
    rate: Fraction | int = 25,
    depth: int = 8,
    color: ColorSpec | None = None,
    colorizer: Colorizer | None = None,
    observer: Observer = ignore,
) -> Iterator[Frame]:
    """Color frames as a film: a gray film is written into a temporary folder, colored, and read back.

    Args:
        lumas: (h, w) uint8, or uint16 of `depth` bits; all of one size.
        config: its shots count, too (`shots.detector=none`: one shot); its output does not.
        hints: index of a frame -> that frame in color, (h, w, 3) R'G'B' in 0..1, or the path of a picture.
        rate: frames a second: smoothing does not depend on it.
        depth: bits of a sample: 8, 10, 12 or 16.
        color: how samples map to color; None: BT.709, full range.
        colorizer: see `colorize_video`.
        observer: likewise.

    Yields:
        The same luma with `chroma`: (Cb, Cr) at full size, of the same depth and range.

    Raises:
        UsageError: frames of several sizes, no frame, or another depth.
        HintError: a hint for a frame that is not there.
    """
    if depth not in GRAY_FORMATS:
        raise UsageError(f"{depth=}: expected one of {', '.join(map(str, GRAY_FORMATS))}")
    rate, config, color = Fraction(rate), config or ColorizeConfig(), color or ColorSpec("bt709", "full", 1, 1)
    with tempfile.TemporaryDirectory(prefix="videocolor-") as name:
        folder = Path(name)
        count = write_gray(folder / "film.mkv", _alike(lumas, depth), rate, depth, color)
        if count == 0:
            raise UsageError("no frames to color")
        items = list(config.hints.items)
        for index, picture in sorted((hints or {}).items()):
            if not 0 <= index < count:
                raise HintError(f"hint for frame {index}: there are frames 0 to {count - 1}")
            items.append(f"{float(index / rate):.6f}={_file(picture, folder / f'hint{index}.png')}")
        suffix = "" if depth == 8 else f"{depth}le"
        output = config.output.model_copy(
            update={"codec": "ffv1", "pix_fmt": f"yuv444p{suffix}", "sidecar": False, "report": False, "c2pa": False}
        )
        given = config.hints.model_copy(update={"items": tuple(items)})
        used = config.model_copy(update={"output": output, "hints": given})
        colorize_video(folder / "film.mkv", folder / "color.mkv", used, colorizer=colorizer, observer=observer)
        with open_video(folder / "color.mkv") as video:
            yield from video


def _alike(lumas: Iterable[Array], depth: int) -> Iterator[Array]:
    """Check that all frames have one size and the type of their depth."""
    frames = iter(lumas)
    first = next(frames, None)
    kind = np.uint8 if depth == 8 else np.uint16
    for luma in () if first is None else chain([first], frames):
        if first is None or luma.ndim != 2 or luma.shape != first.shape or luma.dtype != kind:
            raise UsageError(
                f"a frame is {luma.dtype} of shape {luma.shape}; expected {np.dtype(kind)}, one (h, w) for all"
            )
        yield luma


def _file(picture: Array | Path, path: Path) -> Path:
    if isinstance(picture, Path):
        return picture
    rgb = np.asarray(picture, np.float32)
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise HintError(f"hint {path.stem}: {rgb.shape=}; expected (h, w, 3)")
    write_atomically(path, encode_image(np.rint(np.clip(rgb, 0, 1) * 65535).astype(np.uint16)))
    return path
