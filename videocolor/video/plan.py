"""What the output will be, decided and checked before the first frame is colored."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from av.codec import Codec

from videocolor.errors import OutputError, UsageError
from videocolor.types import Array, ColorSpec, PixelLayout, VideoInfo
from videocolor.video.encoders import choose_format, find_encoder, luma_table, output_spec
from videocolor.video.evenness import counts_frames, first_uneven
from videocolor.video.output import OutputOptions, OutputPlan, Span
from videocolor.video.pipes import window_of
from videocolor.video.sequences import IMAGE_SUFFIXES, find_sequence, is_pattern
from videocolor.video.trial import container_takes, prove

__all__ = ["image_names", "plan_output"]

_CONTAINERS = {".mkv": "matroska", ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".webm": "webm", ".mxf": "mxf"}
_IMAGES = {".png": "png", ".tif": "tiff", ".tiff": "tiff", ".dpx": "dpx"}
_IMAGE_FORMATS = {
    "png": {8: "rgb24", 16: "rgb48be"},
    "tiff": {8: "rgb24", 16: "rgb48le"},
    "dpx": {8: "rgb24", 10: "gbrp10be", 12: "gbrp12be", 16: "rgb48be"},
}
"""Image encoder -> bits a sample -> pixel format."""
_DEFAULT_CODEC = {"matroska": "libx264", "mp4": "libx264", "mov": "prores_ks", "webm": "libvpx-vp9", "mxf": "dnxhd"}
_DEFAULT_OPTIONS: dict[str, dict[str, str]] = {
    "libx264": {"crf": "18", "preset": "medium"},
    "libx265": {"crf": "18", "preset": "medium", "x265-params": "log-level=error"},
    "libsvtav1": {"crf": "24", "preset": "6"},
    "libvpx-vp9": {"crf": "20", "b": "0", "row-mt": "1"},
    "prores_ks": {"profile": "3"},
    "dnxhd": {"profile": "dnxhr_hqx"},
    "ffv1": {"level": "3", "coder": "1", "context": "1", "g": "1", "slices": "4", "slicecrc": "1"},
}
_ANOTHER = "give another name or allow overwriting (--overwrite; in a batch --set output.overwrite=true)"
_NO_RANGE = frozenset({"prores_ks", "prores", "prores_aw", "dnxhd"})
"""Codecs whose decoders take every film for limited range."""
_SPEAKS_RANGE = frozenset({"libx264", "libx265", "libsvtav1", "libvpx-vp9"})
"""Codecs that state the range in their own bits; for others the container must, and QuickTime's `nclc` cannot."""
_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
"""Of x264 and x265, which print to the terminal when they meet another."""
_BITS_A_PIXEL = {"ffv1": 5.0, "prores_ks": 3.6, "libx264": 0.25, "libx265": 0.16, "libsvtav1": 0.1, "libvpx-vp9": 0.15}
"""Rough sizes of real film at the default options; FFV1's is for 8 bits."""


def plan_output(
    info: VideoInfo, target: Path, options: OutputOptions | None = None, *, protected: Sequence[Path] = ()
) -> OutputPlan:
    """Decide how a film is written, and check that it can be.

    Args:
        info: The source.
        target: A .mkv, .mp4, .mov, .mxf or .webm file; for images a number pattern, a folder (`/` at its end), or one.
        options: What is asked for.
        protected: Other files of the run (hints, lists of shots, configuration) that the target must not replace.

    Raises:
        UsageError: Codec, pixel format, option and container do not go together.
        OutputError: The target exists, cannot be written, or is the source or a protected file.
    """
    options = options or OutputOptions()
    named, target = target, _behind_link(target)
    images = _image_codec(target, info)
    check_target(info, Path(target), options.overwrite, images is not None, protected)
    linked = () if target is named else (f"{named} is a symbolic link, which stays; {target} is written",)
    if images is not None:
        if options.only_chroma:
            raise UsageError(f"{target}: images are RGB, so chroma alone is written as a film: .mkv or .mov")
        plan = _plan_images(info, Path(target), options, images)
        return replace(plan, notes=(*linked, *plan.notes))
    container, codec = _container_and_codec(Path(target), options)
    codec_options = _codec_options(codec.name, container, options)
    color = output_spec(info.color, _states_range(container, codec.name))
    layout = choose_format(codec, options.pix_fmt, info.layout, (info.width, info.height), color, codec_options)
    stored = layout
    if options.only_chroma:
        wanted = f"yuv444p{'' if layout.depth == 8 else f'{layout.depth}le'}"
        stored = choose_format(codec, wanted, info.layout, _chroma_size(info, layout), color, codec_options)
    table = luma_table(info.layout, info.color, layout, color)
    pixels = info.width * info.height * (info.frames or 0)
    plan = OutputPlan(
        target=Path(target),
        container=container,
        codec=codec.name,
        pix_fmt=stored.name,
        only_chroma=options.only_chroma,
        layout=layout,
        color=color,
        chroma_size=_chroma_size(info, layout),
        codec_options=codec_options,
        dropped=(),
        notes=(*linked, *info.notes, *_notes(info, layout, color, table, codec.name, container)),
        estimated_bits=round(pixels * _bits_a_pixel(codec.name, layout)) or None,
        luma_map=table,
        muxer_options={str(key): str(value) for key, value in options.muxer.items()},
    )
    plan = prove(info, plan)
    _check_rate(info, plan, options.span)
    return plan


