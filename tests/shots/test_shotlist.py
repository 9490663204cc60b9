"""Cuts on a synthetic film that holds what deceives detectors, the scene check, and the shot list."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from videocolor.errors import ConfigError, OutputError
from videocolor.motion.similarity import scene_distance, shot_similarity, similarities
from videocolor.shots.detect import CutFinder
from videocolor.shots.shotlist import ListedShot, check_shot_file, clock, read_shots, write_shots
from videocolor.types import Array, Shot

HEIGHT, WIDTH = 144, 192


def scenes() -> list[Array]:
    """Photographs of skimage's wheel as gray, (h, w) float32 in 8-bit levels, at least 300x400."""
    rng = np.random.default_rng(3)
    pictures = [
        skimage.data.camera(),
        skimage.data.astronaut(),
        skimage.data.cat(),
        skimage.data.coffee(),
        skimage.data.page(),
        skimage.data.text(),
        skimage.data.moon(),
        skimage.data.coins(),
        skimage.data.horse() * 180 + 30,
        skimage.data.colorwheel(),
        skimage.data.rocket(),
        skimage.data.chelsea()[::-1],
    ]
    grays = []
    for picture in pictures:
        gray = picture.astype(np.float32)
        gray = gray.mean(axis=2) if gray.ndim == 3 else gray
        scale = max(300 / gray.shape[0], 400 / gray.shape[1])
        grays.append(cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR))
    clouds = cv2.resize(rng.normal(120, 60, (12, 16)).astype(np.float32), (400, 300), interpolation=cv2.INTER_CUBIC)
    return [*grays, np.clip(clouds, 0, 255)]


class Camera:
    """Frames of one scene: a panning crop, an object that moves through it, grain."""

    def __init__(self, scene: Array, seed: int) -> None:
        self.scene, self.rng = scene, np.random.default_rng(seed)
        room = np.array([scene.shape[1] - WIDTH - 1, scene.shape[0] - HEIGHT - 1])
        self.place = self.rng.uniform(0.2, 0.8, 2) * room
        self.step = self.rng.uniform(-1.5, 1.5, 2)
        self.room = room
        self.actor = self.rng.uniform(0.2, 0.8, 2) * (WIDTH, HEIGHT)
        self.actor_step = self.rng.uniform(-4, 4, 2)
        self.actor_level = float(self.rng.uniform(20, 230))

    def __iter__(self) -> Iterator[Array]:
        while True:
            self.place = np.clip(self.place + self.step, 0, self.room)
            self.actor = self.actor + self.actor_step
            x, y = self.place
            frame = cv2.getRectSubPix(self.scene, (WIDTH, HEIGHT), (x + WIDTH / 2, y + HEIGHT / 2))
            center = (round(self.actor[0]) % WIDTH, round(self.actor[1]) % HEIGHT)
            cv2.circle(frame, center, 18, self.actor_level, -1, cv2.LINE_AA)
            yield frame + self.rng.normal(0, 5, frame.shape).astype(np.float32)


def film() -> tuple[list[Array], list[int], list[tuple[int, int]], int]:
    """Frames (uint8), hard cuts, spans of gradual changes [start, end), and the number of flashes."""
    pictures = scenes()
    kinds = (["cut"] * 4 + ["dissolve", "fade"]) * 5 + ["cut"] * 2
    rng = np.random.default_rng(11)
    frames: list[Array] = []
    cuts: list[int] = []
    spans: list[tuple[int, int]] = []
    flashes = 0
    camera = iter(Camera(pictures[0], 0))
    for number, kind in enumerate(kinds, 1):
        shot = [next(camera) for _ in range(int(rng.integers(14, 30)))]
        if number % 6 == 3:
            flashes += 1
            for offset in range(1 + flashes % 2):
                shot[7 + offset] = shot[7 + offset] * 1.4 + 70
        frames += shot
        following = iter(Camera(pictures[number % len(pictures)], number))
        length = int(rng.integers(10, 20))
        if kind == "cut":
            cuts.append(len(frames))
        elif kind == "dissolve":
            spans.append((len(frames), len(frames) + length))
            frames += [
                next(camera) * (1 - t) + next(following) * t for t in np.linspace(0, 1, length, dtype=np.float32)
            ]
        else:
            spans.append((len(frames), len(frames) + 2 * length + 3))
            frames += [next(camera) * t for t in np.linspace(1, 0, length, dtype=np.float32)]
            frames += [np.abs(rng.normal(0, 1, (HEIGHT, WIDTH))).astype(np.float32) for _ in range(3)]
            frames += [next(following) * t for t in np.linspace(0, 1, length, dtype=np.float32)]
        camera = following
    frames += [next(camera) for _ in range(20)]
    return [np.clip(f, 0, 255).astype(np.uint8) for f in frames], cuts, spans, flashes


def find(frames: list[Array]) -> list[int]:
    finder = CutFinder()
    found = []
    for index, frame in enumerate(frames):
        fresh = finder.push(frame)
        assert all(index - finder.latency <= cut <= index for cut in fresh)
        found += fresh
    return found + finder.finish()


