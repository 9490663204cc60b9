"""Everything in a film but its picture: copied packet by packet, in step with the picture, never held in memory."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition

from videocolor.video.opening import LEAP, clock_restarts, fraction, ignore, main_video, open_input, read_packets
from videocolor.video.recoding import SoundRecoder

__all__ = [
    "CHAPTERS",
    "TAGS",
    "TIMECODE",
    "StreamCopier",
    "add_copy",
    "copy_container_metadata",
    "is_cover",
    "is_dropped",
    "other_streams",
    "stream_name",
    "timecode",
]

log = logging.getLogger(__name__)

TIMECODE, CHAPTERS, TAGS = "timecode", "chapters", "tags"
"""How messages about what is left out begin, beside those about streams."""
_TRIAL_PACKETS = 300
"""Packets that are copied to try an output."""
_MUXER_KEYS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "duration"})
_STATISTICS = ("BPS", "DURATION", "NUMBER_OF_", "_STATISTICS", "encoder", "ENCODER", "vendor_id")
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
_SLACK = Fraction(10)
"""Seconds after the end of a trim, from which on no stream is expected to hold anything before it."""
_LONGEST_LINE = 60
"""Seconds before the start of a trim from which on subtitles are looked for that last over it."""
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""FFmpeg's layout for a number of channels."""


def timecode(container: InputContainer) -> str | None:
    """Return the film's start timecode, wherever its container keeps it."""
    for owner in (container, *container.streams):
        for key, value in owner.metadata.items():
            if key.lower() == "timecode":
                return str(value)
    return None


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
    out.metadata.update(tags)
    unusual = {k.lower() for k in tags} - _ITUNES_KEYS
    return {"movflags": "+use_metadata_tags"} if unusual and container in ("mp4", "mov") else {}


@dataclass
class _Track:
    """Where one stream is: its own clock, and what turns it into the film's."""

    last: Fraction | None = None
    """Time of the last packet as the stream counts it."""
    end: Fraction = Fraction(0)
    """End of the last packet in the film's time."""
    count: int = 0
    """How often the stream's clock restarted."""
    offset: Fraction = Fraction(0)