def _container_and_codec(target: Path, options: OutputOptions) -> tuple[str, Codec]:
    suffix = target.suffix.lower()
    if suffix not in _CONTAINERS:
        known = ", ".join((*_CONTAINERS, *_IMAGES))
        raise UsageError(f"{target}: unknown kind of file {suffix or '(no suffix)'}; use one of {known}")
    container = _CONTAINERS[suffix]
    codec = find_encoder(options.codec or _DEFAULT_CODEC[container])
    if not container_takes(container, codec.name):
        other = ".mov" if container == "matroska" else ".mkv"
        raise UsageError(f"{target}: {container} cannot hold {codec.name}; use {other}, or another codec")
    return container, codec


def _check_rate(info: VideoInfo, plan: OutputPlan, span: Span) -> None:
    """Refuse a film whose frames do not last equally long where the container counts frames."""
    if counts_frames(plan.container) and window_of(info.path) is not None:
        raise UsageError(
            f"{plan.target}: {plan.container} holds frames of one length only, which is not known of a film from a pipe"
            "; use .mov or .mkv"
        )
    uneven = first_uneven(info, span) if counts_frames(plan.container) else None
    if uneven is not None:
        raise UsageError(
            f"{plan.target}: {plan.container} holds frames of one length only, and at {float(uneven):.3f} s the film "
            f"leaves its {float(info.rate or 25):.5g} frames a second (a gap, or a variable rate); use .mov or .mkv"
        )


def _behind_link(target: Path) -> Path:
    """Return the file that a symbolic link names, or the target itself: a rename would replace the link."""
    if not os.path.islink(target) or os.path.isdir(target):
        return target
    real = Path(os.path.realpath(target))
    if real.is_symlink():
        raise OutputError(f"{target}: is a symbolic link that leads nowhere; remove it or give another name")
    return real


def image_names(target: Path) -> tuple[Path, str | None, str]:
    """Take an image target apart.

    Returns:
        The folder, the number pattern (None where the target is one image), and that image's name (else empty).
    """
    if is_pattern(target):
        return target.parent, target.name, ""
    if target.suffix.lower() in _IMAGES and not target.is_dir():
        return target.parent, None, target.name
    return target, "%05d.png", ""


def _image_codec(target: Path | str, info: VideoInfo) -> str | None:
    """Return the image encoder of a pattern, a folder or an image; None for a film."""
    path = Path(target)
    if str(target).endswith(os.sep) or path.is_dir():
        return "png"
    suffix = path.suffix.lower()
    if not suffix and info.format == "image2" and find_sequence(info.path) is not None:
        return "png"  # images in, a bare name out: a folder whose slash a `Path` has dropped
    if suffix not in _IMAGES:
        if suffix in IMAGE_SUFFIXES:
            raise UsageError(f"{target}: images are written as {', '.join(_IMAGES)}")
        return None
    if not is_pattern(path) and (info.frames or 2) > 1:
        raise UsageError(f"{target}: names one image, but the film has many; use a pattern such as %05d{suffix}")
    return _IMAGES[suffix]