@pytest.mark.slow
def test_finds_every_hard_cut_of_the_film_and_at_most_one_false() -> None:
    frames, cuts, spans, flashes = film()
    assert (len(cuts), len(spans), flashes) >= (20, 10, 5)
    found = find(frames)
    assert found == sorted(set(found))
    assert [cut for cut in cuts if cut not in found] == []
    false = [f for f in found if f not in cuts and not any(a <= f < b for a, b in spans)]
    assert len(false) <= 1, false
    assert all(sum(a <= f < b for f in found) <= 1 for a, b in spans)


def test_fade_through_black_to_another_scene_parts_two_shots_and_back_to_the_same_none() -> None:
    first, second = iter(Camera(scenes()[0], 1)), iter(Camera(scenes()[1], 2))
    ramp = np.linspace(1, 0, 12, dtype=np.float32)

    def faded(after: Iterator[Array]) -> list[int]:
        frames = [next(first) for _ in range(20)] + [next(first) * t for t in ramp]
        frames += [np.zeros((HEIGHT, WIDTH), np.float32)] * 4
        frames += [next(after) * t for t in ramp[::-1]] + [next(after) for _ in range(20)]
        return find([np.clip(f, 0, 255).astype(np.uint8) for f in frames])

    other = faded(second)
    assert len(other) == 1 and 20 <= other[0] < 48
    assert faded(first) == []


@pytest.mark.slow
def test_float_and_uint8_find_the_same() -> None:
    frames, _, _, _ = film()
    part = frames[:120]
    assert find(part) == find([f.astype(np.float32) / 255 for f in part]) != []


def test_a_cut_among_the_last_frames_is_found_at_the_end() -> None:
    a, b = iter(Camera(scenes()[0], 1)), iter(Camera(scenes()[2], 2))
    for tail in (1, 2, 3, 4, 5):
        frames = [np.clip(next(a), 0, 255).astype(np.uint8) for _ in range(12)]
        frames += [np.clip(next(b), 0, 255).astype(np.uint8) for _ in range(tail)]
        assert find(frames) == [12], tail


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_very_short_films(count: int) -> None:
    assert find([np.full((HEIGHT, WIDTH), 90, np.uint8)] * count) == []


def test_scene_distance_ignores_exposure_and_small_motion() -> None:
    scene = scenes()[0]
    a = scene[50 : 50 + HEIGHT, 60 : 60 + WIDTH]
    moved = scene[54 : 54 + HEIGHT, 66 : 66 + WIDTH]
    other = scenes()[1][50 : 50 + HEIGHT, 60 : 60 + WIDTH]
    frames = [np.clip(f, 0, 255).astype(np.uint8) for f in (a, a * 0.7 + 20, moved, other)]
    same, exposed, shifted, foreign = (scene_distance(frames[0], f) for f in frames)
    assert same == 0
    assert exposed < 0.1
    assert shifted < 0.3
    assert foreign > 0.8
    assert scene_distance(frames[3], frames[0]) == pytest.approx(foreign, abs=0.15)


def test_shots_like_tells_a_returning_shot_from_another() -> None:
    views = [
        [np.clip(f, 0, 255).astype(np.uint8) for f, _ in zip(Camera(s, 5), range(15), strict=False)] for s in scenes()
    ]
    returning = [shot_similarity(view[0], view[-1]) for view in views]
    foreign = [shot_similarity(a[0], b[0]) for i, a in enumerate(views) for b in views[i + 1 :]]
    assert np.mean([r > 0.5 for r in returning]) >= 0.9
    assert np.mean([f > 0.5 for f in foreign]) <= 0.1
    assert shot_similarity(views[0][0], views[0][0]) > 0.99


def test_likenesses_are_those_of_pairs() -> None:
    rng = np.random.default_rng(5)
    pictures = [cv2.resize(rng.integers(0, 256, (2 + k % 7, 9), dtype=np.uint8), (160, 90)) for k in range(70)]
    pictures += [np.roll(pictures[0], 4, axis=1), np.zeros((90, 160), np.uint8), np.full((90, 160), 255, np.uint8)]
    table = similarities(pictures[-5:], pictures)
    pairs = [[shot_similarity(one, other) for other in pictures] for one in pictures[-5:]]
    np.testing.assert_allclose(table, pairs, atol=1e-5)
    assert table[2, 0] > 0.9 and similarities([], pictures).shape == (0, 73)


def test_shots_like_of_flat_pictures_is_a_number() -> None:
    black, white = np.zeros((90, 160), np.uint8), np.full((90, 160), 255, np.uint8)
    assert 0 <= shot_similarity(black, white) < 0.1
    assert 0 <= shot_similarity(black, black) < 0.5
    assert 0 <= scene_distance(black, white) < 0.1


