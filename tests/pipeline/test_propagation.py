"""A hint's color on its way through a shot: where it goes, what is trusted, what is mended."""

from __future__ import annotations

from itertools import pairwise, product

import cv2
import numpy as np
import pytest
import skimage.data

from videocolor.motion.flow import FlowEstimator, Step, grid
from videocolor.pipeline.propagated import (
    PropagatedColor,
    PropagatedColors,
    ReferenceFrame,
    blend_propagated,
    judge,
    missing_grain,
    photometric_residual,
    propagated_input,
    unpainted_share,
)
from videocolor.pipeline.propagation import (
    PROPAGATORS,
    SEARCH_EVERY,
    CoordinateMap,
    HintPropagator,
    Propagator,
    TrackState,
)
from videocolor.pipeline.state import from_arrays, to_arrays
from videocolor.types import Array

HEIGHT, WIDTH = 96, 160


def world() -> tuple[Array, Array]:
    """(h, w) float32 luma in 8-bit levels and (2, h, w) a*b*, larger than a frame."""
    rgb = cv2.resize(skimage.data.astronaut(), (320, 320), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    return rgb.mean(axis=2).astype(np.float32), np.moveaxis(lab[..., 1:], -1, 0)


def view(plane: Array, x: float, y: float = 0.0) -> Array:
    return cv2.getRectSubPix(plane, (WIDTH, HEIGHT), (120 + x, 110 + y))


def pan(frames: int, speed: float) -> tuple[list[Array], list[Array]]:
    """Grays and a*b* of a camera that moves to the right."""
    luma, ab = world()
    grays = [np.rint(view(luma, speed * i)).clip(0, 255).astype(np.uint8) for i in range(frames)]
    return grays, [np.stack([view(plane, speed * i) for plane in ab]) for i in range(frames)]


def steps_of(grays: list[Array], flow: FlowEstimator) -> list[Step]:
    pictures = [flow.prepare(gray) for gray in grays]
    return [(pictures[0], None), *((b, flow.motion(a, b)) for a, b in pairwise(pictures))]


def painted(gray: Array, ab: Array, flow: FlowEstimator) -> ReferenceFrame:
    return ReferenceFrame(np.ascontiguousarray(np.moveaxis(ab, 0, -1)), gray, flow.prepare(gray))


def believed(hint: ReferenceFrame, at: Array, told: Array, taken: Array) -> PropagatedColor:
    """An arrival that was judged already."""
    arrival = PropagatedColor(hint, at, told, hint.picture)
    vars(arrival)["judged"] = (told, taken)
    return arrival


def only(arrivals: PropagatedColors) -> PropagatedColor:
    (arrival,) = arrivals
    return arrival


def told(arrivals: PropagatedColors, gray: Array, shape: tuple[int, int]) -> Array:
    planes = propagated_input(arrivals, gray, shape)
    assert planes is not None
    return planes


def same(one: PropagatedColors, other: PropagatedColors) -> None:
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine.chroma(HEIGHT, WIDTH), theirs.chroma(HEIGHT, WIDTH))
        np.testing.assert_array_equal(mine.confidence, theirs.confidence)
        np.testing.assert_array_equal(mine.weight, theirs.weight)


def test_color_arrives_where_its_place_has_gone() -> None:
    grays, truth = pan(21, 1.5)
    flow = FlowEstimator("detailed")
    (arrival,) = HintPropagator(flow).follow(grays, steps_of(grays, flow), {0: truth[0]})[20]
    ab = np.moveaxis(arrival.chroma(HEIGHT, WIDTH), -1, 0)
    trust, brighter = told((arrival,), grays[20], (HEIGHT, WIDTH))[2:]
    inside = (slice(None), slice(8, -8), slice(8, WIDTH - 40))
    error, still = np.abs(ab - truth[20])[inside].mean(), np.abs(truth[0] - truth[20])[inside].mean()
    assert error < 0.15 * still
    assert trust[8:-8, 8:-40].mean() > 0.9 and trust[:, -20:].mean() < 0.2  # what came in on the right was not there
    assert abs(float(brighter[8:-8, 8:-40].mean())) < 0.01


