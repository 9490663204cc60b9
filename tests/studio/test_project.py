"""The project's folder: saved whole, undone and redone, edited by hand, held by one, found again when it has moved."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from films import write_reel

from videocolor.colorize import find_shots
from videocolor.config import ColorizeConfig
from videocolor.errors import ConfigError, InputError, OutputError, UsageError
from videocolor.files import write_atomically
from videocolor.shots.shotlist import read_shots, write_shots
from videocolor.studio import edits
from videocolor.studio.errors import StaleRevisionError
from videocolor.studio.project import ProjectStore
from videocolor.studio.projectdata import ProjectHint, State, next_hint_id
from videocolor.studio.projectfolder import default_folder, read_project

SHOTS = ((1, 8), (2, 6), (3, 7))
CUTS = (0, 8, 14)


@dataclass(frozen=True)
class Index:
    """A film that was looked through."""

    frames: int = 21
    time_base: Fraction = Fraction(1, 12)

    @property
    def pts(self) -> range:
        return range(self.frames)


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reel(tmp_path_factory.mktemp("reel") / "reel.mkv", SHOTS)


@pytest.fixture
def film(reel: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy2(reel, tmp_path / "reel.mkv"))


@pytest.fixture
def store(film: Path) -> Any:
    with ProjectStore.open_or_create(None, film) as made:
        made.set_cuts(CUTS, Index())
        yield made


def on_disk(store: ProjectStore) -> dict[str, Any]:
    return json.loads((store.folder / "project.json").read_text())


def add_loose(store: ProjectStore, *shots: int) -> State:
    def edit(state: State) -> State:
        name = store.save_image("h0001", b"a picture")
        return edits.add_hint(state, ProjectHint(id=next_hint_id(state.data), kind="loose", image=name, shots=shots))

    return store.change(store.revision, edit)


def test_the_list_is_the_one_that_videocolor_shots_writes(store: ProjectStore, film: Path, tmp_path: Path) -> None:
    scan = find_shots(film)
    write_shots(tmp_path / "shots.yaml", [view.shot for view in scan.shots], film=film.name)
    assert (store.folder / "shots.yaml").read_text() == (tmp_path / "shots.yaml").read_text()
    store.change(store.revision, lambda s: edits.set_shot(edits.add_cut(s, 10), 10, note='a "bridge": {1}\nand a path'))
    listed = read_shots(store.folder / "shots.yaml", frames=21)
    assert [(shot.start, shot.note) for shot in listed] == [
        (0, None),
        (8, None),
        (10, 'a "bridge": {1}\nand a path'),
        (14, None),
    ]


def test_every_change_is_on_the_disk_and_comes_back(store: ProjectStore, film: Path) -> None:
    store.change(1, lambda s: edits.set_shot(s, 8, saturation=0.5, note="bridge"))
    store.change(2, lambda s: edits.set_settings(s, {"output.codec": "ffv1"}))
    add_loose(store, 14)
    state = store.state
    assert on_disk(store)["revision"] == state.data.revision == 4
    store.close()
    with ProjectStore.open_or_create(None, film) as again:
        assert again.state == state and again.revision == 4
        assert again.can_undo and not again.can_redo
        assert again.film == film and again.target == default_folder(film) / "renders" / "reel_colorized.mkv"
    assert sorted(p.name for p in store.folder.iterdir()) == [
        *(".studio", "cache", "hints", "history", "project.json", "renders", "shots.yaml")
    ]


def test_undo_and_redo_go_through_every_state(store: ProjectStore) -> None:
    states = [store.state]
    states.append(store.change(store.revision, lambda s: edits.add_cut(s, 4)))
    states.append(add_loose(store, 4))
    states.append(store.change(store.revision, lambda s: edits.remove_cut(s, 8)))

    def same(a: State, b: State) -> bool:
        return (a.cuts, a.data.hints, a.data.shots, a.data.settings) == (
            b.cuts,
            b.data.hints,
            b.data.shots,
            b.data.settings,
        )

    for expected in reversed(states[:-1]):
        now = store.undo(store.revision)
        assert same(now, expected)
        assert [s.start for s in read_shots(store.folder / "shots.yaml")] == list(expected.cuts or ())
    assert not store.can_undo and store.can_redo
    with pytest.raises(UsageError, match="nothing to undo"):
        store.undo(store.revision)
    for expected in states[1:]:
        assert same(store.redo(store.revision), expected)
    assert store.revision == 10
    store.undo(store.revision)
    store.change(store.revision, lambda s: edits.set_shot(s, 0, saturation=2.0))
    assert not store.can_redo
    with pytest.raises(UsageError, match="nothing to redo"):
        store.redo(store.revision)


@pytest.mark.slow
def test_two_hundred_states_are_kept(store: ProjectStore) -> None:
    for number in range(210):
        store.change(store.revision, lambda s, n=number: edits.set_shot(s, 0, saturation=n / 100))  # type: ignore[misc]
    kept = sorted(path.name for path in (store.folder / "history").iterdir())
    assert len(kept) == 200 and kept[-1] == "000211.json"
    assert store.state.data.shots[0].saturation == 2.09


def test_a_change_of_another_tab_is_refused(store: ProjectStore) -> None:
    before = store.revision
    store.change(before, lambda s: edits.add_cut(s, 4))
    with pytest.raises(StaleRevisionError, match=f"revision {before + 1}, requested {before}"):
        store.change(before, lambda s: edits.add_cut(s, 5))
    with pytest.raises(StaleRevisionError):
        store.undo(before)
    assert store.cuts == (0, 4, 8, 14)


def test_of_many_at_once_one_wins(store: ProjectStore) -> None:
    revision, won, lost = store.revision, [], []

    def try_it(frame: int) -> None:
        try:
            store.change(revision, lambda s: edits.add_cut(s, frame))
            won.append(frame)
        except StaleRevisionError:
            lost.append(frame)

    threads = [threading.Thread(target=try_it, args=(frame,)) for frame in range(1, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and len(lost) == 6
    assert store.cuts == (0, won[0], 8, 14) and store.revision == revision + 1


def test_subscribers_hear_of_every_revision(store: ProjectStore) -> None:
    heard: list[int] = []
    end = store.subscribe(heard.append)
    store.change(store.revision, lambda s: edits.add_cut(s, 4))
    store.change(store.revision, lambda s: s)  # changes nothing
    store.undo(store.revision)
    end()
    store.redo(store.revision)
    assert heard == [2, 3]


@pytest.mark.slow
def test_a_second_studio_is_told_who_is_there(store: ProjectStore, root: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from videocolor.studio.project import ProjectStore\n"
        "try: ProjectStore.open(Path(sys.argv[1]))\nexcept Exception as e: print(type(e).__name__, e)"
    )
    command = [sys.executable, "-c", program, str(store.folder)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=True).stdout
    assert said.startswith("UsageError") and f"process {os.getpid()} on " in said and str(store.folder) in said
    store.close()
    with ProjectStore.open(store.folder) as again:
        assert again.revision == store.revision


def test_a_list_that_was_edited_by_hand_wins(store: ProjectStore) -> None:
    store.change(store.revision, lambda s: edits.set_shot(s, 8, saturation=0.5, note="bridge"))
    add_loose(store, 8)
    folder = store.folder
    store.close()
    path = folder / "shots.yaml"
    text = path.read_text().replace('frame: 8, note: "bridge"', "frame: 9, note: the bridge")
    path.write_text(text + "- {frame: 17}\n")
    assert read_project(folder).state.cuts == (0, 9, 14, 17)
    with ProjectStore.open(folder) as again:
        assert again.cuts == (0, 9, 14, 17)
        assert again.data.shots[9].saturation == 0.5 and again.state.notes == {9: "the bridge"}
        assert again.data.hints[0].shots == (9,)
        assert path.read_text() == text + "- {frame: 17}\n"
        again.set_cuts((0,), Index())  # the scan finds something else: the list holds
        assert again.cuts == (0, 9, 14, 17)
        assert [s.start for s in read_shots(path)] == [0, 9, 14, 17]
        assert again.undo(again.revision).cuts == (0, 8, 14)
    with ProjectStore.open(folder) as once_more:
        assert once_more.cuts == (0, 8, 14) and once_more.state.notes == {8: "bridge"}


def test_a_list_that_lies_there_before_the_project_is_taken(film: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "shots.yaml").write_text("shots:\n- {frame: 0}\n- {frame: 5, note: a bridge}\n")
    with ProjectStore.create(folder, film) as made:
        assert made.cuts == (0, 5) and made.state.notes == {5: "a bridge"}


def test_a_list_that_cannot_be_used_names_its_line(store: ProjectStore) -> None:
    store.close()
    (store.folder / "shots.yaml").write_text("shots:\n- {frame: 5}\n- {frame: 2}\n")
    with pytest.raises(ConfigError, match=r"shots\.yaml, line 3"):
        ProjectStore.open(store.folder)
    (store.folder / "shots.yaml").write_text("shots:\n- {frame: 21}\n")
    with pytest.raises(ConfigError, match="has 21 frames"):
        ProjectStore.open(store.folder)
    (store.folder / "shots.yaml").unlink()  # then cuts are looked for anew
    with ProjectStore.open(store.folder) as again:
        assert again.cuts is None


def test_notes_before_the_film_was_looked_through_reach_the_list_later(store: ProjectStore) -> None:
    store.close()
    with ProjectStore.open(store.folder) as again:
        again.change(again.revision, lambda s: edits.set_shot(s, 8, note="bridge"))
        with pytest.raises(UsageError, match="still being scanned"):
            again.change(again.revision, lambda s: edits.add_cut(s, 4))
        assert "bridge" not in (again.folder / "shots.yaml").read_text()
    with ProjectStore.open(store.folder) as again:
        assert again.state.notes == {8: "bridge"}
        again.set_cuts(CUTS, Index())
        assert "bridge" in (again.folder / "shots.yaml").read_text()


def test_work_before_the_end_of_the_first_look(film: Path) -> None:
    with ProjectStore.open_or_create(None, film) as store:
        assert store.cuts is None
        store.change(1, lambda s: edits.set_shot(s, 8, saturation=0.5))
        store.change(2, lambda s: edits.set_settings(s, {"chroma.saturation": 0.9}))
        store.set_cuts(CUTS, Index())
        assert store.cuts == CUTS and store.data.frames == 21
        assert store.undo(store.revision).cuts == CUTS
        assert store.undo(store.revision).data.shots == {}
        assert [s.start for s in read_shots(store.folder / "shots.yaml")] == list(CUTS)


def test_film_and_project_move_together(store: ProjectStore, film: Path, tmp_path: Path) -> None:
    store.change(1, lambda s: edits.add_cut(s, 4))
    store.close()
    place = tmp_path / "elsewhere"
    place.mkdir()
    shutil.move(store.folder, place / store.folder.name)
    moved = Path(shutil.move(film, place / film.name))
    with ProjectStore.open(place / store.folder.name) as again:
        assert again.film == moved and again.cuts == (0, 4, 8, 14)
        assert again.data.film.absolute == str(moved)


def test_the_absolute_path_is_tried_second(store: ProjectStore, film: Path, tmp_path: Path) -> None:
    store.close()
    moved = tmp_path / "a" / "b" / "project"
    moved.parent.mkdir(parents=True)
    shutil.move(store.folder, moved)
    with ProjectStore.open(moved) as again:
        assert again.film == film
        assert again.data.film.path == "../../../reel.mkv"


def test_a_film_that_is_missing_or_another_one(store: ProjectStore, film: Path, tmp_path: Path) -> None:
    store.close()
    other = write_reel(tmp_path / "other.mkv", ((5, 9),))
    with pytest.raises(InputError, match=r"is the project of reel\.mkv, which .*other\.mkv is not"):
        ProjectStore.open_or_create(store.folder, other)
    moved = film.rename(tmp_path / "renamed.mkv")
    with pytest.raises(InputError, match=r"its film is .*reel\.mkv; `videocolor studio FILM --project"):
        ProjectStore.open(store.folder)
    with ProjectStore.open_or_create(store.folder, moved) as again:
        assert again.film == moved
    with ProjectStore.open(store.folder) as again:
        assert again.film == moved
    shutil.copy(other, moved)
    with pytest.raises(InputError, match=r"renamed\.mkv: is not the film that the project .* was made for"):
        ProjectStore.open(store.folder)


def test_a_film_whose_time_alone_has_changed_is_the_same(store: ProjectStore, film: Path) -> None:
    store.close()
    os.utime(film, ns=(0, 0))
    with ProjectStore.open(store.folder) as again:
        assert again.data.film.mtime_ns == 0
    data = bytearray(film.read_bytes())
    data[-40] ^= 255
    film.write_bytes(data)
    with pytest.raises(InputError, match="is not the film"):
        ProjectStore.open(store.folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", r"project\.json: is damaged"),
        ("[]", r"project\.json: cannot be used"),
        ("SETTINGS", r"project\.json: cannot be used: .*output\.crf = 99"),
        ('{"videocolor_project": 7}', "newer videocolor"),
        ('{"videocolor_project": 1, "target": "x.mkv", "extra": 1}', "extra"),
    ],
)
def test_a_damaged_project_says_so(store: ProjectStore, text: str, says: str) -> None:
    store.close()
    if text == "SETTINGS":
        text = json.dumps({**on_disk(store), "settings": {"output.crf": 99}})
    (store.folder / "project.json").write_text(text)
    with pytest.raises(ConfigError, match=says):
        ProjectStore.open(store.folder)
    with pytest.raises(ConfigError, match=says):
        read_project(store.folder)


def test_folders_that_are_no_projects(film: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no project"):
        ProjectStore.open(tmp_path / "nowhere")
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.doc").write_text("")
    with pytest.raises(UsageError, match=r"holds other files \(thesis\.doc\)"):
        ProjectStore.create(full, film)
    default_folder(film).write_text("")
    with pytest.raises(OutputError, match="is not a folder; --project DIR keeps the project elsewhere"):
        ProjectStore.open_or_create(None, film)
    with pytest.raises(InputError, match=r"gone\.mkv"):
        ProjectStore.create(tmp_path / "new", tmp_path / "gone.mkv")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("written", [0, 1, 2])
def test_what_cannot_be_saved_has_not_happened(
    store: ProjectStore, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the three files it is that the disk has no room for."""
    store.change(store.revision, lambda s: edits.set_shot(s, 0, saturation=0.5))
    store.change(store.revision, lambda s: edits.move_cut(s, 8, 9))
    store.undo(store.revision)
    before, calls = store.state, []

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in store.folder.rglob("*") if path.suffix in (".json", ".yaml")}

    there = files()

    def full(path: Path, content: str | bytes) -> None:
        calls.append(path.name)
        if len(calls) == written + 1:
            raise OutputError(f"{path}: cannot be written: No space left on device")
        write_atomically(path, content)

    with monkeypatch.context() as patched:
        for module in ("studio.history", "shots.shotlist"):
            patched.setattr(f"videocolor.{module}.write_atomically", full)
        with pytest.raises(OutputError, match="No space left"):
            store.change(store.revision, lambda s: edits.add_cut(s, 4))
    assert store.state == before and files() == there and calls[: written + 1] == calls[:3][: written + 1]
    assert store.redo(store.revision).cuts == (0, 9, 14), "what was undone before can still be done again"
    store.undo(store.revision)
    store.change(store.revision, lambda s: edits.set_shot(s, 0, saturation=0.7))
    assert [s.start for s in read_shots(store.folder / "shots.yaml")] == list(CUTS) and not store.can_redo
    store.close()
    with ProjectStore.open(store.folder) as again:
        assert again.cuts == CUTS and again.data.shots[0].saturation == 0.7


