"""THE DATA PATH: a film in, the same film in colour out. Read this file first.

    frames      decoded one by one, luma as stored                          videocolor.video, .film
    prepare     luma at the network's working size                          videocolor.pipeline.prepare
    mark_shots  which shot each frame belongs to                            videocolor.shots.shotlist
    find_motion from each frame to the next, ahead of the network           videocolor.motion.lookahead, .flow
    color_shots a*b* of every frame: network on anchors, fused along motion videocolor.models, .smoothing
    bring_up    a*b* to the chroma plane's size, then to stored Cb, Cr      videocolor.pipeline.upsample, .color
    write       the source's luma, our chroma, every other stream copied    videocolor.video

Each line is a generator in a thread of its own behind a bounded queue, so decode, network, smoothing and
encode overlap, and memory holds a window of frames, never a film. What is written is shards of the film, which
are joined when all are there (videocolor.batch): a run that was stopped goes on where it stood.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, groupby, islice
from typing import Final

import cv2
import numpy as np

from videocolor.color import ChromaTable
from videocolor.concurrency.stages import prefetch, spread
from videocolor.events import ShotRecord
from videocolor.hints.plan import hint_input
from videocolor.models.base import HintInput
from videocolor.motion.lookahead import with_motion
from videocolor.pipeline.boundaries import Boundaries, OneShard
from videocolor.pipeline.film import Film
from videocolor.pipeline.prepare import Cuts, Prepared, mark_shots, prepare
from videocolor.pipeline.propagated import PropagatedColors, blend_propagated, propagated_input
from videocolor.pipeline.propagation import HintPropagator
from videocolor.pipeline.references import ReferenceColor, ShotHints, reference_color
from videocolor.pipeline.reuse import ReferenceShots, SeenReferenceShots, SelfReferences, self_references
from videocolor.pipeline.scheduling import frame_cost, frame_threads, fusion, motion_finder, queue_length, window_frames
from videocolor.pipeline.smoothing import ChromaSmoother, Observation
from videocolor.pipeline.source_chroma import kept_chroma, source_color
from videocolor.pipeline.upsample import bilinear_chroma, plane_luma, scaled_chroma, upsample_chroma
from videocolor.types import Array, Frame

__all__ = [
    "Colored",
    "Finished",
    "Run",
    "chroma_at",
    "color_film",
    "color_frames",
    "color_shots",
]

_SHORT: Final = 8
"""Frames between stages that work evenly: only the network takes windows at once."""
_LENT: Final = 8
"""Lenders whose colours a run keeps at hand."""
_HINT_PRECISION: Final = 1e4
"""Weight of a painted frame against the network's 1: motion carries it, nothing averages it away."""
Memory = dict[str, Array]
"""What a shot remembers where a shard ends inside it."""


def _nothing_to_keep(memory: Memory) -> None:
    raise ValueError("no shard ends inside a shot here")


@dataclass(eq=False)
class Run:
    """The part of a film that is coloured in one go, and what it must know of the rest."""

    cuts: Cuts
    lenders: ReferenceShots = field(default_factory=SeenReferenceShots)
    boundaries: Boundaries = field(default_factory=OneShard)
    shot: int = 0
    """Number of the first shot."""
    shard: int = 0
    """Number of the shard that is being coloured; counts up."""
    opens: Memory | None = None
    """Where the run begins inside a shot: what the shot remembered there."""
    keep: Callable[[Memory], None] = _nothing_to_keep
    """Called where shard number `shard` ends inside a shot."""
    lent: dict[int, list[HintInput]] = field(default_factory=dict)
    """Colours of lenders that were asked for."""

    def ends(self, index: int, passed: float, *, inside: bool) -> bool:
        """Whether a shard ends before frame `index`; see `Boundaries`."""
        return self.boundaries.ends(index, passed, inside=inside)


@dataclass(frozen=True, eq=False)
class Place:
    """Where in the run a frame belongs."""

    shot: ShotRecord
    shard: int


@dataclass(frozen=True, eq=False)
class Colored:
    """A frame and its colour on the grid of prediction."""

    item: Prepared
    hint: Array | None
    """(2, H, W) a*b* of the hint that is this frame, on the chroma plane's grid."""
    ab: Array
    """(2, h, w) float32 CIE a*b*."""
    arrivals: PropagatedColors
    """What motion brought here of painted frames, and of pictures that show the scene."""
    place: Place


@dataclass(frozen=True, eq=False)
class Finished:
    """A frame and its chroma, as they are written."""

    frame: Frame
    cb: Array
    cr: Array
    place: Place