def test_later_windows_change_nothing() -> None:
    grays, truth = pan(12, 1.0)
    flow = FlowEstimator("detailed")
    steps = steps_of(grays, flow)
    whole = HintPropagator(flow).follow(grays, steps, {2: truth[2]})
    parts = HintPropagator(flow)
    pieces = parts.follow(grays[:5], steps[:5], {2: truth[2]}) + parts.follow(grays[5:], steps[5:], {})
    assert [len(a) for a in whole] == [1, 1, 0] + [1] * 9
    for number in (0, 1, *range(3, 12)):
        got = told(whole[number], grays[number], (48, 80))
        np.testing.assert_array_equal(got, told(pieces[number], grays[number], (48, 80)))
        assert got.shape == (4, 48, 80)


def test_a_later_hint_takes_over() -> None:
    grays, _ = pan(4, 0.0)
    flow = FlowEstimator("detailed")
    red, blue = np.full((2, 20, 30), 50, np.float32), np.full((2, 40, 60), -40, np.float32)
    came = HintPropagator(flow).follow(grays, steps_of(grays, flow), {0: red, 2: blue})
    earlier, later = (color.chroma(48, 80) for color in came[1])
    assert earlier == pytest.approx(50) and later == pytest.approx(-40), "between them both"
    assert only(came[3]).chroma(48, 80) == pytest.approx(-40)
    assert came[2] == ()  # it is the hint itself


def continued(propagator: Propagator) -> HintPropagator:
    """Another one that goes on from the state of this one."""
    other = HintPropagator(FlowEstimator("detailed"))
    arrays = to_arrays({"propagation": propagator.state})
    other.state = from_arrays({"propagation": TrackState}, arrays)["propagation"]
    return other


def test_another_one_goes_on_from_the_state() -> None:
    grays, truth = pan(12, 1.0)
    flow = FlowEstimator("detailed")
    steps = steps_of(grays, flow)
    whole = HintPropagator(flow).follow(grays, steps, {1: truth[1], 4: truth[4]})
    first = HintPropagator(flow)
    begun = first.follow(grays[:6], steps[:6], {1: truth[1], 4: truth[4]})
    rest = continued(first).follow(grays[6:], steps[6:], {})
    assert [len(colors) for colors in whole] == [1, 0, 2, 2, 0, *[1] * 7]
    for one, other in zip(whole, begun + rest, strict=True):
        same(one, other)


@pytest.mark.parametrize("name", PROPAGATORS)
def test_every_method_keeps_the_contract(name: str) -> None:
    """A tuple for every frame, nothing at the references, and a state that can be stored."""
    grays, truth = pan(5, 1.0)
    flow = FlowEstimator("detailed")
    propagator = PROPAGATORS[name](flow)
    colors = propagator.follow(grays, steps_of(grays, flow), {2: truth[2]})
    assert len(colors) == 5 and colors[2] == () and all(isinstance(one, tuple) for one in colors)
    arrays = to_arrays({"part": propagator.state})
    assert to_arrays(from_arrays({"part": type(propagator.state)}, arrays)).keys() == arrays.keys()


def test_without_hints_nothing_is_tracked() -> None:
    grays, _ = pan(3, 1.0)
    flow = FlowEstimator("detailed")
    first = HintPropagator(flow)
    assert first.follow(grays, steps_of(grays, flow), {}) == [()] * 3
    assert continued(first).state.since == 3


def test_fine_color_of_the_painted_frame_comes_back() -> None:
    """Stripes that the small grid cannot show are there again, a pan later, and only where they were seen."""
    grays, _ = pan(9, 2.0)
    flow = FlowEstimator("detailed")
    stripes = np.tile(np.where(np.arange(400) % 4 < 2, 20.0, -20.0).astype(np.float32), (400, 1))
    truth = [np.stack([view(stripes, 2.0 * i)] * 2) for i in (0, 8)]
    arrived = HintPropagator(flow).follow(grays, steps_of(grays, flow), {0: truth[0]})[8]
    mud = np.zeros((2, HEIGHT, WIDTH), np.float32)
    fine = blend_propagated(mud, arrived)
    seen = (slice(None), slice(8, -8), slice(8, -40))
    assert (
        np.abs(fine - truth[1])[seen].mean() < 0.4 * np.abs(truth[1])[seen].mean()
    )  # eight frames on, four fifths are taken
    assert np.abs(fine[:, :, -12:]).mean() < 2  # came into the picture later