def test_what_killed_studios_leave_is_swept(store: ProjectStore, film: Path, tmp_path: Path) -> None:
    store.close()
    places = [
        ".project.json.alfr_4td",
        ".shots.yaml.ceh8s9ov",
        "history/.000012.json.abcdefgh",
        "hints/.h0001-0123456789ab.png.abcd_fgh",
        "cache/.scan-0123456789abcdef01234567.npz.abcdefgh",
        "renders/.comparison.mp4.4711.part.mp4",
    ]
    others = ["hints/.mine.png", ".gitignore", "renders/.film_colorized.mkv.4711.part.mkv", "notes.txt"]
    for name in (*places, *others):
        (store.folder / name).write_text("half")
    with ProjectStore.open(store.folder) as again:
        assert again.cuts == CUTS
        assert not [name for name in places if (store.folder / name).exists()]
        assert all((store.folder / name).exists() for name in others), "files that are not ours, or a render's"
    new = tmp_path / "new"
    new.mkdir()
    (new / ".project.json.alfr_4td").write_text("{")
    with ProjectStore.create(new, film):
        assert not (new / ".project.json.alfr_4td").exists(), "killed before there was a project"


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_power_cut_between_two_files(store: ProjectStore, written: int, monkeypatch: pytest.MonkeyPatch) -> None:
    store.change(store.revision, lambda s: edits.set_shot(s, 8, saturation=0.5))
    before, calls = store.state, []

    def dies(path: Path, content: str | bytes) -> None:
        calls.append(path)
        if len(calls) > written:
            raise KeyboardInterrupt
        write_atomically(path, content)

    with monkeypatch.context() as patched:
        for module in ("studio.history", "shots.shotlist"):
            patched.setattr(f"videocolor.{module}.write_atomically", dies)
        with pytest.raises(KeyboardInterrupt):
            store.change(store.revision, lambda s: edits.move_cut(s, 8, 10))
    store.close()
    with ProjectStore.open(store.folder) as again:
        assert again.cuts == (before.cuts if written == 0 else (0, 10, 14))
        assert [shot.saturation for shot in again.data.shots.values()] == [0.5]
        assert set(again.data.shots) <= set(again.cuts or ())
        again.set_cuts(CUTS, Index())
        again.change(again.revision, lambda s: edits.add_cut(s, 4))
        again.undo(again.revision)
        assert again.can_undo