def check_target(info: VideoInfo, target: Path, overwrite: bool, images: bool, protected: Sequence[Path] = ()) -> None:
    """Check that the target may be written.

    Raises:
        OutputError: It exists, is the source or a protected file, or its folder is missing or read-only.
    """
    folder, pattern, _ = image_names(target) if images else (target.parent, None, "")
    several = pattern is not None
    if pattern is not None:
        try:
            pattern % 1
        except (TypeError, ValueError) as error:
            raise UsageError(f"{target}: must hold one number pattern such as %05d ({error})") from error
    _check_inputs(info, target, folder, pattern, protected)
    if target.exists() and not several:
        if not overwrite:
            raise OutputError(f"{target}: exists already; {_ANOTHER}")
        if not target.is_file():
            raise OutputError(f"{target}: is not a file and cannot be replaced")
    if pattern is not None:
        _check_images(info, target, folder, pattern, overwrite)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{target}: {folder} is a file, not a folder; give another name")
    existing = folder if folder.exists() or not several else folder.parent
    if not existing.is_dir():
        raise OutputError(f"{target}: the folder {existing} does not exist; make it first")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(f"{target}: the folder {existing} is not writable; choose another or change its rights")


def _check_inputs(info: VideoInfo, target: Path, folder: Path, pattern: str | None, protected: Sequence[Path]) -> None:
    """Refuse a target that would replace the source, one of its images, or another file of the run."""
    sequence = find_sequence(info.path) if info.format == "image2" else None
    sources = sequence.files if sequence is not None else (info.path,)
    for file in sources:
        if _replaces(target, folder, pattern, file):
            what = "is the source itself" if file == info.path or pattern is None else f"would replace {file}"
            raise OutputError(f"{target}: {what}; the source is never overwritten")
    for file in protected:
        if _replaces(target, folder, pattern, Path(file)):
            raise OutputError(f"{target}: would replace {file}, which this run reads; give another name")


def _replaces(target: Path, folder: Path, pattern: str | None, file: Path) -> bool:
    """Tell whether writing the target could replace a file; a pattern is taken to reach every number."""
    if pattern is None:
        return target.is_file() and file.is_file() and os.path.samefile(target, file)
    numbers = (int(digits) for digits in re.findall(r"\d+", file.name))
    if not any(pattern % number == file.name for number in numbers):
        return False
    return folder.is_dir() and file.parent.is_dir() and os.path.samefile(folder, file.parent)


def _check_images(info: VideoInfo, target: Path, folder: Path, pattern: str, overwrite: bool) -> None:
    source = info.path if info.path.is_dir() else info.path.parent
    same_folder = folder.exists() and source.exists() and os.path.samefile(folder, source)
    if same_folder and info.format == "image2" and (target == info.path or folder == target):
        raise OutputError(f"{target}: is the source itself; the source is never overwritten")
    stem = pattern.split("%")[0]
    taken = folder.is_dir() and any(
        f.name.startswith(stem) and f.suffix == Path(pattern).suffix for f in folder.iterdir()
    )
    if taken and not overwrite:
        raise OutputError(f"{target}: holds such images already; {_ANOTHER}")


def _codec_options(codec: str, container: str, options: OutputOptions) -> dict[str, str]:
    chosen = dict(_DEFAULT_OPTIONS.get(codec, {}))
    if codec == "libx264" and container == "matroska":
        chosen["crf"] = "16"
    given = {str(key): str(value) for key, value in options.options.items()}
    if options.crf is not None:
        given["crf"] = f"{options.crf:g}"
    if options.preset is not None:
        if codec in ("libx264", "libx265") and options.preset not in _PRESETS:
            raise UsageError(f"preset {options.preset}: {codec} knows {', '.join(_PRESETS)}")
        given["preset"] = options.preset
    if {"b", "qp"} & given.keys() and options.crf is None:
        chosen.pop("crf", None)  # a rate or a fixed quantizer replaces the default quality
    if "x265-params" in given:
        given["x265-params"] = f"log-level=error:{given['x265-params']}"
    return chosen | given


def _states_range(container: str, codec: str) -> bool:
    return codec not in _NO_RANGE and (container != "mov" or codec in _SPEAKS_RANGE)


