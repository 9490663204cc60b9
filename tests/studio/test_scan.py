"""The pass over the film: the cuts of `videocolor shots`, frames of `keyframes`, exact frames, a cache."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from films import write_reel
from media import make_film, noise_planes
from serving import until

from videocolor.colorize import find_shots
from videocolor.config import ColorizeConfig
from videocolor.errors import InputError
from videocolor.keyframes.choose import rank_views, write_keyframes
from videocolor.shards.types import FilmJob
from videocolor.shards.work import plan_film
from videocolor.shots.scan import FilmScan, scan_film
from videocolor.studio import scan as scan_module
from videocolor.studio.errors import NotFoundError
from videocolor.studio.frames import ByteCache, FilmIndex, FrameSource, display_size
from videocolor.studio.scan import Scan
from videocolor.studio.scancache import ShotView, load_scan, scan_path
from videocolor.video import open_video, probe

SHOTS = ((1, 12), (2, 20), (1, 9), (3, 70))
CUTS = [0, 12, 32, 41]


class Heard:
    """Whoever watches a scan."""

    def __init__(self) -> None:
        self.looks: list[ShotView] = []
        self.known: list[int] = []
        self.starts: list[int] | None = None
        self.returned = 0
        self.scan: Scan | None = None
        self.index: FilmIndex | None = None

    def scan_moved(self) -> None:
        pass

    def shots_found(self, looks: Sequence[ShotView]) -> None:
        assert self.index is not None
        self.looks += looks
        self.known.append(self.index.frames)

    def scan_ended(self, starts: Sequence[int]) -> None:
        self.starts = list(starts)

    def returns_changed(self) -> None:
        self.returned += 1


def scanned(film: Path, cache: Path, config: ColorizeConfig | None = None) -> tuple[Scan, FilmIndex, Heard]:
    heard, index = Heard(), FilmIndex(probe(film))
    heard.index = index
    scan = Scan(film, config or ColorizeConfig(), cache, index, heard)
    scan.start()
    until(lambda: scan.state != "running")
    return scan, index, heard


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reel(tmp_path_factory.mktemp("reel") / "reel.mkv", SHOTS)


def beginning(film: Path, target: Path, packets: int) -> Path:
    """The first packets of a film's picture, as they are."""
    with av.open(str(film)) as source, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in islice(source.demux(source.streams.video[0]), packets):
            packet.stream = stream
            out.mux(packet)
    return target


@pytest.mark.parametrize("name", [pytest.param("cuts_audio_tears_of_steel.mp4", marks=pytest.mark.slow), "reel"])
def test_cuts_and_suggestions_are_those_of_the_commands(name: str, reel: Path, samples: Path, tmp_path: Path) -> None:
    film = reel if name == "reel" else beginning(samples / name, tmp_path / name, 221)  # its first four shots
    scan, index, heard = scanned(film, tmp_path)
    scan.stop()
    with open_video(film, fast=True) as video:
        assert list(index.pts) == [frame.pts for frame in video]
    views = find_shots(film).shots
    assert heard.starts == [view.shot.start for view in views] and len(views) > 3
    written = write_keyframes(film, tmp_path / "suggested", ColorizeConfig(), per_shot=1)
    source = FrameSource(film, index)
    paths = {int(path.name[4:8]) - 1: path for path in written}  # none for shots that look like an earlier one
    assert len(paths) > 2
    for number, (look, view) in enumerate(zip(scan.found(), views, strict=True)):
        assert (look.start, look.end) == (view.shot.start, view.shot.end)
        assert np.array_equal(look.first, view.views[0][1]) and np.array_equal(look.last, view.last)
        assert number not in paths or source.png(look.suggested[0]) == paths[number].read_bytes()
        assert len(set(look.suggested)) == min(3, len(view.views))
        assert all(look.start <= frame < look.end for frame in look.suggested)
    source.close()


def test_shots_stream_in(reel: Path, tmp_path: Path) -> None:
    """A shot is told of as soon as the next one has begun, not when the film has ended."""
    scan, index, heard = scanned(reel, tmp_path)
    scan.stop()
    assert [look.start for look in heard.looks] == CUTS
    for look, known in zip(heard.looks[:-1], heard.known, strict=False):
        assert look.end - 1 <= known <= look.end + 1
    assert index.frames == 111