SHOTS = [
    Shot(0, 0, 52, 0, 52 * 512, Fraction(1, 12288)),
    Shot(1, 52, 122, 52 * 512, 122 * 512, Fraction(1, 12288)),
    Shot(2, 122, 576, 122 * 512, 576 * 512, Fraction(1, 12288)),
]


def test_shot_list_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "shots.yaml"
    note = 'a "quoted": note, # not a comment {äöü}'
    write_shots(path, SHOTS, film="it's a film: part 1.mkv", notes={1: note})
    assert '{shot: 2, time: "00:00:02.167", frame: 52' in path.read_text(encoding="utf-8")
    assert read_shots(path) == [ListedShot(0), ListedShot(52, note), ListedShot(122)]
    assert read_shots(path, frames=576)[-1].start == 122


def test_shots_count_from_1_for_people_and_from_anything_for_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "shots.yaml"
    write_shots(path, SHOTS)
    text = path.read_text(encoding="utf-8")
    assert [line.split(",")[0] for line in text.splitlines() if line.startswith("-")] == [
        "- {shot: 1",
        "- {shot: 2",
        "- {shot: 3",
    ]
    from_1 = read_shots(path)
    for number in (1, 2, 3):
        text = text.replace(f"{{shot: {number},", f"{{shot: {number - 1},")
    path.write_text(text, encoding="utf-8")
    assert read_shots(path) == from_1


def test_an_existing_list_stays_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "shots.yaml"
    path.write_text("shots:\n- {frame: 9, note: edited}\n", encoding="utf-8")
    with pytest.raises(OutputError, match="--overwrite"):
        write_shots(path, SHOTS)
    assert read_shots(path) == [ListedShot(0), ListedShot(9, "edited")]
    write_shots(path, SHOTS, overwrite=True)
    assert len(read_shots(path)) == 3
    assert list(tmp_path.iterdir()) == [path]


def test_a_list_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shots.yaml"
    write_shots(path, SHOTS[:1])
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OutputError, match="No space left"):
        write_shots(path, SHOTS, overwrite=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_film_is_never_the_list(tmp_path: Path) -> None:
    film, link = tmp_path / "film.mkv", tmp_path / "link.yaml"
    film.write_bytes(b"film")
    link.symlink_to(film)
    for output in (film, tmp_path / "." / "film.mkv", link):
        with pytest.raises(OutputError, match="never overwritten"):
            check_shot_file(output, overwrite=True, source=film)
    with pytest.raises(OutputError, match="not a file"):
        check_shot_file(tmp_path, overwrite=True, source=film)
    check_shot_file(tmp_path / "new.yaml", source=film)


def test_an_edited_shot_list(tmp_path: Path) -> None:
    path = tmp_path / "shots.yaml"
    path.write_text("shots:\n- {frame: 30}\n- frame: 52\n  note: bridge\n", encoding="utf-8")
    assert read_shots(path) == [ListedShot(0), ListedShot(30), ListedShot(52, "bridge")]
    path.write_text("frames: 10\nshots: []\n", encoding="utf-8")
    assert read_shots(path) == [ListedShot(0)]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("shots:\n- {frame: 0}\n- {frame: 30}\n- {frame: 30}\n", 4, "not after"),
        ("shots:\n- {frame: 0}\n- {frame: 9}\n- {frame: 4}\n", 4, "not after"),
        ("frames: 20\nshots:\n- {frame: 0}\n- {frame: 20}\n", 4, "beyond the film"),
        ("shots:\n- {frame: 0}\n- {fame: 20}\n", 3, "unknown key 'fame'"),
        ("film: x\nshot: []\n", 2, "unknown key 'shot'"),
        ("shots:\n- {frame: 1.5}\n", 2, "whole number"),
        ("shots:\n- {frame: -3}\n", 2, "whole number"),
        ("shots:\n- {frame: [1]}\n", 2, "whole number"),
        ("shots:\n- {time: '00:00:01.000'}\n", 2, "no `frame`"),
        ("shots:\n- 12\n", 2, "expected a shot"),
        ("shots:\n- {frame: 1, frame: 2}\n", 2, "stands twice"),
        ("shots:\n- {frame: 1\n", 3, "not YAML"),
        ("? [a]\n: b\n", 1, "unknown key"),
        ("shots: 5\n", None, "no list"),
        ("- 1\n", None, "not a shot list"),
        ("", None, "not a shot list"),
    ],
)
def test_a_wrong_shot_list_is_refused_with_its_line(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    path = tmp_path / "shots.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_shots(path)
    assert str(path) in str(caught.value) and words in str(caught.value)
    if line is not None:
        assert f"line {line}:" in str(caught.value)


def test_unreadable_shot_lists(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_shots(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="not a text file"):
        read_shots(tmp_path / "b.yaml")
    with pytest.raises(OutputError):
        write_shots(tmp_path / "no" / "such" / "folder.yaml", SHOTS)


def test_clock() -> None:
    assert clock(Fraction(0)) == "00:00:00.000"
    assert clock(Fraction(3661_0005, 10000)) == "01:01:01.000"
    assert clock(3599.9996) == "01:00:00.000"
