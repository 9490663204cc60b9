"""Edits of a project: settings and hints follow the cuts; what makes no sense is refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videocolor.errors import ConfigError, UsageError
from videocolor.studio import edits
from videocolor.studio.projectdata import FilmRef, Point, ProjectData, ProjectHint, ShotSettings, State

FRAMES = 100
FILM = FilmRef(path="../film.mkv", absolute="/films/film.mkv", bytes=10, mtime_ns=1)


def hint(number: int = 1, **values: Any) -> ProjectHint:
    kind = "loose" if values.get("frame") is None else "painted"
    return ProjectHint(**{"id": f"h{number:04d}", "kind": kind, "image": f"h{number:04d}.png", **values})


def state(*cuts: int, hints: tuple[ProjectHint, ...] = (), **shots: float) -> State:
    data = ProjectData(film=FILM, frames=FRAMES, target="film.mkv", hints=hints)
    made = State(data, cuts or (0, 20, 50, 80))
    for name, saturation in shots.items():
        made = edits.set_shot(made, int(name[1:]), saturation=saturation)
    return made


def saturations(of: State) -> dict[int, float | None]:
    return {start: shot.saturation for start, shot in of.data.shots.items()}


def test_a_parted_shot_leaves_settings_and_hints_to_both_parts() -> None:
    before = state(hints=(hint(1, shots=(20,)), hint(2, frame=45, shots=(20,)), hint(3, shots=(50,))), s20=0.5, s50=2.0)
    after = edits.add_cut(before, 30)
    assert after.cuts == (0, 20, 30, 50, 80)
    assert saturations(after) == {20: 0.5, 30: 0.5, 50: 2.0}
    assert [h.shots for h in after.data.hints] == [(20, 30), (20, 30), (50,)]


def test_of_joined_shots_those_of_the_first_hold() -> None:
    hints = (hint(1, shots=(20,)), hint(2, shots=(50,)), hint(3, frame=60, shots=(50,)), hint(4, shots=(50, 80)))
    after = edits.remove_cut(state(hints=hints, s20=0.5, s50=2.0, s80=1.5), 50)
    assert after.cuts == (0, 20, 80)
    assert saturations(after) == {20: 0.5, 80: 1.5}
    noted = edits.set_shot(edits.set_shot(state(s50=2.0), 20, note="one"), 50, note="two")
    joined = edits.remove_cut(noted, 50).data.shots[20]
    assert (joined.note, joined.saturation) == ("one\ntwo", 2.0), (
        "nothing that was set is lost where the first has none"
    )
    # A loose hint of the second is kept without a shot; a painted frame stays with the shot that holds it.
    assert [h.shots for h in after.data.hints] == [(20,), (), (20,), (80,)]


def test_settings_and_hints_move_with_the_cut() -> None:
    before = state(hints=(hint(1, shots=(50,)), hint(2, frame=55, shots=(50,))), s50=2.0, s20=0.5)
    after = edits.move_cut(before, 50, 60)
    assert after.cuts == (0, 20, 60, 80)
    assert saturations(after) == {20: 0.5, 60: 2.0}
    assert [h.shots for h in after.data.hints] == [(60,), (20, 60)]
    assert edits.move_cut(after, 60, 50).cuts == before.cuts


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda s: edits.add_cut(s, 20), "frame 20 already begins a shot"),
        (lambda s: edits.add_cut(s, 100), "has 100 frames, 0 to 99"),
        (lambda s: edits.add_cut(s, -1), "0 or more"),
        (lambda s: edits.remove_cut(s, 0), "first shot"),
        (lambda s: edits.remove_cut(s, 21), "no shot begins at frame 21; the nearest begins at 20"),
        (lambda s: edits.move_cut(s, 0, 5), "cannot be moved"),
        (lambda s: edits.move_cut(s, 50, 20), "after 20 and before 80"),
        (lambda s: edits.move_cut(s, 50, 80), "the cut at 50 can only move after 20 and before 80"),
        (lambda s: edits.move_cut(s, 80, 100), "frame 100: the film has 100 frames"),
        (lambda s: edits.set_shot(s, 33, saturation=1.0), "no shot begins at frame 33"),
        (lambda s: edits.set_shot(s, 20, saturation=4.5), "saturation = '4.5'"),
        (lambda s: edits.set_shot(s, 20, saturation="red"), "saturation"),
        (lambda s: edits.add_hint(s, hint()), "has no shot"),
        (lambda s: edits.add_hint(s, hint(kind="points", shots=(20,))), "needs its frame"),
        (lambda s: edits.add_hint(s, hint(shots=(21,))), "no shot begins at frame 21"),
        (lambda s: edits.add_hint(s, hint(frame=200)), "has 100 frames"),
        (lambda s: edits.update_hint(s, "h0009", enabled=False), "h0009: the project has no such hint"),
        (lambda s: edits.remove_hint(s, "h0009"), "no such hint"),
        (lambda s: edits.set_settings(s, {"output.crf": 99}), "output.crf = 99"),
        (lambda s: edits.set_settings(s, {"output.crv": 9}), "did you mean crf"),
        (lambda s: edits.set_settings(s, {"crf": 9}), "full key"),
        (lambda s: edits.set_settings(s, {"shots.file": "x.yaml"}), "its own list of shots"),
        (lambda s: edits.set_settings(s, {"chroma.by_shot": []}), "saturation of a shot"),
        (lambda s: edits.set_container(s, ".exe"), "expected one of"),
    ],
)
def test_what_makes_no_sense_is_refused(edit: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        edit(state())


@pytest.mark.parametrize(
    "values",
    [
        {"image": "../../etc/passwd.png"},
        {"image": "/etc/x.png"},
        {"image": "a/b.png"},
        {"image": ".hidden.png"},
        {"image": "x.svg"},
        {"id": "h1/../x"},
        {"id": "x0001"},
    ],
)
def test_names_of_files_never_lead_out_of_the_project(values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"image|id"):
        hint(**{"shots": (20,), **values})


@pytest.mark.parametrize(
    "target", ["../film.mkv", "/film.mkv", "a/b.mkv", "film.exe", ".mkv", "a\0.mkv", "x" * 300 + ".mkv"]
)
def test_the_rendered_film_stays_in_its_folder(target: str) -> None:
    with pytest.raises(ValueError, match="without folders"):
        ProjectData(film=FILM, target=target)


def test_hints_are_added_changed_and_removed() -> None:
    after = edits.add_hint(state(), hint(frame=25))
    assert after.data.hint("h0001").shots == (20,)
    after = edits.update_hint(after, "h0001", enabled=False, label="bridge", shots=(80, 0))
    assert after.data.hint("h0001").shots == (0, 20, 80)  # its own shot stays
    assert (after.data.hint("h0001").enabled, after.data.hint("h0001").label) == (False, "bridge")
    with pytest.raises(UsageError, match="of this id already"):
        edits.add_hint(after, hint(shots=(20,)))
    with pytest.raises(UsageError, match="color"):
        edits.update_hint(after, "h0001", points=[{"x": 0.5, "y": 0.5, "color": "red"}])
    after = edits.update_hint(after, "h0001", points=[Point(x=0.5, y=1, color="#AABBCC")])
    assert after.data.hint("h0001").points[0].color == "#aabbcc"
    assert edits.remove_hint(after, "h0001").data.hints == ()


def test_settings_go_back_to_their_defaults() -> None:
    after = edits.set_settings(state(), {"output.codec": "ffv1", "chroma.saturation": 0.5})
    assert after.data.settings == {"chroma.saturation": 0.5, "output.codec": "ffv1"}
    assert edits.set_settings(after, {"output.codec": None}).data.settings == {"chroma.saturation": 0.5}
    with pytest.raises(ConfigError):
        edits.set_settings(after, {"chroma.saturation": 9})
    assert edits.set_container(after, ".mp4").data.target == "film.mp4"


def test_what_is_set_for_a_shot_can_be_taken_back() -> None:
    after = edits.set_shot(state(), 20, note="the bridge")
    after = edits.set_shot(after, 20, saturation=0.5)
    assert after.data.shots == {20: ShotSettings(saturation=0.5, note="the bridge")} and after.notes == {
        20: "the bridge"
    }
    after = edits.set_shot(after, 20, saturation=None)
    assert after.data.shots[20].note == "the bridge"
    assert edits.set_shot(after, 20, note="").data.shots == {}


def test_before_the_film_was_looked_through() -> None:
    unknown = State(ProjectData(film=FILM, target="film.mkv"))
    with pytest.raises(UsageError, match="still being scanned"):
        edits.add_cut(unknown, 5)
    early = edits.add_hint(edits.set_shot(unknown, 30, saturation=2.0), hint(frame=55))
    known = edits.recut(early, [0, 20, 50])
    assert saturations(known) == {20: 2.0}
    assert known.data.hints[0].shots == (50,)


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        ([0, 20, 53, 80], {20: 0.2, 53: 0.5, 80: 0.8}),  # moved
        ([0, 20, 80], {20: 0.2, 80: 0.8}),  # joined
        ([20, 40, 50, 80], {20: 0.2, 40: 0.2, 50: 0.5, 80: 0.8}),  # parted; 0 is added
        ([0, 22, 47, 80], {22: 0.2, 47: 0.5, 80: 0.8}),  # two moved in one gap
        ([0], {}),
    ],
)
def test_a_list_that_was_edited_by_hand(starts: list[int], expected: dict[int, float]) -> None:
    assert saturations(edits.recut(state(s20=0.2, s50=0.5, s80=0.8), starts)) == expected


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.sampled_from(["add", "remove", "move"]), st.integers(0, 99), st.integers(0, 99)), max_size=12)
)
def test_whatever_is_done_to_cuts_the_state_stays_whole(steps: list[tuple[str, int, int]]) -> None:
    now = state(hints=(hint(1, frame=33), hint(2, shots=(50, 80))), s0=0.1, s20=0.2, s50=0.5)
    for what, a, b in steps:
        assert now.cuts is not None
        start = now.cuts[a % len(now.cuts)]
        try:
            if what == "add":
                now = edits.add_cut(now, b)
            elif what == "remove":
                now = edits.remove_cut(now, start)
            else:
                now = edits.move_cut(now, start, b)
        except UsageError:
            continue
        assert (
            now.cuts is not None and now.cuts[0] == 0 and list(now.cuts) == sorted(set(now.cuts)) and now.cuts[-1] < 100
        )
        assert set(now.data.shots) <= set(now.cuts)
        assert all(set(h.shots) <= set(now.cuts or ()) for h in now.data.hints)
        assert now.shot_of(33) in now.data.hints[0].shots
        assert edits.consistent(now) is now


def test_a_change_has_a_name() -> None:
    before = state()
    assert edits.describe_change(before, edits.add_cut(before, 30)) == "cut at frame 30"
    assert edits.describe_change(before, edits.remove_cut(before, 20)) == "join of two shots"
    assert edits.describe_change(before, edits.move_cut(before, 20, 22)) == "move of a cut to frame 22"
    assert (
        edits.describe_change(before, edits.set_shot(before, 20, saturation=0.5))
        == "saturation of the shot at frame 20"
    )
    assert edits.describe_change(before, edits.set_shot(before, 20, note="x")) == "note of the shot at frame 20"
    assert edits.describe_change(before, edits.set_settings(before, {"output.crf": 9})) == "settings of the film"
    dot = {"x": 0.5, "y": 0.5, "color": "#102030"}
    one = edits.add_hint(before, hint(kind="points", frame=25, shots=(20,), label="1 point", points=(Point(**dot),)))
    assert edits.describe_change(before, one) == "“1 point”"
    assert edits.describe_change(one, before) == "removal of “1 point”"
    two = edits.update_hint(one, one.data.hints[0].id, points=(Point(**dot), Point(**{**dot, "x": 0.1})))
    assert edits.describe_change(one, two) == "a new point on frame 25"
    assert edits.describe_change(two, one) == "removal of a point on frame 25"
    off = edits.update_hint(one, one.data.hints[0].id, enabled=False)
    assert edits.describe_change(one, off) == "switching “1 point” off"