def test_as_much_is_taken_as_the_frame_bears_out() -> None:
    """On a still all of it, however long the way; nothing where the frame has become another one."""
    grays, _ = pan(41, 0.0)
    flow = FlowEstimator("detailed")
    red = np.full((2, HEIGHT, WIDTH), 60, np.float32)
    arrivals = HintPropagator(flow).follow(grays, steps_of(grays, flow), {0: red})
    decided = np.zeros((2, HEIGHT, WIDTH), np.float32)
    for place in (1, 40):
        assert blend_propagated(decided, arrivals[place]) == pytest.approx(60, abs=0.1)
    arrival = only(arrivals[1])
    other = flow.prepare(np.ascontiguousarray(grays[0][::-1, ::-1]))
    judged = PropagatedColor(arrival.reference, arrival.at, np.ones((HEIGHT, WIDTH), np.float32), other)
    assert np.median(judged.weight) < 0.1 and np.median(judged.confidence) < 0.15
    blind = believed(arrival.reference, arrival.at, arrival.confidence, np.zeros_like(arrival.weight))
    np.testing.assert_array_equal(blend_propagated(decided, (blind,)), decided)


def test_motion_that_is_not_sure_is_told_of_less() -> None:
    flow, (grays, _) = FlowEstimator("detailed"), pan(1, 0.0)
    hint = painted(grays[0], np.zeros((2, HEIGHT, WIDTH), np.float32), flow)
    half = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    judged = PropagatedColor(hint, grid(HEIGHT, WIDTH), half, hint.picture)
    assert judged.confidence == pytest.approx(0.25) and judged.weight == pytest.approx(1)


def test_what_a_picture_shows_of_another_one() -> None:
    flow, (grays, _) = FlowEstimator("detailed"), pan(1, 0.0)
    now = flow.prepare(grays[0])
    assert photometric_residual(now, now).max() == 0 and missing_grain(now, now).max() == 0
    rng = np.random.default_rng(5)
    grain = [rng.normal(120, 30, (HEIGHT, WIDTH)).clip(0, 255).astype(np.uint8) for _ in range(2)]
    assert photometric_residual(*grain).mean() == pytest.approx(1, abs=0.1), "nothing in common but their level"
    assert photometric_residual(grain[0], grain[0] // 2).mean() > 1, "not even that"
    assert missing_grain(*grain).mean() < 0.01, "grain of its own is grain"
    flat = np.full((HEIGHT, WIDTH), 120, np.uint8)
    assert missing_grain(grain[0], flat).mean() > 5 and missing_grain(flat, grain[0]).max() == 0
    between = cv2.warpAffine(grain[0], np.array([[1, 0, 0.5], [0, 1, 0]]), (WIDTH, HEIGHT))
    assert np.median(missing_grain(grain[0], between)) < 0.1, "half a pixel blurs, and is no other texture"


def test_color_does_not_stay_where_its_thing_has_left() -> None:
    """A smooth red bar moves off a rough gray ground: none of its red is taken where it was, by film or network."""
    rng = np.random.default_rng(7)
    ground = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 0.8)
    ground = 128 + 18 * ground / ground.std()
    grays, truth = [], []
    for place in range(25):
        luma, ab = ground.copy(), np.zeros((2, HEIGHT, WIDTH), np.float32)
        left = 70 - 2 * place
        luma[20:60, left : left + 30], ab[:, 20:60, left : left + 30] = 150, 60
        grays.append(np.rint(luma).clip(0, 255).astype(np.uint8))
        truth.append(ab)
    flow = FlowEstimator("detailed")
    (late,) = HintPropagator(flow).follow(grays, steps_of(grays, flow), {0: truth[0]})[24]
    left_behind = (slice(24, 56), slice(60, 96))
    brought = late.chroma(HEIGHT, WIDTH)[left_behind][..., 0]
    assert brought.mean() > 5, "or the test shows nothing"
    assert (late.weight[left_behind] * brought).mean() < 1.5
    sure = np.ones((HEIGHT, WIDTH), np.float32)  # though motion were sure of it, as in real films
    told, taken = judge(late.reference.picture, late.at, sure, flow.prepare(grays[24]))
    assert told[left_behind].mean() < 0.1 and taken[left_behind].mean() < 0.1