def _chroma_size(info: VideoInfo, layout: PixelLayout) -> tuple[int, int]:
    across, down = layout.chroma_shift
    return -(-info.width >> across), -(-info.height >> down)


def _bits_a_pixel(codec: str, layout: PixelLayout) -> float:
    bits = _BITS_A_PIXEL.get(codec, 1.0)
    return bits * layout.depth / 8 if codec == "ffv1" else bits


def _notes(
    info: VideoInfo, layout: PixelLayout, color: ColorSpec, table: Array | None, codec: str, container: str
) -> tuple[str, ...]:
    notes = []
    if table is None:
        luma = "luma samples stored as they are"
    elif layout.depth > info.layout.depth or (layout.depth == info.layout.depth and color.range == info.color.range):
        luma = f"luma widened from {info.layout.depth} to {layout.depth} bits (reversibly; not the same codes)"
    else:
        luma = f"luma is NOT exact: rounded from {info.layout.depth} to {layout.depth} bits"
    if color.range != info.color.range:
        luma += f"; {codec} in {container} cannot say full range, so luma becomes limited range"
    if layout.name != info.layout.name or table is not None:
        notes.append(f"{info.layout.name} becomes {layout.name}, {color.range} range; {luma}")
    if info.layout.kind == "gray" and layout.chroma_shift != (1, 1):
        notes.append(f"{codec} takes no 4:2:0 at {info.width}x{info.height}, so color is stored as {layout.name}")
    if info.layout.name.startswith(("yuva", "ya", "gbrap", "rgba", "bgra", "argb", "abgr")):
        notes.append(f"{info.layout.name}: the alpha channel is not carried over")
    if info.color.assumed:
        stated = f"{color.matrix}, {info.color.range} range, primaries {color.primaries}, transfer {color.transfer}"
        notes.append(f"assumed, as the source does not state it: {', '.join(info.color.assumed)} ({stated})")
    if container in ("matroska", "webm") and not _whole_milliseconds(info):
        notes.append("Matroska keeps times in milliseconds: frame times are rounded to the nearest")
    return tuple(notes)


def _whole_milliseconds(info: VideoInfo) -> bool:
    """Tell whether the film's times are whole milliseconds: by their unit, else by its frame rate."""
    if (info.time_base * 1000).denominator == 1:
        return True
    return info.rate is not None and (1000 / info.rate).denominator == 1


def _plan_images(info: VideoInfo, target: Path, options: OutputOptions, codec: str) -> OutputPlan:
    if options.codec not in (None, codec):
        raise UsageError(f"codec {options.codec}: images of this kind are written as {codec}")
    depth, formats = info.layout.depth, _IMAGE_FORMATS[codec]
    bits = next((b for b in formats if b >= depth), 16)
    pix_fmt = options.pix_fmt or formats[bits]
    if pix_fmt not in formats.values():
        raise UsageError(f"pix_fmt {pix_fmt}: {codec} images are written as {', '.join(formats.values())}")
    deep = pix_fmt != "rgb24"
    find_encoder(codec)
    name = "yuv444p" if depth == 8 else f"yuv444p{depth}le"
    picture = next((s.index for s in info.streams if s.kind == "video"), 0)
    rest = [s for s in info.streams if s.index != picture]
    others = tuple(f"{s.kind} stream {s.index} ({s.codec}): images hold no such streams" for s in rest)
    notes = [f"{info.layout.name} becomes {pix_fmt} images: luma is not stored as such, RGB is rounded once"]
    if (";" in info.metadata.get("timecode", "")) and codec == "dpx":
        notes.append("the drop-frame timecode is left out: DPX images have one that counts every frame")
    if info.color.assumed:
        notes.append(f"assumed, as the source does not state it: {', '.join(info.color.assumed)}")
    return OutputPlan(
        target=target,
        container="image2",
        codec=codec,
        pix_fmt=pix_fmt,
        layout=PixelLayout(name, depth, "yuv", (0, 0)),
        color=info.color,
        chroma_size=(info.width, info.height),
        codec_options={str(k): str(v) for k, v in options.options.items()},
        dropped=others,
        notes=tuple(notes),
        estimated_bits=round(info.width * info.height * (info.frames or 0) * (30 if deep else 14)) or None,
    )