def test_the_configuration_that_a_project_stands_for(store: ProjectStore) -> None:
    painted = store.save_image("h0002", b"painted")
    add_loose(store, 0, 14)

    def edit(state: State) -> State:
        hint = ProjectHint(id="h0002", kind="painted", image=painted, frame=10, shots=(0,))
        off = hint.model_copy(update={"id": "h0003", "enabled": False})
        state = edits.add_hint(edits.add_hint(state, hint), off)
        state = edits.set_shot(edits.set_shot(state, 14, saturation=0.0), 8, note="no saturation of its own")
        return edits.set_settings(state, {"output.codec": "ffv1", "smoothing.enabled": False})

    store.change(store.revision, edit)
    config = store.config()
    assert config.shots.file == store.folder / "shots.yaml" and config.output.codec == "ffv1"
    assert not config.smoothing.enabled
    loose = store.data.hints[0].image
    assert [(a.image, a.frame, a.shots) for a in config.hints.assigned] == [
        (str(store.folder / "hints" / loose), None, (0, 14)),
        (str(store.folder / "hints" / painted), 10, (0,)),
    ]
    assert [(entry.frame, entry.saturation) for entry in config.chroma.by_shot] == [(14, 0.0)]
    assert read_project(store.folder).config() == config
    assert ColorizeConfig.model_validate(config.as_dict()) == config
    (store.folder / "hints" / painted).rename(store.folder / "aside.png")
    (store.folder / "hints" / painted).symlink_to(store.folder / "aside.png")
    with pytest.raises(InputError, match="is a link"):
        store.config()
    with pytest.raises(InputError, match="is a link"):
        store.image_path(store.data.hint("h0002"))
    (store.folder / "hints" / painted).unlink()
    with pytest.raises(InputError, match=r"h0002.*picture of a hint is missing"):
        store.config()


def test_pictures_get_names_of_their_own_and_stay(store: ProjectStore) -> None:
    first, again, other = (store.save_image("h0001", data) for data in (b"a", b"a", b"b"))
    assert first == again != other
    assert (store.folder / "hints" / first).read_bytes() == b"a"
    for wrong in (("../h0001", ".png"), ("h0001", ".svg"), ("h1", ".png")):
        with pytest.raises(UsageError):
            store.save_image(wrong[0], b"", wrong[1])
    state = add_loose(store, 8)
    store.change(store.revision, lambda s: edits.remove_hint(s, "h0001"))
    assert store.images_in_use() == {state.data.hints[0].image}  # undo needs it


@pytest.mark.slow
def test_the_project_needs_no_web_server(root: Path) -> None:
    program = (
        "import sys; sys.modules['fastapi'] = sys.modules['uvicorn'] = None\n"
        "import videocolor.studio.project, videocolor.studio.edits; print('torch' in sys.modules)\n"
        "import videocolor.studio.render"
    )
    environment = {**os.environ, "PYTHONPATH": str(root)}
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=60)
    assert (said.stdout, said.returncode) == ("False\n", 0), said.stderr
