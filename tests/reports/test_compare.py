"""Comparison films: every sample, time and packet of small films whose contents are known."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media import make_film, planes_of

from videocolor.cli import cli
from videocolor.errors import InputError, OutputError, UsageError
from videocolor.events import Event
from videocolor.record import write_sidecar
from videocolor.reports.compare import CompareOptions, line_column, write_comparison
from videocolor.types import Array

WIDTH, HEIGHT = 64, 48
LOSSLESS = CompareOptions(codec="ffv1")


def picture(index: int, *, seed: int = 0, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> Array:
    """(h, w) uint8 luma with a large pattern of its own, a little brighter from frame to frame."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(40, 200, (6, 8))
    large = np.kron(blocks, np.ones((-(-shape[0] // 6), -(-shape[1] // 8)), int))[: shape[0], : shape[1]]
    return (large + index % 30).astype(np.uint8)


def pair(folder: Path, frames: int = 6, *, suffix: str = ".mkv", **more: Any) -> tuple[Path, Path]:
    """A gray film, and the same luma with chroma that no gray film has."""
    source, result = folder / f"film{suffix}", folder / f"color{suffix}"
    lumas = [picture(i) for i in range(frames)]
    shape = (HEIGHT // 2, WIDTH // 2)
    make_film(source, [[y] for y in lumas], pix_fmt="gray", size=(WIDTH, HEIGHT), **more)
    chroma = [[np.full(shape, 60 + i, np.uint8), np.full(shape, 200 - i, np.uint8)] for i in range(frames)]
    make_film(result, [[y, *c] for y, c in zip(lumas, chroma, strict=True)], size=(WIDTH, HEIGHT), **more)
    return source, result


def decoded(path: Path) -> tuple[list[list[Array]], list[Fraction]]:
    planes, times = [], []
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            planes.append([plane.copy() for plane in planes_of(frame)])
            times.append(frame.pts * Fraction(frame.time_base))
    return planes, times


def test_side_by_side_sample_for_sample(tmp_path: Path) -> None:
    source, result = pair(tmp_path, tags={"color_range": 1})
    made = write_comparison(source, result, tmp_path / "out.mkv", options=LOSSLESS)
    assert (made.frames, made.width, made.height) == (6, 2 * WIDTH, HEIGHT)
    found, times = decoded(made.target)
    assert times == [Fraction(t) for t in decoded(result)[1]]
    for index, (y, cb, cr) in enumerate(found):
        np.testing.assert_array_equal(y[:, WIDTH:], picture(index))
        np.testing.assert_array_equal(y[:, :WIDTH], y[:, WIDTH:])
        assert (cb[:, : WIDTH // 2] == 128).all() and (cr[:, : WIDTH // 2] == 128).all(), "a gray film has no color"
        assert (cb[:, WIDTH // 2 :] == 60 + index).all() and (cr[:, WIDTH // 2 :] == 200 - index).all()


def test_wipe_shows_each_film_on_its_side_of_the_line(tmp_path: Path) -> None:
    source, result = pair(tmp_path, 24, tags={"color_range": 1})
    made = write_comparison(
        source, result, tmp_path / "out.mkv", kind="wipe", options=CompareOptions(codec="ffv1", period=1)
    )
    assert (made.width, made.height) == (WIDTH, HEIGHT)
    columns = []
    for index, (y, cb, _) in enumerate(decoded(made.target)[0]):
        line = np.flatnonzero((y == 235).all(axis=0) & (picture(index) != 235).all(axis=0))
        colored = np.flatnonzero((cb == 60 + index).all(axis=0))
        gray = np.flatnonzero((cb == 128).all(axis=0))
        assert len(colored) + len(gray) == WIDTH // 2 and (not len(colored) or gray.max() < colored.min())
        apart = np.setdiff1d(np.arange(WIDTH), line)
        np.testing.assert_array_equal(y[:, apart], picture(index)[:, apart])
        columns.append(float(line.mean() + 0.5) if len(line) else None)
    # 24 frames a second and a period of a second: the middle, the right end, the middle, the left end.
    assert columns[0] == columns[12] == WIDTH / 2
    assert columns[6] == pytest.approx(WIDTH, abs=1) and columns[18] == pytest.approx(0, abs=1)
    assert all(a is not None for a in columns)
    assert columns[1] - columns[0] > columns[5] - columns[4], "it slows down where it turns"


@pytest.mark.parametrize(("time", "column"), [(0, 320), (2, 640), (4, 320), (6, 0), (8, 320), (Fraction(2, 3), 480)])
def test_place_of_the_line(time: Fraction, column: int) -> None:
    assert line_column(time, 8, 640) == column


def test_deep_full_range_film(tmp_path: Path) -> None:
    """10 bits and full range reach 8-bit limited codes by the formula of BT.709."""
    codes = np.linspace(0, 1023, 8 * 6).reshape(6, 8).astype(np.uint16)
    luma = np.kron(codes, np.ones((8, 8), np.uint16))
    chroma = np.full((HEIGHT // 2, WIDTH // 2), 900, np.uint16)
    planes = [[luma, chroma, chroma]] * 3
    tags = {"color_range": 2, "colorspace": 1}
    for name in ("film.mkv", "color.mkv"):
        make_film(tmp_path / name, planes, pix_fmt="yuv420p10le", size=(WIDTH, HEIGHT), tags=tags)
    write_comparison(tmp_path / "film.mkv", tmp_path / "color.mkv", tmp_path / "out.mkv", options=LOSSLESS)
    y, cb, _ = decoded(tmp_path / "out.mkv")[0][0]
    expected = np.floor(16 + luma / 1023 * 219 + 0.5)
    np.testing.assert_array_equal(y, np.hstack([expected, expected]))
    assert (cb == np.floor(128 + (900 - 512) / 1023 * 224 + 0.5)).all()


def test_another_matrix_is_converted(tmp_path: Path) -> None:
    """A BT.601 source beside a BT.709 result: red stays red, by the formulas of both."""
    shape, half = (HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2)
    red = {"bt601": (81, 90, 240), "bt709": (63, 102, 240)}  # ITU-R BT.601, BT.709: R' = 1 in 8-bit limited codes
    for name, matrix, number in (("film.mkv", "bt601", 6), ("color.mkv", "bt709", 1)):
        y, cb, cr = red[matrix]
        planes = [np.full(shape, y, np.uint8), np.full(half, cb, np.uint8), np.full(half, cr, np.uint8)]
        make_film(tmp_path / name, [planes] * 2, size=(WIDTH, HEIGHT), tags={"colorspace": number, "color_range": 1})
    write_comparison(tmp_path / "film.mkv", tmp_path / "color.mkv", tmp_path / "out.mkv", options=LOSSLESS)
    for plane, code in zip(decoded(tmp_path / "out.mkv")[0][0], red["bt709"], strict=True):
        assert np.abs(plane.astype(int) - code).max() <= 1


def test_what_browsers_play_with_times_and_sound(tmp_path: Path) -> None:
    """Default target: H.264, 4:2:0, index first, square pixels; times of a film of variable rate; sound bit for bit."""
    pts = [0, 40, 80, 200, 210, 500, 540, 590]
    more: dict[str, Any] = {
        "pts": pts,
        "time_base": Fraction(1, 1000),
        "rate": Fraction(25),
        "audio": [{"language": "deu"}],
        "audio_codec": "aac",
        "sar": Fraction(4, 3),
    }
    source, result = pair(tmp_path, len(pts), suffix=".mp4", codec="libx264", **more)
    made = write_comparison(source, result, tmp_path / "out.mp4")
    assert (made.width, made.height) == (2 * round(WIDTH * 4 / 3 / 2) * 2, HEIGHT)
    assert not made.warnings
    with av.open(str(made.target)) as film, av.open(str(result)) as colored:
        context = film.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert context.sample_aspect_ratio in (None, 0, 1)
        times = [frame.pts * Fraction(frame.time_base) for frame in film.decode(video=0)]
        assert times == [Fraction(t, 1000) for t in pts]
        sounds = [
            [bytes(p) for p in c.demux(c.streams.audio[0]) if p.size] for c in (av.open(str(made.target)), colored)
        ]
        assert sounds[0] == sounds[1] and sounds[0]
    data = made.target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_size_is_bounded_even_and_never_larger(tmp_path: Path) -> None:
    for name in ("film.mkv", "color.mkv"):
        frames = [[picture(i, shape=(90, 250)), *[np.full((45, 125), 100, np.uint8)] * 2] for i in range(2)]
        make_film(tmp_path / name, frames, size=(250, 90))
    for kind, width, expected in (("side", 200, (200, 36)), ("wipe", 200, (200, 72)), ("wipe", 4000, (250, 90))):
        made = write_comparison(
            tmp_path / "film.mkv",
            tmp_path / "color.mkv",
            tmp_path / "out.mp4",
            kind=kind,  # type: ignore[arg-type]
            options=CompareOptions(width=width, overwrite=True),
        )
        assert (made.width, made.height) == expected


def test_a_result_that_lost_its_sample_aspect_is_shown_like_its_source(tmp_path: Path) -> None:
    frames = [[picture(i), *[np.full((HEIGHT // 2, WIDTH // 2), 90, np.uint8)] * 2] for i in range(3)]
    make_film(tmp_path / "film.mkv", frames, "libx264", size=(WIDTH, HEIGHT), sar=Fraction(3, 2))
    make_film(tmp_path / "color.mkv", frames, size=(WIDTH, HEIGHT))
    made = write_comparison(tmp_path / "film.mkv", tmp_path / "color.mkv", tmp_path / "out.mp4", kind="wipe")
    assert (made.width, made.height) == (96, 48)


def test_turned_film_stands_upright(tmp_path: Path) -> None:
    frames = [[np.zeros((HEIGHT, WIDTH), np.uint8) + 16, *[np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)] * 2]]
    frames[0][0][:, :8] = 235  # a white bar at the left of what is stored
    for name in ("film.mp4", "color.mp4"):
        make_film(
            tmp_path / name,
            frames,
            "libx264",
            size=(WIDTH, HEIGHT),
            rotation=90,
            options={"qp": "0"},
            tags={"color_range": 1},
        )
    made = write_comparison(tmp_path / "film.mp4", tmp_path / "color.mp4", tmp_path / "out.mkv", options=LOSSLESS)
    assert (made.width, made.height) == (2 * HEIGHT, WIDTH)
    y = decoded(made.target)[0][0][0]
    # A turn of 90 degrees counter-clockwise brings the left edge down.
    assert (y[-8:] == 235).all() and (y[:-8] == 16).all()


def test_labels_stay_in_their_corners(tmp_path: Path) -> None:
    for name in ("film.mkv", "color.mkv"):
        frames = [[np.full((240, 320), 90, np.uint8), *[np.full((120, 160), 90, np.uint8)] * 2]]
        make_film(tmp_path / name, frames, size=(320, 240), tags={"color_range": 1})
    made = write_comparison(
        tmp_path / "film.mkv",
        tmp_path / "color.mkv",
        tmp_path / "out.mkv",
        options=CompareOptions(codec="ffv1", labels=True),
    )
    y = decoded(made.target)[0][0][0]
    left, right = y[-60:, :120], y[-60:, -120:]
    for corner in (left, right):
        assert corner.max() > 200 and corner.min() < 40, "white words with a dark edge"
    y[-60:, :120] = y[-60:, -120:] = 90
    assert (y == 90).all()


def test_a_trimmed_result_is_laid_over_its_part(tmp_path: Path) -> None:
    source, _ = pair(tmp_path, 12, tags={"color_range": 1})
    shape = (HEIGHT // 2, WIDTH // 2)
    part = [[picture(i), *[np.full(shape, 90, np.uint8)] * 2] for i in range(4, 9)]
    make_film(tmp_path / "part.mkv", part, size=(WIDTH, HEIGHT), tags={"color_range": 1})
    with pytest.raises(InputError, match=r"ends after 5 frames.*start and end"):
        write_comparison(source, tmp_path / "part.mkv", tmp_path / "out.mkv", options=LOSSLESS)
    span = {"start": "1/6", "end": "0.375", "rate": None}
    write_sidecar(tmp_path / "part.mkv", {"config": {"input": span}})
    write_comparison(source, tmp_path / "part.mkv", tmp_path / "out.mkv", options=LOSSLESS)
    found = decoded(tmp_path / "out.mkv")[0]
    assert len(found) == 5
    for index, (y, _, _) in enumerate(found):
        np.testing.assert_array_equal(y[:, :WIDTH], y[:, WIDTH:])
        np.testing.assert_array_equal(y[:, :WIDTH], picture(index + 4))


def test_films_that_do_not_belong_together(tmp_path: Path) -> None:
    source, result = pair(tmp_path, 6)
    make_film(tmp_path / "long.mkv", [[picture(i)] for i in range(9)], pix_fmt="gray", size=(WIDTH, HEIGHT))
    make_film(tmp_path / "wide.mkv", [[picture(i, shape=(48, 96))] for i in range(6)], pix_fmt="gray", size=(96, 48))
    other = [[picture(i, seed=5)] for i in range(6)]
    make_film(tmp_path / "other.mkv", other, pix_fmt="gray", size=(WIDTH, HEIGHT))
    slow = {"pts": range(6), "time_base": Fraction(1, 20), "rate": Fraction(20)}
    make_film(tmp_path / "slow.mkv", [[picture(i)] for i in range(6)], pix_fmt="gray", size=(WIDTH, HEIGHT), **slow)
    target = tmp_path / "out.mp4"
    for name, message in (
        ("long.mkv", "ends after 6 frames"),
        ("wide.mkv", "is shown at 64x48, .*wide.mkv at 96x48"),
        ("other.mkv", "frame 0 does not show"),
        ("slow.mkv", "frame 1 is at"),
        ("none.mkv", "no such file"),
    ):
        with pytest.raises(InputError, match=message):
            write_comparison(tmp_path / name, result, target)
    before = {path.name for path in tmp_path.iterdir()}
    assert "out.mp4" not in before and not any(name.startswith(".out") for name in before), "nothing is left"
    target.write_text("somebody's")
    with pytest.raises(OutputError, match="exists already"):
        write_comparison(source, result, target)
    for mine in (source, result):
        with pytest.raises(OutputError):
            write_comparison(source, result, mine, options=CompareOptions(overwrite=True))
    with pytest.raises(UsageError, match=r"name it \.mp4"):
        write_comparison(source, result, tmp_path / "out_%03d.png")
    with pytest.raises(UsageError, match="16384"):
        CompareOptions(width=7)
    with pytest.raises(UsageError, match="period"):
        CompareOptions(period=float("nan"))


def test_a_result_of_images_runs_at_the_films_rate(tmp_path: Path) -> None:
    from videocolor.colorize import colorize_video
    from videocolor.config import ColorizeConfig

    source, _ = pair(tmp_path, 8, rate=Fraction(10))
    images = tmp_path / "all_%03d.png"
    colorize_video(source, images, ColorizeConfig.load(None, ["model.name=constant"]))
    made = write_comparison(source, images, tmp_path / "out.mp4")
    assert decoded(made.target)[1] == [Fraction(n, 10) for n in range(8)]
    y, cb, _ = decoded(made.target)[0][3]
    assert np.abs(y[:, :WIDTH].astype(int) - y[:, WIDTH:]).mean() < 3
    assert np.abs(cb[:, WIDTH // 2 :].astype(int) - 128).mean() > 4


def test_an_observer_that_raises_stops_it_and_leaves_nothing(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(event: Event) -> None:
        if event.kind == "progress":
            raise Enough

    source, result = pair(tmp_path)
    with pytest.raises(Enough):
        write_comparison(source, result, tmp_path / "out.mp4", observer=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["color.mkv", "film.mkv"]


def test_sound_that_browsers_do_not_play_is_named(tmp_path: Path) -> None:
    source, result = pair(tmp_path, audio=[{}], audio_codec="pcm_s16le")
    made = write_comparison(source, result, tmp_path / "out.mp4")
    assert any("copied as pcm_s16le" in warning for warning in made.warnings)
    with av.open(str(made.target)) as film:
        assert [stream.codec_context.name for stream in film.streams] == ["h264", "pcm_s16le"]


def test_a_foreign_file_beside_the_result_is_named(tmp_path: Path) -> None:
    source, result = pair(tmp_path)
    (tmp_path / "color.mkv.json").write_text("[1, 2]")
    made = write_comparison(source, result, tmp_path / "out.mp4")
    assert any("color.mkv.json" in warning for warning in made.warnings)


def run(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, result = pair(tmp_path)
    assert run("compare", source, result, tmp_path / "o.mp4", "--kind", "wipe", "--period", "2", "--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["event"] == "compared" and events[-1]["frames"] == 6
    assert any(event["event"] == "progress" and event["stage"] == "compare" for event in events)
    assert run("compare", source, result, tmp_path / "o.mp4") == 1
    assert "exists already" in capsys.readouterr().err
    assert run("compare", source, result, tmp_path / "o2.mp4", "--kind", "stripes") == 2
    assert run("compare", source, result, tmp_path / "o2.mp4", "--width", "3") == 2
    assert run("compare", source, result, tmp_path / "o2.mp4", "--start", "soon") == 2
    assert run("compare", source, tmp_path / "none.mkv", tmp_path / "o2.mp4") == 1
    assert not (tmp_path / "o2.mp4").exists()