def color_film(frames: Iterable[Frame], film: Film, run: Run) -> Generator[Finished, None, None]:
    """Every frame with its stored (Cb, Cr): the stages, each in a thread of its own."""
    queue = queue_length(film.info, film.config)
    colored = color_frames(frames, film, run)
    finished = prefetch(bring_up(colored, film), queue, "chroma")
    # Closed from the last to the first, each with its thread, before the reader under them closes.
    with closing(colored), closing(finished):
        yield from finished


def color_frames(frames: Iterable[Frame], film: Film, run: Run) -> Generator[Colored, None, None]:
    """Every frame with its colour on the grid of prediction."""
    queue = queue_length(film.info, film.config)
    prepared = prefetch(prepare(frames, film.size), min(queue, _SHORT), "decode")
    marked = mark_shots(prepared, run.cuts, run.shot)
    moved = with_motion(marked, partial(motion_finder, film), frame_threads(film.info, film.config))
    ahead = prefetch(moved, queue, "motion")
    colored = prefetch(color_shots(ahead, film, run), queue, "color")
    with closing(prepared), closing(ahead), closing(colored):
        yield from colored


def color_shots(marked: Iterable[tuple[int, Prepared]], film: Film, run: Run) -> Iterator[Colored]:
    """Colour shot after shot; colour memory never crosses a cut."""
    passed = 0.0
    for number, pairs in groupby(marked, key=lambda pair: pair[0]):
        items = (item for _, item in pairs)
        first = next(items)
        if run.ends(first.frame.index, passed, inside=False):
            run.shard += 1
        passed = yield from color_shot(number, first, items, film, run)


def color_shot(
    number: int, first: Prepared, rest: Iterator[Prepared], film: Film, run: Run
) -> Generator[Colored, None, float]:
    """Colour one shot: the network sees the anchors, motion carries their colour to the frames between.

    Returns:
        The cost of the frames since a shard could have ended last.
    """
    (stride, smoother, carrier), seen_size = fusion(film, number), film.seen_size(number)
    waiting: deque[tuple[Prepared, Array | None]] = deque()
    inputs, record = _shot_hints(number, first, film, run)
    told = ShotHints(number, inputs, film, None if carrier is None else carrier.flow)
    own = self_references(film, inputs, asked=bool(record.hints))
    items, last, opens = chain([first], rest), first, run.opens
    place, passed, paused, cost = Place(record, run.shard), 0.0, False, frame_cost(film, number)
    run.opens = None
    if opens is not None:
        _recall(opens, smoother, carrier, own, told)
        held = islice(items, 0 if smoother is None else smoother.delayed)
        waiting.extend((item.without_step(), _picture(reference_color(number, item, film))) for item in held)
    memory = film.colorizer.begin([*told.inputs, *own.hints])
    while window := list(islice(items, window_frames(film, number))):
        following = (waiting[0][0] if waiting else window[0]).frame
        if paused and run.ends(following.index, passed, inside=True):
            run.keep(_memory(smoother, carrier, own, told))
            film.log.shot_done(record.cut(following))
            run.shard, record = run.shard + 1, record.continued(following)
            place = Place(record, run.shard)
        passed = 0.0 if paused else passed
        painted = {
            i: both for i, item in enumerate(window) if (both := reference_color(number, item, film)) is not None
        }
        if cleaned := told.clean(window, painted):
            memory = film.colorizer.begin([*told.inputs, *own.hints])
        given = painted | cleaned
        grays, steps = [i.gray for i in window], [i.step for i in window]
        chosen = range(len(window)) if smoother is None else smoother.plan(grays, stride, steps=steps)
        anchors = [i for i in chosen if i not in painted]
        arrivals: list[PropagatedColors] = [()] * len(window)
        if smoother is not None and carrier is not None:
            whole = {i: color.picture for i, color in given.items()}
            arrivals = carrier.follow(grays, smoother.planned_steps(), whole, told.ahead(window[0]))
        carried = [propagated_input(arrivals[i], window[i].gray, film.seen_grid(number)) for i in anchors]
        seen = film.predictor.predict(memory, [window[i].luma_at(seen_size) for i in anchors], carried)
        observed: dict[int, Observation] = dict(zip(anchors, seen.observations(), strict=True))
        observed |= {i: (color.small, _HINT_PRECISION) for i, color in given.items()}
        record.add(window[-1].frame, seen.confidence)
        if own.look([window[i].luma for i in anchors], seen):
            memory = film.colorizer.begin([*told.inputs, *own.hints])
        last = window[-1]
        for i, item in enumerate(window):
            waiting.append((item.without_step(), _picture(painted.get(i))))
            if smoother is not None:
                smoother.push(item.gray, observed.get(i))
        ready = [observed[i][0] for i in range(len(window))] if smoother is None else smoother.pop()
        for ab in ready:
            yield Colored(*waiting.popleft(), ab, () if carrier is None else carrier.leave(), place)
        passed += cost * len(ready)
        paused = bool(ready)
    left = [] if smoother is None else smoother.finish()
    for ab in left:
        yield Colored(*waiting.popleft(), ab, () if carrier is None else carrier.leave(), place)
    run.lenders.leave(number, None if opens is not None else first, last, record.reuses)
    film.log.shot_done(record)
    return passed + cost * len(left)


