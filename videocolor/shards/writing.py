"""Finished frames go into shard files, each with its record."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from videocolor.events import RunLog, ShotRecord
from videocolor.pipeline.chroma import FinishedFrame
from videocolor.pipeline.film import Film
from videocolor.record import describe_model
from videocolor.shards.records import as_dict, shard_path, write_record
from videocolor.shards.types import ShardRecord, Tell
from videocolor.shots.scan import one_frame
from videocolor.types import Frame
from videocolor.video import ShardSink, VideoWriter

__all__ = ["ShardWriter", "Written", "write_all"]

_REPORT_EVERY: Final = 0.25
"""Seconds between two progress reports."""


class ShardWriter:
    """Finished frames go into shard files; each gets its record when it is complete."""

    def __init__(
        self, film: Film, folder: Path, log: RunLog, tell: Tell, keyed: Callable[[int, Written], str], frames: int = 0
    ) -> None:
        self._film, self._folder, self._log, self._tell, self._keyed = film, folder, log, tell, keyed
        self._writer: VideoWriter | None = None
        self._sink: ShardSink | None = None
        self._now: Written | None = None
        self._reported = time.monotonic()
        self._frames = frames
        self.records: dict[int, ShardRecord] = {}

    def write(self, done: FinishedFrame) -> None:
        """One more frame."""
        self._log.go_on()
        if self._now is None or self._now.number != done.shard:
            self.close()
            self._now = Written(done.shard, done.frame, one_frame(self._film.info))
            path = shard_path(self._folder, done.shard)
            path.with_suffix(".json").unlink(missing_ok=True)
            trimmed = self._film.config.input.start is not None
            self._writer, self._sink = VideoWriter.into_shard(self._film.info, self._film.plan, path, trimmed=trimmed)
        assert self._writer is not None
        key = self._now.add(done)
        self._writer.write(done.frame, done.cb, done.cr, key=key)
        self._log.warn(*self._writer.warnings)
        self._frames += 1
        if time.monotonic() - self._reported > _REPORT_EVERY:
            self._reported = time.monotonic()
            self._tell({"kind": "progress", "frames": self._frames})

    def close(self) -> None:
        """Complete the shard: sync it, write its record, report it."""
        if self._writer is None or self._sink is None or self._now is None:
            return
        report = self._writer.close()
        log, now = self._log, self._now
        record = ShardRecord(
            number=now.number,
            key=self._keyed(now.number, now),
            file=self._sink.path.name,
            sha256=self._sink.sha256,
            bytes=self._sink.bytes,
            frames=report.frames,
            first_pts=report.first_pts,
            last_pts=report.last_pts,
            seconds=round(time.monotonic() - now.began, 3),
            worker=f"{socket.gethostname()}:{os.getpid()}",
            shots=tuple(shot.as_dict() for shot in now.shots),
            warnings=tuple(log.warnings),
            notes={
                "reproduced": sorted(i for i in log.reproduced if now.start <= i < now.start + report.frames),
                "said": list(log.notes),
                **describe_model(self._film.colorizer, self._film.config),
            },
        )
        write_record(self._folder, record)
        self.records[now.number] = record
        self._tell({"kind": "shard", "record": as_dict(record)})
        self._writer = self._sink = self._now = None

    def abort(self) -> None:
        """Remove the incomplete shard."""
        if self._writer is not None:
            self._writer.abort()


class Written:
    """What is known of a shard while it is written."""

    def __init__(self, number: int, first: Frame, one_frame: int) -> None:
        self.number, self.start, self.start_pts = number, first.index, first.pts
        self.end_pts, self._one = first.pts, one_frame
        self.began = time.monotonic()
        self.shots: list[ShotRecord] = []
        self.last_pts: list[int] = []
        self.frames = 0

    def add(self, done: FinishedFrame) -> bool:
        """Note a frame; whether a shot begins with it."""
        begins = not self.shots or self.shots[-1] is not done.shot
        if begins:
            self.shots.append(done.shot)
            self.last_pts.append(done.frame.pts)
        self.last_pts[-1] = done.frame.pts
        self.end_pts = done.frame.pts + (done.frame.duration or self._one)
        self.frames += 1
        return begins


def write_all(frames: Iterable[FinishedFrame], writing: ShardWriter, last: int | None) -> None:
    """Write frames up to the end of shard `last`; None: all."""
    try:
        for done in frames:
            if last is not None and done.shard > last:
                break
            writing.write(done)
        writing.close()
    except BaseException:
        writing.abort()
        raise