def test_relocking_mends_drift_and_trusts_what_it_sees() -> None:
    grays, _ = pan(2, 4.0)
    flow = FlowEstimator("detailed")
    first, now = (flow.prepare(gray) for gray in grays)
    places = CoordinateMap.identity(HEIGHT, WIDTH)
    truth = grid(HEIGHT, WIDTH) + np.array([4, 0], np.float32)
    places.at = truth + np.float32(1.5)
    places.trust[:] = 0.01
    places.correct_drift(now, first, flow)
    inner = (slice(8, -8), slice(8, -12))
    assert np.linalg.norm((places.at - truth)[inner], axis=-1).mean() < 0.5
    assert places.trust[inner].mean() > 0.85


def test_nothing_is_trusted_across_another_picture() -> None:
    luma, _ = world()
    other = np.ascontiguousarray(luma[::-1, ::-1])
    grays = [np.rint(view(p, 0)).astype(np.uint8) for p in (luma, luma, other, other, other, other)]
    flow = FlowEstimator("detailed")
    ab = np.full((2, HEIGHT, WIDTH), 30, np.float32)
    came = HintPropagator(flow).follow(grays, steps_of(grays, flow), {0: ab})
    assert only(came[1]).confidence.mean() > 0.95
    assert only(came[5]).confidence.mean() < 0.05


def test_color_of_a_later_frame_is_there_before_it() -> None:
    """The painted frame lies up to thirty pixels of a pan ahead: it is searched for, or tracked back from its place."""
    grays, truth = pan(21, 1.5)
    flow = FlowEstimator("detailed")
    ahead = {0: painted(grays[20], truth[20], flow)}
    found = HintPropagator(flow).follow(grays, steps_of(grays, flow), {}, ahead)
    back = HintPropagator(flow).follow(grays, steps_of(grays, flow), {20: truth[20]})
    assert [len(colors) for colors in back] == [1] * 20 + [0]
    for came, place in product((found, back), (0, 10, 15)):
        arrival = only(came[place])
        seen = (slice(None), slice(8, -8), slice(round(1.5 * (20 - place)) + 8, -8))
        error = np.abs(np.moveaxis(arrival.chroma(HEIGHT, WIDTH), -1, 0) - truth[place])[seen].mean()
        assert error < 0.25 * np.abs(truth[20] - truth[place])[seen].mean()
        assert arrival.confidence[seen[1:]].mean() > 0.7


def test_what_was_hidden_for_a_while_is_found_again_on_the_way_back() -> None:
    """A pan behind something black: motion has lost where it was, and the painted frame is looked for again."""
    grays, truth = pan(40, 2.5)
    grays = [np.zeros_like(gray) if 26 <= place < 36 else gray for place, gray in enumerate(grays)]
    flow = FlowEstimator("detailed")
    came = HintPropagator(flow).follow(grays, steps_of(grays, flow), {39: truth[39]})
    before, again = only(came[24]), only(came[39 - SEARCH_EVERY])
    seen = (slice(8, -8), slice(48, -8))
    assert before.trust[seen].mean() < 0.3 and again.trust[seen].mean() > 0.7


def test_a_picture_of_something_else_is_not_followed() -> None:
    grays, truth = pan(4, 1.0)
    flow = FlowEstimator("detailed")
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.integers(0, 255, (HEIGHT, WIDTH)).astype(np.uint8), (0, 0), 4)
    other = painted(cv2.normalize(noise, noise, 0, 255, cv2.NORM_MINMAX), truth[0], flow)
    assert HintPropagator(flow).follow(grays, steps_of(grays, flow), {}, {0: other}) == [()] * 4