def bring_up(colored: Iterable[Colored], film: Film) -> Iterator[Finished]:
    """Bring colour to the chroma plane, guided by luma, and turn it into stored (Cb, Cr)."""
    plan, chroma = film.plan, film.config.chroma
    table = ChromaTable(plan.color, plan.layout.depth)

    def noted() -> Iterator[tuple[Colored, bool]]:
        for work in colored:
            kind = source_color(work.item.frame)
            film.log.note_source(kind, chroma.keep_source)
            yield work, chroma.keep_source and kind != "none"

    def finish(one: tuple[Colored, bool]) -> Finished:
        (work, kept), frame = one, one[0].item.frame
        if kept:
            return Finished(frame, *kept_chroma(frame, plan), work.place)
        luma = plane_luma(frame.luma, frame.layout.depth, frame.color.range, plan.chroma_size)
        ab = chroma_at(work, luma, film)
        return Finished(frame, *table.codes(luma, ab, film.saturation(work.place.shot.number)), work.place)

    yield from spread(finish, noted(), frame_threads(film.info, film.config))


def chroma_at(work: Colored, luma: Array, film: Film) -> Array:
    """(2, h, w) a*b* of a coloured frame on the grid of `luma`, (h, w) float32 Y' in 0..1 of the same frame."""
    if work.hint is not None:
        return work.hint if work.hint.shape[1:] == luma.shape else scaled_chroma(work.hint, luma.shape)
    if film.config.chroma.upsample == "guided":
        up = upsample_chroma(work.ab, _luma_at(work), luma)
    else:
        up = bilinear_chroma(work.ab, luma.shape)
    return blend_propagated(up, work.arrivals) if work.arrivals else up


def _shot_hints(number: int, first: Prepared, film: Film, run: Run) -> tuple[list[HintInput], ShotRecord]:
    """What the network is told at the start of a shot: its hints, else an earlier shot that it returns to."""
    begin = (first.frame.index, first.frame.pts, first.frame.time_base)
    record = ShotRecord(number, *begin, saturation=film.saturation(number))
    takes = film.colorizer.card.hints
    if takes == "none":
        return [], record
    most = 1 if takes == "one" else None
    planned = film.hints.for_shot(number)[:most]
    record.hints = [p.hint.name for p in planned]
    inputs = [hint_input(p.hint, film.seen_size(number), in_shot=p.own == number) for p in planned]
    if not inputs:
        record.reuses = run.lenders.lender(number, first)
        if record.reuses is not None:
            inputs = _lent(record.reuses, film, run)[:most]
    return inputs, record


def _lent(lender: int, film: Film, run: Run) -> list[HintInput]:
    """What a shot lends to those that return to it: its first and its last frame, as the network alone colours them."""
    if lender not in run.lent:
        most = 1 if film.colorizer.card.hints == "one" else None
        own = [hint_input(p.hint, film.size, in_shot=p.own == lender) for p in film.hints.for_shot(lender)[:most]]
        lumas = run.lenders.lumas(lender)
        seen = film.predictor.predict(film.colorizer.begin(own), lumas)
        size = film.size[::-1]
        whole = (np.stack([cv2.resize(c, size, interpolation=cv2.INTER_LINEAR) for c in ab]) for ab in seen.ab)
        run.lent[lender] = [HintInput(luma, ab) for luma, ab in zip(lumas, whole, strict=True)]
        while len(run.lent) > _LENT:
            del run.lent[next(iter(run.lent))]
    return run.lent[lender]


def _memory(*parts: ChromaSmoother | HintPropagator | SelfReferences | ShotHints | None) -> Memory:
    """What the rest of a shot depends on."""
    return {f"{n}.{key}": v for n, part in enumerate(parts) if part is not None for key, v in part.memory().items()}


def _recall(memory: Memory, *parts: ChromaSmoother | HintPropagator | SelfReferences | ShotHints | None) -> None:
    """Take up what `_memory` of the same parts returned."""
    for n, part in enumerate(parts):
        if part is not None:
            part.recall({key.removeprefix(f"{n}."): v for key, v in memory.items() if key.startswith(f"{n}.")})


def _luma_at(work: Colored) -> Array:
    """The guide on the grid of the predicted colour."""
    luma = work.item.luma
    if luma.shape == work.ab.shape[1:]:
        return luma
    return plane_luma(luma, 8, "full", (work.ab.shape[2], work.ab.shape[1]))


def _picture(painted: ReferenceColor | None) -> Array | None:
    return None if painted is None else painted.picture
