"""Everything in a film but its picture: copied packet by packet, in step with the picture, never held in memory."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.format import Flags
from av.packet import Packet

from videocolor.video.opening import LEAP, clock_restarts, fraction, ignore, main_video, open_input, read_packets
from videocolor.video.packets import PacketSums, StreamDigest, attached_files, cover_packets
from videocolor.video.pipes import window_of
from videocolor.video.recoding import Recoder, SoundRecoder, SubtitleRecoder
from videocolor.video.streams import (
    CHAPTERS,
    STATISTICS,
    add_copy,
    is_cover,
    is_dropped,
    other_streams,
    stream_name,
)

__all__ = ["StreamCopier"]

log = logging.getLogger(__name__)

_TRIAL_PACKETS = 300
"""Packets that are copied to try an output."""
_SLACK = Fraction(10)
"""Seconds after the end of a trim, from which on no stream is expected to hold anything before it."""
_AHEAD = Fraction(2)
"""Seconds of picture that are read ahead of the picture's writing where the film comes through a pipe: sound of one
time may come later than its picture."""
_LONGEST_LINE = 60
"""Seconds before the start of a trim from which on subtitles are looked for that last over it."""


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


def _ticks(time: int, base: Fraction, unit: Fraction) -> int:
    """Convert ticks as FFmpeg does: halves go away from zero."""
    ratio = abs(time) * base / unit
    return int(math.copysign(math.floor(ratio + Fraction(1, 2)), time))


class StreamCopier:
    """Copies all streams but the picture from a demuxer of its own.

    Args:
        path: the source.
        dropped: sentences that begin with what is left out.
        recoded: numbers of the streams that are stored otherwise: sound as PCM, subtitles as the container's kind.
        trial: copy only the first packets.
    """

    def __init__(
        self, path: Path, dropped: tuple[str, ...], recoded: Iterable[int] = (), *, trial: bool = False
    ) -> None:
        self._path = path
        self._dropped, self._recoded = dropped, frozenset(recoded)
        self._most = _TRIAL_PACKETS if trial else None
        self._recoders: dict[int, Recoder] = {}
        self._source = open_input(path)
        self._main = main_video(self._source, path)
        self._kept = [s for s in other_streams(self._source, path) if not is_dropped(stream_name(s), dropped)]
        copies = [s for s in self._kept if s.index not in self._recoded and s.codec_context is not None]
        self._sums = PacketSums({s.index: s.codec_context.name for s in copies})
        self._covers = self._cover_packets()
        names = {stream_name(s) for s in self._kept if is_cover(s) or s.type == "attachment"}
        self.attached = [digest for digest in attached_files(path) if digest.stream in names] if names else []
        """Digests of covers and attachments; read now, as a pipe's beginning is gone later."""
        self._copies: dict[int, Any] = {}
        self._packets: Iterator[Packet[Any]] = iter(())
        self._ahead: Packet[Any] | None = None
        self._shift = Fraction(0)
        self._start: Fraction | None = None
        self._end: Fraction | None = None
        self._tracks: dict[int, _Track] = {}
        self._picture = _Track()
        """Of the picture's packets, which are looked at, not copied, where the film comes through a pipe."""
        self._offsets = [Fraction(0)]
        self._latest = _Track()
        self._failed: dict[int, int] = {}
        self._errors: dict[str, int] = {}
        self._written: dict[int, int] = {}
        """Decoding time of the last packet of each stream, in ticks of the output."""

    def warnings(self) -> tuple[str, ...]:
        """Return what could not be read, in words."""
        return tuple(f"{n} x while copying the other streams: {what}" for what, n in self._errors.items())

    def lost(self) -> str:
        """Return which packets the container did not take, in words; empty: none."""
        names = {s.index: stream_name(s) for s in self._kept}
        return ", ".join(f"{n} packets of {names[i]}" for i, n in sorted(self._failed.items()))

    def copied(self) -> dict[int, StreamDigest]:
        """Return the digest of each stream but covers and attachments, by its number in the output."""
        found = {}
        for stream in self._kept:
            copy, recoder = self._copies.get(stream.index), self._recoders.get(stream.index)
            if copy is not None and stream.index not in self._covers:
                stored = "" if recoder is None else str(recoder.stream.codec_context.name)
                found[copy.index] = self._sums.digest(stream.index, stream_name(stream), stored)
        return found

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
        covers = [s.index for s in self._kept if is_cover(s)]
        if not covers:
            return {}
        with open_input(self._path) as container:
            return cover_packets(container, [container.streams[index] for index in covers])

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
                own = {k: v for k, v in stream.metadata.items() if not k.startswith(STATISTICS)}
                picture.metadata.update({k: v for k, v in own.items() if k.lower() != "timecode"})
                continue
            if is_cover(stream) and stream.index not in self._covers:
                continue
            cover = bytes(self._covers[stream.index]) if is_cover(stream) else None
            if stream.index in self._recoded:
                recoder = (
                    SoundRecoder(out, stream) if stream.type == "audio" else SubtitleRecoder(out, stream, container)
                )
                self._recoders[stream.index] = recoder
                copy: Any = recoder.stream
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
        if window_of(self._path) is not None:
            wanted.append(self._main)
        if not wanted:
            return
        for stream in self._source.streams:
            if stream not in wanted:
                ignore(stream)
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
            picture = packet.stream_index == self._main.index
            if self._waits(packet, until) if picture else not self._take(packet, until):
                return
            self._ahead = next(self._packets, None)
        if until is None:
            for index, recoder in self._recoders.items():
                self._put_recoded(recoder.flush(), index)

    def _take(self, packet: Packet[Any], until: Fraction | None) -> bool:
        """Copy a packet; False: it is not due yet, or is after the end."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        base = fraction(packet.time_base)
        if packet.size and stamp is None and base is not None:
            stamp = self._stamped(packet, base)
        if packet.size and (stamp is None or base is None):
            self._fail(packet.stream_index)
        elif packet.size and stamp is not None and base is not None:
            track = self._tracks.setdefault(packet.stream_index, _Track())
            place = self._place(track, stamp * base, until)
            if place is None or (until is not None and stamp * base + place[1] - self._shift > until):
                return False
            if self._end is not None and stamp * base + place[1] > self._end + _SLACK:
                self._ahead = None
                return False
            track.last, (track.count, track.offset) = stamp * base, place
            track.end = track.last + track.offset + (packet.duration or 0) * base
            if track.end > self._latest.end:
                self._latest = replace(track)
            self._copy(packet, base, track.offset)
        return True

    def _waits(self, packet: Packet[Any], until: Fraction | None) -> bool:
        """Tell whether a packet of the picture is so far on that nothing after it is due."""
        track, base = self._picture, fraction(packet.time_base)
        if packet.dts is None or base is None:
            return False
        time = packet.dts * base
        restarted = track.last is not None and track.last - time >= LEAP
        track.count = min(track.count + restarted, len(self._offsets) - 1)
        track.last = time
        return until is not None and time + self._offsets[track.count] - self._shift > until + _AHEAD

    def _stamped(self, packet: Packet[Any], base: Fraction) -> int | None:
        """Give a packet without a time one after that of the packet before, if there is one."""
        track = self._tracks.get(packet.stream_index)
        if track is not None:
            packet.pts = packet.dts = round((track.end - track.offset) / base)
        return packet.dts

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
        if not packet.duration and self._copies[index].type == "audio":
            packet.duration = 1  # less than a tick: MP4 would end the film before its last packet
        if index not in self._recoders:
            self._sums.add(index, packet)
        try:
            self._put(packet, index)
        except FFmpegError as error:
            if isinstance(error, OSError):
                raise
            self._fail(index)

    def _put(self, packet: Packet[Any], index: int) -> None:
        recoder = self._recoders.get(index)
        if recoder is None:
            self._write(packet, index)
        else:
            self._put_recoded(recoder.recode(packet), index)

    def _put_recoded(self, packets: Iterable[Packet[Any]], index: int) -> None:
        for packet in packets:
            self._sums.add(index, packet)
            self._write(packet, index)

    def _write(self, packet: Packet[Any], index: int) -> None:
        """Write a packet, after the one before: where parts of a film overlap, its time moves as far as it must."""
        packet.stream = self._copies[index]
        self._out.start_encoding()  # the muxer may choose another unit of time with its header
        base, unit = fraction(packet.time_base), fraction(packet.stream.time_base)
        if packet.dts is not None and base is not None and unit is not None:
            flags: Any = self._out.format.flags  # a plain number, whatever PyAV's stubs say
            strict = not getattr(flags, "value", flags) & Flags.ts_nonstrict.value
            due, last = _ticks(packet.dts, base, unit), self._written.get(index)
            if last is not None and due < last + strict:
                due = last + strict
                later = due if packet.pts is None else max(due, _ticks(packet.pts, base, unit))
                packet.duration = _ticks(packet.duration or 0, base, unit)
                packet.time_base, packet.dts, packet.pts = unit, due, later
            self._written[index] = due
        self._out.mux(packet)

    def _fail(self, index: int) -> None:
        self._failed[index] = self._failed.get(index, 0) + 1