def test_of_two_pictures_the_one_is_followed_that_tells_what_is_not_known() -> None:
    """Behind a painted frame, what a pan uncovers is in a picture of where it goes, not in one of where it was."""
    grays, truth = pan(2 * SEARCH_EVERY + 8, 1.5)
    flow = FlowEstimator("detailed")
    pictures = {3: painted(grays[1], truth[1], flow), 5: painted(grays[-1], truth[-1], flow)}
    came = HintPropagator(flow).follow(grays, steps_of(grays, flow), {0: truth[0]}, pictures)
    late = came[-2]
    assert len(late) == 2 and late[1].reference is pictures[5], "at most two tracks: the latest reference and this"
    right = (slice(8, -8), slice(-30, -8))
    assert late[0].confidence[right].mean() < 0.1 and late[1].confidence[right].mean() > 0.7
    joined = blend_propagated(np.zeros((2, HEIGHT, WIDTH), np.float32), late)
    error = np.abs(joined - truth[-2])[:, 8:-8, -30:-8].mean()
    assert error < 0.6 * np.abs(truth[-2])[:, 8:-8, -30:-8].mean()


def test_several_that_arrive_share_by_trust() -> None:
    flow, (grays, _) = FlowEstimator("detailed"), pan(1, 0.0)
    here, full = grid(HEIGHT, WIDTH), np.ones((HEIGHT, WIDTH), np.float32)
    red, blue = (painted(grays[0], np.full((2, HEIGHT, WIDTH), level, np.float32), flow) for level in (60, -60))
    one, other = believed(red, here, full, full * np.float32(0.9)), believed(blue, here, full / 2, full / 20)
    ab = blend_propagated(np.zeros((2, HEIGHT, WIDTH), np.float32), (one, other))
    assert 45 < ab.mean() < blend_propagated(np.zeros_like(ab), (one,)).mean() == pytest.approx(54)
    a, _, trust, brighter = told((one, other), grays[0], (HEIGHT, WIDTH))
    assert a == pytest.approx(60 - 120 / 17, rel=1e-3) and trust == pytest.approx(1) and brighter == pytest.approx(0)
    assert propagated_input((), grays[0], (HEIGHT, WIDTH)) is None


