"""One picture of a sequence as a decoded frame: upright, of the sequence's format, with what its header says."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from PIL import ExifTags, Image, ImageCms

from videocolor.errors import InputError, NoVideoError, UnsupportedVideoError
from videocolor.types import Array, PixelLayout
from videocolor.video.dpx import DpxHeader, read_dpx_header
from videocolor.video.formats import describe, plane_view, rgb_channels, split_planes
from videocolor.video.opening import fraction, main_video, open_input, tolerant_frames
from videocolor.video.tiff import TIFF_SUFFIXES, UNREADABLE, read_tiff, tiff_pages

__all__ = ["Picture", "fit_format", "read_image", "survey", "unlike"]

_FORMATS: Final = {
    (2, 1): "gray",
    (2, 2): "gray16le",
    (3, 1): "rgb24",
    (3, 2): "rgb48le",
    (4, 1): "rgba",
    (4, 2): "rgba64le",
}
"""(axes, or samples a pixel; bytes a sample) -> pixel format."""
_TURNABLE: Final = {
    **{f"yuvj{sampling}p": "yuvj444p" for sampling in ("422", "440", "411")},
    **{f"yuv{sampling}p": "yuv444p" for sampling in ("422", "440", "411")},
    **{"monob": "gray", "monow": "gray"},
}
"""Formats whose chroma is subsampled along one axis, or with many pixels a byte -> formats that can be turned."""
_LINEAR: Final = {"exr": {"apply_trc": "iec61966_2_1"}}
"""Options of decoders whose samples are linear light: sRGB's curve."""
_BARE_LIGHT: Final = ("hdr", "pfm", "phm")
"""Decoders of linear light that have no such option."""
_GRAY_MODES: Final = ("1", "L", "LA", "I", "F")
"""Pillow's, without byte order."""
_SRGB_GAMMA: Final = 0.45455
"""What PNG's gAMA says where samples are sRGB (PNG, third edition, 11.3.2.2)."""
_SAME_GAMMA: Final = 0.005
_NO_RGB: Final = ("LAB", "HSV")
"""Pillow's, of pictures that FFmpeg does not decode."""
_NTSC: Final = (24, 30, 48, 60, 120)


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture and what its file says of it."""

    frame: VideoFrame
    codec: str
    rate: Fraction | None = None
    """Frames a second, of a DPX header."""
    timecode: str | None = None
    notes: tuple[str, ...] = field(default=())
    """What a person should know of such a file."""


def read_image(file: Path, page: int = 0) -> Picture:
    """Decode one picture, turned as its EXIF says.

    Args:
        file: a picture.
        page: which frame of a TIFF of several pages.

    Raises:
        InputError: it cannot be read.
    """
    if file.suffix.lower() in TIFF_SUFFIXES and file.is_file() and file.stat().st_size:
        image = read_tiff(file, page)
        if image is not None:
            shape = image.ndim if image.ndim == 2 else image.shape[2]
            try:
                frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format=_FORMATS[shape, image.itemsize])
            except FFmpegError as error:  # a side of many thousands
                raise InputError(f"{file}: a picture of {image.shape} samples cannot be used ({error})") from error
            return Picture(frame, "tiff", notes=_left_pages(file))
    return _by_ffmpeg(file)


def _left_pages(file: Path) -> tuple[str, ...]:
    _, others = tiff_pages(file)
    return (f"{file}: {others} pages are thumbnails or masks; left out",) if others else ()


def _by_ffmpeg(file: Path) -> Picture:
    with open_input(file, {"pattern_type": "none"} if "%" in file.name else None) as container:
        stream = main_video(container, file)
        context = stream.codec_context
        context.thread_type = "SLICE"  # frame threads would only add delay to a single frame
        context.options = dict(_LINEAR.get(context.name, {}))
        frame = next(tolerant_frames(container, stream), None)
        if frame is None:
            raise NoVideoError(f"{file}: {_why_not(file)}")
        if context.name in _BARE_LIGHT:
            raise UnsupportedVideoError(f"{file}: is linear light ({context.name}); save it as OpenEXR or 16-bit TIFF")
        # Most headers say 25 for want of anything, so FFmpeg's guess for the stream is no witness.
        rate = fraction(getattr(context, "framerate", None)) if context.name == "dpx" else None
        dpx = read_dpx_header(file) if context.name == "dpx" else None
        code = None if dpx is None else dpx.timecode
        # Side data would say the same, but PyAV's list of it holds the frame in a circle, and so in memory for long.
        header = _header(file)
        upright = frame if header is None else _turned(frame, header.orientation)
        return Picture(upright, context.name, _exact(rate), code, _notes(file, context.name, dpx, header))


def _why_not(file: Path) -> str:
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(file) as picture:
            count = getattr(picture, "n_frames", 1)
            if picture.mode in _NO_RGB:
                return f"holds {picture.mode} samples; save it as RGB or gray"
            if count > 1:
                return (
                    f"an animated {picture.format} of {count} pictures, which FFmpeg does not decode; "
                    "save its pictures as PNG and give their folder"
                )
    except (*UNREADABLE, Image.DecompressionBombError):
        pass
    return "no picture could be decoded"


def _exact(rate: Fraction | None) -> Fraction | None:
    """Return the rate that a header's 32-bit number stands for."""
    near = (Fraction(n * 1000, 1001) for n in _NTSC)
    return None if rate is None else next((n for n in near if abs(n - rate) < Fraction(1, 200)), rate)


