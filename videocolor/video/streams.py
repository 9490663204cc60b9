"""The streams of a film beside its picture: which they are, their names, and their headers in an output."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from av.container import InputContainer, OutputContainer
from av.stream import Disposition

from videocolor.types import VideoInfo
from videocolor.video.labels import label_tags
from videocolor.video.opening import main_video, open_input

__all__ = [
    "CHAPTERS",
    "STATISTICS",
    "TAGS",
    "TIMECODE",
    "add_copy",
    "copy_container_metadata",
    "is_cover",
    "is_dropped",
    "other_streams",
    "start_timecode",
    "stream_name",
    "timecode",
]

TIMECODE, CHAPTERS, TAGS = "timecode", "chapters", "tags"
"""How messages about what is left out begin, beside those about streams."""
_MUXER_KEYS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "duration"})
STATISTICS = ("BPS", "DURATION", "NUMBER_OF_", "STATISTICS", "encoder", "ENCODER", "vendor_id")
"""Tags that describe the old bits of the picture stream and would lie about the new ones."""
_ITUNES_KEYS = frozenset(
    {
        *("title", "artist", "album_artist", "album", "comment", "genre", "date", "description", "synopsis", "show"),
        *("network", "copyright", "lyrics", "grouping", "composer", "episode_id", "season_number", "episode_sort"),
        *("track", "disc", "compilation", "media_type", "hd_video", "gapless_playback", "creation_time", "timecode"),
    }
)
"""What the MP4 and QuickTime muxers write without the option to keep every key."""
_MIME = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png"), "bmp": ("cover.bmp", "image/bmp")}
_QUICKTIME_LANGUAGE = {
    **{"deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi", "sqi": "alb", "mkd": "mac"},
    **{"hye": "arm", "kat": "geo", "bod": "tib", "mya": "bur", "msa": "may", "fre": "fra", "rum": "ron"},
    **{"cze": "ces", "slo": "slk"},
}
"""QuickTime's own table knows some languages by the other of their two codes, and loses them otherwise."""
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""FFmpeg's layout for a number of channels."""


def timecode(container: InputContainer) -> str | None:
    """Return the film's start timecode, wherever its container keeps it."""
    for owner in (container, *container.streams):
        for key, value in owner.metadata.items():
            if key.lower() == "timecode":
                return str(value)
    return None


def start_timecode(info: VideoInfo) -> str | None:
    """Return the timecode of a film's or an image sequence's first frame; None: it has none."""
    if info.format == "image2":
        return info.metadata.get("timecode")
    with open_input(info.path) as container:
        return timecode(container)


def is_dropped(what: str, dropped: Iterable[str]) -> bool:
    """Tell whether something is among the sentences about what is left out."""
    return any(sentence.startswith(what) for sentence in dropped)


def _is_timecode(stream: Any) -> bool:
    return stream.type == "data" and any(k.lower() == "timecode" for k in stream.metadata)


def _is_chapter_track(stream: Any, container: InputContainer) -> bool:
    """Recognize QuickTime's text track of chapter names, which the muxer makes again from the chapters."""
    return stream.type == "data" and stream.name == "bin_data" and bool(container.chapters())


def is_cover(stream: Any) -> bool:
    """Tell whether a stream is a cover picture."""
    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)


def other_streams(container: InputContainer, path: Path) -> list[Any]:
    """List the streams to copy: all but the picture, its timecode and its chapter names."""
    main = main_video(container, path).index
    return [
        s for s in container.streams if s.index != main and not _is_timecode(s) and not _is_chapter_track(s, container)
    ]


def add_copy(out: OutputContainer, stream: Any, cover: bytes | None, container: str) -> Any:
    """Add a copy of a stream to the output's header; None where it needs no packets."""
    if cover is not None and container == "matroska":
        name, mime = _MIME.get(stream.codec_context.name, ("cover", "application/octet-stream"))
        out.add_attachment(stream.metadata.get("filename", name), stream.metadata.get("mimetype", mime), cover)
        return None
    copy = out.add_stream_from_template(stream, opaque=True)
    copy.disposition = stream.disposition.value
    copy.metadata.update(stream.metadata)
    if stream.type == "audio":
        _name_layout(copy.codec_context)
    language = stream.metadata.get("language")
    if container == "mov" and language in _QUICKTIME_LANGUAGE:
        copy.metadata["language"] = _QUICKTIME_LANGUAGE[language]
    return None if stream.type == "attachment" else copy


def _name_layout(context: Any) -> None:
    """Give sound that states only its number of channels the usual layout, without which MP4 cannot be finished."""
    match = re.fullmatch(r"(\d+) channels?", context.layout.name)
    name = _LAYOUTS.get(int(match.group(1))) if match else None
    if name is not None:
        context.layout = name


def stream_name(stream: Any) -> str:
    """Name a stream for a person: kind, number, codec, language, title."""
    context = stream.codec_context
    codec = context.name if context is not None else stream.metadata.get("filename") or stream.name or "unknown"
    words = [f"{stream.type} stream {stream.index}", f"({codec})"]
    words += [stream.metadata[key] for key in ("language", "title") if stream.metadata.get(key)]
    return " ".join(words)


def copy_container_metadata(
    source: InputContainer, out: OutputContainer, label: str | None, container: str, *, later: bool
) -> dict[str, str]:
    """Copy tags and timecode to the output, and label its color; a film that starts `later` loses its timecode.

    Returns:
        Options the muxer needs to keep every tag.
    """
    tags = {k: v for k, v in source.metadata.items() if k.lower() not in _MUXER_KEYS and k.lower() != "timecode"}
    code = timecode(source)
    if code is not None and not later:
        tags["timecode"] = code
    if label is not None:
        key = next((k for k in tags if k.lower() == "comment"), "comment")
        tags[key] = f"{tags[key]}; {label}" if tags.get(key) and label not in tags[key] else label
        tags |= label_tags(container)
    out.metadata.update(tags)
    unusual = {k.lower() for k in tags} - _ITUNES_KEYS
    return {"movflags": "+use_metadata_tags"} if unusual and container in ("mp4", "mov") else {}