def test_thumbnails_have_the_display_aspect(tmp_path: Path) -> None:
    film = tmp_path / "wide.mkv"
    luma = np.tile(np.linspace(20, 230, 96).astype(np.uint8), (64, 1))
    make_film(film, [[luma]] * 4, "libx264", "gray", size=(96, 64), sar=Fraction(2), options={"qp": "4"})
    scan, index, _ = scanned(film, tmp_path)
    for look in scan.found():
        picture = cv2.imdecode(np.frombuffer(look.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert picture is not None and picture.shape == (90, 270)
    with open_video(film) as video:
        luma = next(iter(video)).luma
    frame = cv2.imdecode(np.frombuffer(FrameSource(film, index).jpeg(0, 64), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert frame is not None and frame.shape == (64, 192)
    wanted = (np.clip(cv2.resize(luma, (192, 64)).astype(float), 16, 235) - 16) / 219 * 255
    assert np.abs(frame - wanted).mean() < 3
    scan.stop()


def test_the_best_frame_of_a_shot_comes_first() -> None:
    """Five views alike and one of something else: the odd one is never first, but second, for it adds most."""
    rng = np.random.default_rng(0)
    usual, odd = (rng.integers(0, 255, (90, 160), dtype=np.uint8) for _ in range(2))
    usual, odd = cv2.GaussianBlur(usual, (0, 0), 9), cv2.GaussianBlur(odd, (0, 0), 9)
    views = [(10 * k, odd if k == 4 else usual) for k in range(6)]
    assert rank_views(views)[:2] == [0, 40]
    assert sorted(rank_views(views)) == [index for index, _ in views]


def test_the_second_start_needs_no_pass(reel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, index, _ = scanned(reel, tmp_path)
    first.stop()

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("looked through the film again")

    monkeypatch.setattr(scan_module, "FilmScan", never)
    second, again, heard = scanned(reel, tmp_path)
    second.stop()
    assert heard.starts == CUTS and again.pts == index.pts and second.state == "done"
    for one, other in zip(first.found(), second.found(), strict=True):
        assert (one.start, one.end, one.suggested, one.jpeg) == (other.start, other.end, other.suggested, other.jpeg)
        assert np.array_equal(one.first, other.first) and np.array_equal(one.last, other.last)


@pytest.mark.parametrize(
    "harm",
    ["pickle", *(pytest.param(h, marks=pytest.mark.slow) for h in ("garbage", "empty", "truncated", "other arrays"))],
)
def test_a_cache_that_is_broken_is_made_anew(reel: Path, tmp_path: Path, harm: str) -> None:
    scanned(reel, tmp_path)[0].stop()
    path = scan_path(tmp_path, reel, ColorizeConfig())
    whole = path.read_bytes()
    if harm == "other arrays":
        np.savez(path, pts=np.array([3, 2, 1]))
    elif harm == "pickle":
        np.savez(path, pts=np.array([{"a": 1}], object))
    else:
        path.write_bytes({"garbage": b"x" * 999, "empty": b"", "truncated": whole[: len(whole) // 2]}[harm])
    assert load_scan(path) is None
    scan, _, heard = scanned(reel, tmp_path)
    scan.stop()
    assert heard.starts == CUTS and load_scan(path) is not None


def test_another_film_or_detector_has_another_cache(reel: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(reel.read_bytes())
    before = scan_path(tmp_path, film, ColorizeConfig())
    none = ColorizeConfig.model_validate({"shots": {"detector": "none"}})
    assert scan_path(tmp_path, film, none) != before
    film.write_bytes(reel.read_bytes() + b"\0")
    assert scan_path(tmp_path, film, ColorizeConfig()) != before


def test_new_cuts_are_looked_at_as_the_pass_would(reel: Path, tmp_path: Path) -> None:
    scan, _, heard = scanned(reel, tmp_path)
    cuts = [0, 5, 12, 41, 42, 60]
    scan.watch(cuts, ())
    assert scan.settled(100)
    scan.stop()
    listed = tmp_path / "shots.yaml"
    listed.write_text("frames: 111\nshots:\n" + "".join(f"- {{frame: {cut}}}\n" for cut in cuts))
    config = ColorizeConfig.model_validate({"shots": {"file": listed}})
    for view in scan_film(reel, config, exact=True).shots:
        look = scan.view(view.shot.start, view.shot.end)
        assert look is not None
        assert np.array_equal(look.first, view.views[0][1]) and np.array_equal(look.last, view.last)
        assert list(look.suggested) == rank_views(view.views)[:3]
    assert {look.start for look in heard.looks} == {*CUTS, *cuts}


@pytest.mark.slow
def test_who_returns_is_what_the_render_plans(reel: Path, tmp_path: Path) -> None:
    scan, _, heard = scanned(reel, tmp_path)
    scan.watch(CUTS, ())
    assert scan.settled(100)
    job = FilmJob("reel", reel, tmp_path / "out.mkv", ColorizeConfig().as_dict(), tmp_path / "job")
    planned = {shot.start: CUTS[shot.reuses] for shot in plan_film(job).shots if shot.reuses is not None}
    assert scan.returns == planned == {32: 0}
    scan.watch(CUTS, {32})
    assert scan.settled(100) and scan.returns == {} and heard.returned == 2
    scan.stop()


def test_a_pass_can_be_stopped_and_held(reel: Path, tmp_path: Path) -> None:
    index, heard, before = FilmIndex(probe(reel)), Heard(), set(threading.enumerate())
    heard.index = index
    scan = Scan(reel, ColorizeConfig(), tmp_path, index, heard)
    with scan.held():
        scan.start()
        until(lambda: index.frames == 1)
        assert index.frames == 1 and scan.state == "running", "it rests while somebody waits for pictures"
        scan.stop()
    assert scan.state == "running" and index.frames <= 2
    assert set(threading.enumerate()) <= before


def test_a_film_that_goes_away_is_told_of(reel: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(reel.read_bytes())
    index, heard = FilmIndex(probe(film)), Heard()
    heard.index = index
    scan = Scan(film, ColorizeConfig(), tmp_path, index, heard)
    film.unlink()
    scan.start()
    until(lambda: scan.state != "running")
    scan.stop()
    assert scan.state == "failed" and str(film) in str(scan.error) and heard.starts is None


def test_what_progress_raises_ends_a_pass(reel: Path) -> None:
    class EnoughError(Exception):
        pass

    def stop(frames: int, total: int | None) -> None:
        assert total == 111
        if frames == 30:
            raise EnoughError

    scan = FilmScan(reel, ColorizeConfig(), progress=stop)
    found = []
    with pytest.raises(EnoughError):
        found.extend(view.shot.start for view in scan)
    assert found == [0] and len(scan.pts) == 30


# ---- single frames ----


def index_of(film: Path) -> tuple[FilmIndex, list[Any]]:
    index, frames = FilmIndex(probe(film)), []
    with open_video(film) as video:
        for frame in video:
            index.grow(frame.pts)
            frames.append(frame.luma.copy())
    index.finish()
    return index, frames


@pytest.mark.parametrize("name", ["bw_chaplin.mp4", pytest.param("london_station_60fps.mp4", marks=pytest.mark.slow)])
def test_frames_are_exact_in_any_order(samples: Path, name: str) -> None:
    index, frames = index_of(samples / name)
    source = FrameSource(samples / name, index)
    last = index.frames - 1
    for number in [last, 0, 100, 99, 98, 97, 60, 61, 62, 200, last, 1]:
        frame = source.frame(number)
        assert frame.index == number and frame.pts == index.pts[number]
        assert np.array_equal(frame.luma, frames[number])
    source.close()


def test_frames_of_odd_clocks(tmp_path: Path) -> None:
    """A rate that varies, a first frame that is not at 0, frames without any seekable place."""
    film = tmp_path / "vfr.mkv"
    times = [500, 533, 700, 701, 1400, 1433, 1466, 4000, 4033]
    planes = [noise_planes(64, 48, "gray", i)[:1] for i in range(len(times))]
    make_film(film, planes, "libx264", "gray", pts=times, time_base=Fraction(1, 1000), options={"crf": "0", "g": "500"})
    index, frames = index_of(film)
    source = FrameSource(film, index)
    for number in (8, 3, 2, 5, 0, 7, 4):
        assert np.array_equal(source.frame(number).luma, frames[number])
    assert index.nearest(Fraction(3)) == 6 and index.nearest(Fraction(7, 10)) == 2 and index.nearest(Fraction(0)) == 0
    for beyond in (9, 10, -1):
        with pytest.raises(NotFoundError):
            source.frame(beyond)
    source.close()
    with pytest.raises(NotFoundError):
        source.frame(6)


def test_a_film_that_was_changed_is_noticed(reel: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(reel.read_bytes())
    index, _ = index_of(film)
    source = FrameSource(film, index)
    write_reel(film, ((1, 6),))
    with pytest.raises(InputError, match="has the film changed"):
        source.frame(50)
    source.close()


def test_what_is_kept_is_bounded() -> None:
    cache: ByteCache[int, bytes] = ByteCache(10, len)
    for key in range(5):
        cache.put(key, b"four")
    assert [cache.get(key) is not None for key in range(5)] == [False, False, False, True, True]
    cache.get(3)
    cache.put(9, b"four")
    assert cache.get(3) == b"four" and cache.get(4) is None
    cache.put(1, b"x" * 99)
    assert cache.get(1) is not None and cache.get(3) is None, "a single one is kept, however large"


def test_display_sizes(samples: Path) -> None:
    info = probe(samples / "cuts_audio_tears_of_steel.mp4")
    assert info.sar != 1 and display_size(info) == (332, 798) and display_size(info, 166) == (166, 399)


def test_waiting_for_a_frame_ends(reel: Path) -> None:
    index = FilmIndex(probe(reel))
    waited = threading.Thread(target=index.wait_for, args=(0, 200))
    waited.start()
    index.grow(0)
    waited.join(100)
    assert not waited.is_alive()
    assert not index.knows(1) and index.knows(0)
    index.finish()
    assert index.knows(1) and not index.knows(2), "the end of the film is known, too"