def _notes(file: Path, codec: str, dpx: DpxHeader | None, header: _Header | None) -> tuple[str, ...]:
    notes = list(_left_pages(file)) if codec == "tiff" else []
    if dpx is not None and dpx.curve is not None:
        notes.append(f"{file}: its samples are {dpx.curve}, and are colored as they are; convert them for video first")
    if codec in _LINEAR:
        notes.append(f"{file}: linear light is shown by sRGB's curve; what is brighter than 1 is clipped")
    if header is not None and header.profile:
        notes.append(f"{file}: its samples count as sRGB; its ICC profile is not applied ({header.profile})")
    if header is not None and header.gamma and abs(header.gamma - _SRGB_GAMMA) > _SAME_GAMMA:
        notes.append(f"{file}: its samples count as sRGB; its gamma (gAMA {header.gamma:.5g}) is not applied")
    return tuple(notes)


def _profile_name(profile: bytes) -> str:
    try:
        return ImageCms.getProfileDescription(ImageCms.getOpenProfile(io.BytesIO(profile))).strip() or "without a name"
    except (OSError, ImageCms.PyCMSError):
        return "damaged"


def _turned(frame: VideoFrame, orientation: int) -> VideoFrame:
    """Turn a picture as EXIF's orientation (1 to 8) says."""
    steps = ["transpose=cclock_flip"] if orientation in (5, 6, 7, 8) else []
    if steps:
        frame = frame.reformat(format=_TURNABLE.get(frame.format.name, frame.format.name))
    steps += ["hflip"] if orientation in (2, 3, 6, 7) else []
    steps += ["vflip"] if orientation in (3, 4, 7, 8) else []
    return _filtered(frame, steps) if steps else frame


def unlike(file: Path, frame: VideoFrame, size: tuple[int, int], layout: PixelLayout) -> UnsupportedVideoError:
    """Say that a picture does not go into its sequence."""
    return UnsupportedVideoError(
        f"{file}: is {frame.width}x{frame.height} {frame.format.name}, the others are {size[0]}x{size[1]} "
        f"{layout.name}; convert all images to one size and format"
    )


def fit_format(frame: VideoFrame, want: PixelLayout) -> VideoFrame | None:
    """Convert a picture to the sequence's planes where nothing is lost by it.

    Fewer bits are widened (white stays white), gray gets neutral chroma or R = G = B. Luma stays what it was.

    Args:
        frame: a picture.
        want: the sequence's layout.

    Returns:
        The picture of that depth, kind and subsampling; None where samples would be lost.
    """
    have = describe(frame.format.name)
    if (have.depth, have.kind, have.chroma_shift) == (want.depth, want.kind, want.chroma_shift):
        return frame
    if have.kind == want.kind == "yuv" and have.depth == want.depth:
        return frame.reformat(format=want.name)  # another subsampling: luma passes as it is
    wider = have.depth <= want.depth and want.depth in (8, 10, 12, 14, 16)
    if not wider or (have.kind != "gray" and have.kind != want.kind) or (want.kind == "yuv" and want.depth > 8):
        return None
    if have.kind == "rgb":
        red, green, blue = rgb_channels(frame)
        return _planar(_bits_name("gbrp", want.depth), [_widen(c, have.depth, want.depth) for c in (green, blue, red)])
    luma = _widen(split_planes(frame, have, "bt601").luma, have.depth, want.depth)
    if want.kind == "yuv":
        across, down = want.chroma_shift
        neutral = np.full((-(-luma.shape[0] >> down), -(-luma.shape[1] >> across)), 128, np.uint8)
        return _planar(want.name, [luma, neutral, neutral])
    planes = [luma] * (3 if want.kind == "rgb" else 1)
    return _planar(_bits_name("gbrp" if want.kind == "rgb" else "gray", want.depth), planes)