def test_what_was_left_unpainted_is_known_unless_another_color_reaches_it() -> None:
    grays, _ = pan(3, 0.0)
    flow, blue = FlowEstimator("detailed"), np.full((2, HEIGHT, WIDTH), -40, np.float32)
    opacity = np.tile(np.arange(WIDTH) < WIDTH // 2, (HEIGHT, 1)).astype(np.float32)
    part = np.concatenate([blue, opacity[None], 1 - opacity[None]])
    came = HintPropagator(flow).follow(grays, steps_of(grays, flow), {0: part})
    left, right = slice(8, WIDTH // 2 - 8), slice(WIDTH // 2 + 8, -8)
    for colors in came:
        share = unpainted_share(colors, (HEIGHT, WIDTH))
        assert share is not None and share[:, left].max() < 0.01 and share[:, right].min() > 0.9
        made = blend_propagated(np.zeros_like(blue), colors)
        assert made[:, :, left] == pytest.approx(-40, abs=0.1) and np.abs(made[:, :, right]).max() < 0.1
    red = HintPropagator(flow).follow(grays, steps_of(grays, flow), {0: -blue, 1: part})[2]
    assert len(red) == 2, "holes keep the color of the frame before"
    share = unpainted_share(red, (HEIGHT, WIDTH))
    assert share is not None and share.max() < 0.1
    assert blend_propagated(np.zeros_like(blue), red)[:, :, right] == pytest.approx(40, abs=2)
    assert unpainted_share(HintPropagator(flow).follow(grays, steps_of(grays, flow), {0: blue})[1], (8, 8)) is None


def test_a_part_that_is_painted_again_replaces_that_part_alone() -> None:
    """Whole frames around frames of which the left half is painted anew: there, on the way to them, and after them."""
    grays, _ = pan(14, 0.0)
    flow, blue = FlowEstimator("detailed"), np.full((2, HEIGHT, WIDTH), -40, np.float32)
    opacity = np.tile(np.arange(WIDTH) < WIDTH // 2, (HEIGHT, 1)).astype(np.float32)
    part = np.concatenate([blue, opacity[None]])
    given = {0: -blue, 3: part, 6: part, 10: -2 * blue}
    propagator = HintPropagator(flow)
    came = propagator.follow(grays[:9], steps_of(grays, flow)[:9], {place: given[place] for place in (0, 3, 6)})
    came += propagator.follow(grays[9:], steps_of(grays, flow)[9:], {1: given[10]})
    left, right = slice(8, WIDTH // 2 - 8), slice(WIDTH // 2 + 8, -8)
    for place in (3, 5, 6, 8, 9):
        made = blend_propagated(np.zeros_like(blue), came[place])
        if place < 9:
            assert made[:, :, left] == pytest.approx(-40, abs=1), place
            assert made[:, :, right] == pytest.approx(40, abs=1), place
        else:
            assert -40 < made[:, :, left].mean() < 80 and 40 < made[:, :, right].mean() < 80, "both sides count"
    back = HintPropagator(flow).follow(grays, steps_of(grays, flow), {3: part, 8: -blue})
    for place in (0, 3):
        made = blend_propagated(np.zeros_like(blue), back[place])
        assert made[:, :, left] == pytest.approx(-40, abs=1) and made[:, :, right] == pytest.approx(40, abs=1), place


def test_the_state_holds_a_picture_that_was_found() -> None:
    grays, truth = pan(SEARCH_EVERY + 10, 2.0)
    flow = FlowEstimator("detailed")
    steps, cut = steps_of(grays, flow), SEARCH_EVERY - 4
    pictures = {2: painted(grays[-1], truth[-1], flow)}
    whole = HintPropagator(flow).follow(grays, steps, {3: truth[3]}, pictures)
    first = HintPropagator(flow)
    begun = first.follow(grays[:cut], steps[:cut], {3: truth[3]}, pictures)
    rest = continued(first).follow(grays[cut:], steps[cut:], {}, {2: painted(grays[-1], truth[-1], flow)})
    for one, other in zip(whole, begun + rest, strict=True):
        same(one, other)
    assert max(map(len, whole)) == 2


def test_what_is_followed_is_not_left_for_less() -> None:
    """Trust fades on a long way; before another picture is followed, this one is looked for again."""
    grays, truth = pan(SEARCH_EVERY + 2, 0.5)
    flow = FlowEstimator("detailed")
    half = grays[-1].copy()
    half[:, : WIDTH // 2] = grays[-1][::-1, : WIDTH // 2]
    pictures = {0: painted(grays[-1], truth[-1], flow), 1: painted(half, truth[-1], flow)}
    carrier, steps = HintPropagator(flow), steps_of(grays, flow)
    first = carrier.follow(grays[:2], steps[:2], {}, pictures)
    assert only(first[1]).reference is pictures[0]
    assert carrier.state.found is not None
    carrier.state.found.coordinates.trust *= np.float32(0.2)
    came = carrier.follow(grays[2:], steps[2:], {}, pictures)
    assert only(came[-1]).reference is pictures[0] and only(came[-1]).confidence.mean() > 0.7


def test_black_frames_are_not_searched() -> None:
    """A fade from black: nothing is followed in the black, and the picture is found with the first frame that shows."""
    grays, truth = pan(12, 1.0)
    grays = [np.zeros_like(gray) if i < 5 else gray for i, gray in enumerate(grays)]
    flow = FlowEstimator("detailed")
    ahead = {0: painted(grays[-1], truth[-1], flow)}
    came = HintPropagator(flow).follow(grays, steps_of(grays, flow), {}, ahead)
    assert [len(arrivals) for arrivals in came] == [0] * 5 + [1] * 7