class StreamCopier:
    """Copies all streams but the picture from a demuxer of its own.

    Args:
        path: the source.
        dropped: sentences that begin with what is left out.
        recoded: numbers of the sound streams that are stored as PCM.
        trial: copy only the first packets.
    """

    def __init__(
        self, path: Path, dropped: tuple[str, ...], recoded: Iterable[int] = (), *, trial: bool = False
    ) -> None:
        self._path = path
        self._dropped, self._recoded = dropped, frozenset(recoded)
        self._most = _TRIAL_PACKETS if trial else None
        self._recoders: dict[int, SoundRecoder] = {}
        self._source = open_input(path)
        self._main = main_video(self._source, path)
        self._kept = [s for s in other_streams(self._source, path) if not is_dropped(stream_name(s), dropped)]
        self._kinds = {s.index: s.type for s in self._kept}
        self._covers = self._cover_packets()
        self._copies: dict[int, Any] = {}
        self._packets: Iterator[Packet[Any]] = iter(())
        self._ahead: Packet[Any] | None = None
        self._shift = Fraction(0)
        self._start: Fraction | None = None
        self._end: Fraction | None = None
        self._tracks: dict[int, _Track] = {}
        self._offsets = [Fraction(0)]
        self._latest = _Track()
        self._failed: dict[int, int] = {}
        self._errors: dict[str, int] = {}

    def warnings(self) -> tuple[str, ...]:
        """Return what could not be copied, in words."""
        lost = [
            f"{self._kinds[i]} stream {i}: {n} packets could not be copied" for i, n in sorted(self._failed.items())
        ]
        return (*lost, *(f"{n} x while copying the other streams: {what}" for what, n in self._errors.items()))

    def restarted(self, offsets: Iterable[Fraction]) -> None:
        """Note the seconds that turn the picture's times into the film's, one for each time its clock restarted."""
        self._offsets = [Fraction(0), *offsets]

    @property
    def source(self) -> InputContainer:
        """The second demuxer, for its metadata and chapters."""
        return self._source

    def close(self) -> None:
        """Close the second demuxer."""
        self._source.close()

    def _cover_packets(self) -> dict[int, Packet[Any]]:
        covers = [s for s in self._kept if is_cover(s)]
        found: dict[int, Packet[Any]] = {}
        if covers:
            with open_input(self._path) as container:
                same = [container.streams[s.index] for s in covers]
                for packet in read_packets(container, same):
                    if packet.size:
                        found.setdefault(packet.stream_index, packet)
                    if len(found) == len(covers):
                        break
        return found

    def add_streams(self, out: OutputContainer, container: str, add_picture: Any) -> Any:
        """Add all streams to the output in the source's order.

        Args:
            out: The output, before its header.
            container: Its muxer.
            add_picture: Called without arguments where the picture's turn comes; returns its stream.

        Returns:
            The picture's stream.
        """
        picture = None
        for stream in sorted((*self._kept, self._main), key=lambda s: s.index):
            if stream.index == self._main.index:
                picture = add_picture()
                picture.disposition = stream.disposition.value
                own = {k: v for k, v in stream.metadata.items() if not k.startswith(_STATISTICS)}
                picture.metadata.update({k: v for k, v in own.items() if k.lower() != "timecode"})
                continue
            if is_cover(stream) and stream.index not in self._covers:
                continue
            cover = bytes(self._covers[stream.index]) if is_cover(stream) else None
            if stream.index in self._recoded:
                self._recoders[stream.index] = SoundRecoder(out, stream)
                copy: Any = self._recoders[stream.index].stream
            else:
                copy = add_copy(out, stream, cover, container)
            if copy is not None:
                self._copies[stream.index] = copy
        return picture

    def begin(self, out: OutputContainer, shift: Fraction, start: Fraction | None, end: Fraction | None) -> None:
        """Start reading; `shift` seconds are taken off all times, and [start, end) seconds are kept."""
        self._out, self._shift, self._start, self._end = out, shift, start, end
        self._set_chapters(out)
        for index, packet in self._covers.items():
            if index in self._copies:
                packet.pts = packet.dts = 0
                packet.stream = self._copies[index]
                out.mux(packet)
        wanted = [s for s in self._kept if s.index in self._copies and s.index not in self._covers]
        for stream in self._source.streams:
            if stream not in wanted:
                ignore(stream)
        if not wanted:
            return
        if start is not None and not clock_restarts(self._path):
            early = _LONGEST_LINE if any(s.type == "subtitle" for s in wanted) else 1
            try:
                self._source.seek(max(0, int((start - early) * 1_000_000)))
            except FFmpegError as error:
                log.debug("cannot seek, copying from the beginning: %s", error)
        self._packets = islice(read_packets(self._source, wanted, self._unreadable), self._most)
        self._ahead = next(self._packets, None)

    def _unreadable(self, error: FFmpegError) -> None:
        what = f"the file is damaged or cut short ({error.strerror or error})"
        self._errors[what] = self._errors.get(what, 0) + 1

    def _set_chapters(self, out: OutputContainer) -> None:
        kept = []
        for chapter in () if is_dropped(CHAPTERS, self._dropped) else self._source.chapters():
            base = fraction(chapter["time_base"])
            if base is None:
                continue
            begin, end = (chapter[key] * base for key in ("start", "end"))
            if self._start is not None and end <= self._start:
                continue
            if self._end is not None and begin >= self._end:
                continue
            ticks = round(self._shift / base)
            moved = {"start": max(0, chapter["start"] - ticks), "end": max(1, chapter["end"] - ticks)}
            kept.append({**chapter, **moved, "time_base": base})
        if kept:
            out.set_chapters(kept)  # type: ignore[arg-type]

    def advance(self, until: Fraction | None) -> None:
        """Write all packets due by a time of the output in seconds; None: all that are left."""
        while self._ahead is not None:
            packet = self._ahead
            stamp = packet.dts if packet.dts is not None else packet.pts
            base = fraction(packet.time_base)
            if packet.size and (stamp is None or base is None):
                self._fail(packet.stream_index)
            elif packet.size and stamp is not None and base is not None:
                track = self._tracks.setdefault(packet.stream_index, _Track())
                place = self._place(track, stamp * base, until)
                if place is None or (until is not None and stamp * base + place[1] - self._shift > until):
                    return
                if self._end is not None and stamp * base + place[1] > self._end + _SLACK:
                    self._ahead = None
                    return
                track.last, (track.count, track.offset) = stamp * base, place
                track.end = track.last + track.offset + (packet.duration or 0) * base
                if track.end > self._latest.end:
                    self._latest = replace(track)
                self._copy(packet, base, track.offset)
            self._ahead = next(self._packets, None)
        if until is None:
            for recoder in self._recoders.values():
                self._out.mux(recoder.flush())

    def unlisted(self, known: Iterable[str]) -> bool:
        """Tell whether a stream is copied whose codec is not among those that a muxer lists (if it lists any)."""
        listed = set(known)
        copied = [s for s in self._kept if s.index not in self._recoded and s.type in ("audio", "subtitle")]
        return bool(listed) and any(s.codec_context.codec.name not in listed for s in copied if s.codec_context)

    def _place(self, track: _Track, time: Fraction, until: Fraction | None) -> tuple[int, Fraction] | None:
        """Return the count of time that a packet belongs to and its offset; None: only the picture will tell."""
        latest = self._latest
        if latest.count > track.count and (track.last is None or track.last - time < LEAP):
            # Sparse streams may restart with a later time than their last: the nearer reading is the right one.
            near, far = (abs(time + offset - latest.end) for offset in (latest.offset, track.offset))
            return (latest.count, latest.offset) if near < far else (track.count, track.offset)
        if track.last is None or track.last - time < LEAP:
            return track.count, track.offset
        if track.count + 1 < len(self._offsets):
            return track.count + 1, self._offsets[track.count + 1]
        if until is None and self._end is not None:
            self._ahead = None  # the picture ended before it came so far
            return None
        if until is None or until + self._shift > track.end + _SLACK:
            return track.count, track.end - time  # the picture goes on without such a step: so does this stream
        return None

    def _copy(self, packet: Packet[Any], base: Fraction, offset: Fraction) -> None:
        time = (packet.pts if packet.pts is not None else packet.dts or 0) * base + offset
        index = packet.stream_index
        text = self._copies[index].type == "subtitle"
        if self._end is not None and time >= self._end:
            return
        over = text and time + (packet.duration or 0) * base > self._shift
        if self._start is not None and time < self._start and not over:
            return
        ticks = round((offset - self._shift) / base)
        if packet.dts is not None:
            packet.dts += ticks
        if packet.pts is not None:
            packet.pts += ticks
            if text and self._start is not None and packet.pts < 0:  # a line that lasts over the start
                packet.duration = max(1, (packet.duration or 0) + packet.pts)
                packet.pts = packet.dts = 0
        try:
            self._put(packet, index)
        except FFmpegError as error:
            if isinstance(error, OSError):
                raise
            self._fail(index)

    def _put(self, packet: Packet[Any], index: int) -> None:
        if index in self._recoders:
            self._out.mux(self._recoders[index].recode(packet))
            return
        packet.stream = self._copies[index]
        self._out.mux(packet)

    def _fail(self, index: int) -> None:
        self._failed[index] = self._failed.get(index, 0) + 1