def _bits_name(name: str, depth: int) -> str:
    return name if depth == 8 else f"{name}{depth}le"


def _widen(samples: Array, have: int, want: int) -> Array:
    if have == want:
        return samples
    low, high = 2**have - 1, 2**want - 1
    wide: Array = (samples.astype(np.uint32) * high + low // 2) // low
    return wide.astype(np.uint8 if want <= 8 else np.uint16)


def _planar(name: str, planes: list[Array]) -> VideoFrame:
    frame = VideoFrame(planes[0].shape[1], planes[0].shape[0], name)
    for index, plane in enumerate(planes):
        plane_view(frame, index)[:] = plane
    return frame


@dataclass(frozen=True)
class _Header:
    """What a picture's header says."""

    size: tuple[int, int]
    """Width and height, upright."""
    depth: int
    """Bits a sample: 8 or more."""
    color: bool
    orientation: int = 1
    """As EXIF counts, 1 to 8."""
    profile: str = ""
    """Name of the ICC profile; empty: it has none."""
    gamma: float = 0.0
    """Exponent by which light became samples (PNG's gAMA); zero: not stated."""


@dataclass(frozen=True)
class Survey:
    """What the headers of a sequence's pictures say together."""

    rich: Path | None
    """One with color where any has, of the most bits of those; None where the headers say nothing (OpenEXR)."""
    depth: int
    """The most bits of all, 8 or more."""
    odd: tuple[Path, ...]
    """Those whose size is not that of the first one."""
    unread: tuple[Path, ...]
    """Those without a header that can be read."""


def survey(files: Sequence[Path]) -> Survey:
    """Compare the headers of pictures, without decoding them."""
    headers = {file: _header(file) for file in dict.fromkeys(files)}
    found = [(file, header) for file, header in headers.items() if header is not None]
    if not found:
        return Survey(None, 8, (), ())
    return Survey(
        max(found, key=lambda pair: (pair[1].color, pair[1].depth))[0],
        max(header.depth for _, header in found),
        tuple(file for file, header in found if header.size != found[0][1].size),
        tuple(file for file, header in headers.items() if header is None),
    )


def _header(file: Path) -> _Header | None:
    try:
        state = file.stat()
    except OSError:
        return None
    return _read_header(file, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1 << 18)
def _read_header(file: Path, _size: int, _changed: int) -> _Header | None:
    """Read a header with Pillow; size and time of change are part of the cache's key."""
    try:
        if file.suffix.lower() == ".dpx":
            found = read_dpx_header(file)
            return None if found is None else _Header(found.size, max(8, found.depth), found.color)
        with warnings.catch_warnings(action="ignore"), Image.open(file) as picture:  # it warns of EXIF and of size
            if picture.format == "TIFF":
                picture.seek(tiff_pages(file)[0][0])  # the first may be a thumbnail
            exif, icc = _exif(picture), picture.info.get("icc_profile")
            orientation = exif.get(ExifTags.Base.Orientation, 1)
            lying = picture.format != "TIFF" and orientation in (5, 6, 7, 8)  # a TIFF's size is upright already
            size = picture.size[::-1] if lying else picture.size
            deep = picture.mode[0] in "IF" or any(";16" in str(tile.args) for tile in picture.tile)
            color = picture.mode.split(";")[0] not in _GRAY_MODES
            gamma = 0.0 if icc or "srgb" in picture.info else picture.info.get("gamma", 0.0)
            return _Header(size, 16 if deep else 8, color, orientation, _profile_name(icc) if icc else "", gamma)
    except (*UNREADABLE, Image.DecompressionBombError):
        return None


def _exif(picture: Image.Image) -> Image.Exif:
    """Read EXIF without decoding the picture, which a PNG would be if it were simply asked."""
    if picture.format in ("JPEG", "TIFF"):
        return picture.getexif()
    exif = Image.Exif()
    if "exif" in picture.info:
        exif.load(picture.info["exif"])
    return exif


def _filtered(frame: VideoFrame, steps: list[str]) -> VideoFrame:
    graph = av.filter.Graph()
    last: Any = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))
    for step in [*(step.partition("=")[::2] for step in steps), ("buffersink", "")]:
        following = graph.add(step[0], step[1] or None)
        last.link_to(following)
        last = following
    graph.configure()
    graph.push(frame)
    done = graph.pull()
    assert isinstance(done, VideoFrame)
    return done
