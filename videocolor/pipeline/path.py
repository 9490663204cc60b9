"""THE DATA PATH: a film in, the same film in color out. Read this file first.

    frames       decoded one by one, luma as stored                            videocolor.video, .pipeline.reader
    prepare      luma at the size at which cuts are found                      videocolor.shots.prepare
    mark_shots   which shot each frame belongs to, and luma at its size        videocolor.shots.prepare
    with_motion  optical flow from each frame to the next                      videocolor.pipeline.frames
    color_shots  a*b* of every frame: the network sees keyframes, motion
                 propagates their color, a filter smooths it over time         videocolor.pipeline.shot
    finish       a*b* to the chroma plane's size, then to stored Cb, Cr        videocolor.pipeline.chroma
    write        the source's luma, our chroma, every other stream copied      videocolor.video

Each line is a generator in a separate thread with a bounded queue after it, so that decode, network, smoothing and
encode overlap, and memory holds a window of frames, never a film. Callers: `videocolor.shards.work`, which writes
shards that are joined when all are there, so that a run that was stopped can continue; `videocolor.colorize`, which
writes other films in one go; and `videocolor.preview`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import groupby
from typing import Final, TypeVar

from videocolor.concurrency.stages import prefetch, single_threaded_kernels
from videocolor.pipeline.chroma import FinishedFrame, finish_chroma
from videocolor.pipeline.film import Film
from videocolor.pipeline.frames import ColoredFrame, ShotFrame, with_motion
from videocolor.pipeline.reader import FilmReader, Part
from videocolor.pipeline.scheduling import frame_threads, motion_finder, queue_length, windows
from videocolor.pipeline.shot import Run, ShotColorizer
from videocolor.pipeline.slate import with_slate
from videocolor.shots.prepare import mark_shots, prepare
from videocolor.types import Frame

__all__ = ["color_frames", "color_shots", "colorize_film", "open_run"]

T = TypeVar("T")
_SHORT: Final = 8
"""Frames between stages that work evenly: only the network takes windows at once."""


def colorize_film(frames: Iterable[Frame], film: Film, run: Run) -> Generator[FinishedFrame, None, None]:
    """Every frame with its stored (Cb, Cr): all stages, each in a thread of its own."""
    queue = queue_length(film.info, film.config)
    colored = color_frames(frames, film, run)
    finished = prefetch(with_slate(finish_chroma(colored, film, run.log), film), queue, "chroma")
    # Closed from the last to the first, each with its thread, before the reader under them closes.
    with closing(colored), closing(finished):
        yield from finished


def color_frames(frames: Iterable[Frame], film: Film, run: Run) -> Generator[ColoredFrame, None, None]:
    """Every frame with its a*b* on the grid of prediction."""
    queue = queue_length(film.info, film.config)
    prepared = prefetch(prepare(frames, film.scan_size), min(queue, _SHORT), "decode")
    marked = ((shot, item.at(film.size(shot))) for shot, item in mark_shots(prepared, run.cuts, run.first_shot))
    moving = with_motion(marked, partial(motion_finder, film), frame_threads(film.info, film.config))
    ahead = prefetch(moving, queue, "motion")
    colored = prefetch(color_shots(ahead, film, run), queue, "color")
    with closing(prepared), closing(ahead), closing(colored):
        yield from colored


def color_shots(frames: Iterable[ShotFrame], film: Film, run: Run) -> Iterator[ColoredFrame]:
    """Color shot after shot, each in windows; nothing but reused hints crosses a cut."""
    for _, items in groupby(frames, key=lambda frame: frame.shot):
        shot = ShotColorizer(items, film, run)
        for window in windows(shot.frames, shot.schedule, shot.progress.next + shot.progress.waiting):
            run.may_pause(shot, window[0])
            yield from shot.step(window)
        yield from shot.finish()


@contextmanager
def open_run(
    film: Film,
    run: Run,
    stages: Callable[[Iterable[Frame], Film, Run], Generator[T, None, None]],
    part: Part | None = None,
) -> Iterator[tuple[FilmReader, Generator[T, None, None]]]:
    """Open a film, or a part of it, for one run: its reader, and what the stages make of its frames.

    Args:
        film: settled by `open_film`.
        run: the shots, and the shards that they go to.
        stages: `colorize_film`, or `color_frames` where the caller finishes the chroma.
        part: None: the entire film.
    """
    reader = FilmReader(film.source, film.config, film.info, part)
    with single_threaded_kernels(), reader, closing(stages(reader, film, run)) as frames:
        yield reader, frames
