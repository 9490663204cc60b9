"""Luma is the archive's: every sample of the output equals the source's, and RGB decodes right."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from film_helpers import lumas, pass_through
from media import make_film, make_image, neutral_chroma

from videocolor.video import OutputOptions, VideoWriter, open_video, probe

FORMATS = {
    8: ("gray", "yuv420p", "yuv422p", "yuv444p"),
    10: ("gray10le", "yuv420p10le", "yuv422p10le", "yuv444p10le"),
    12: ("gray12le", "yuv420p12le", "yuv422p12le", "yuv444p12le"),
    16: ("gray16le", "yuv420p16le", "yuv422p16le", "yuv444p16le"),
}
MATRICES = {"bt601": 6, "bt709": 1, "bt2020": 9}
TAGGED = [(matrix, value) for matrix in MATRICES for value in (1, 2)]


@pytest.mark.parametrize("size", [pytest.param((64, 48), marks=pytest.mark.slow), (37, 29)], ids=["even", "odd"])
@pytest.mark.parametrize(
    "pix_fmt",
    [
        pytest.param(name, marks=() if name in ("gray", "yuv420p", "yuv422p10le", "yuv444p16le") else pytest.mark.slow)
        for name in itertools.chain.from_iterable(FORMATS.values())
    ],
)
def test_every_luma_sample_survives_ffv1(tmp_path: Path, pix_fmt: str, size: tuple[int, int]) -> None:
    for case, (matrix, value) in enumerate([*TAGGED, (None, 0)]):
        source, target = tmp_path / f"in{case}.mkv", tmp_path / f"out{case}.mkv"
        transfer = {"bt601": 6, "bt709": 1, "bt2020": 14}.get(matrix or "", 2)
        primaries = {"bt601": 6, "bt709": 1, "bt2020": 9}.get(matrix or "", 2)
        tags = (
            {
                "colorspace": MATRICES[matrix],
                "color_range": value,
                "color_primaries": primaries,
                "color_trc": transfer,
            }
            if matrix
            else {}
        )
        written = make_film(source, 2, pix_fmt=pix_fmt, size=size, tags=tags)
        _, _, out = pass_through(source, target, codec="ffv1")
        assert out.plan.luma_exact
        assert out.plan.layout.depth == out.info.layout.depth
        for before, after in zip(written, lumas(target), strict=True):
            np.testing.assert_array_equal(after, before[0])
        info = probe(target)
        assert info.color.assumed == ()
        want_range = ("limited", "full")[value - 1] if value else ("full" if "gray" in pix_fmt else "limited")
        assert (info.color.matrix, info.color.range) == (matrix or "bt601", want_range)
        if info.layout.kind == "yuv" and out.info.layout.kind == "yuv":
            assert info.layout.chroma_shift == out.info.layout.chroma_shift


@pytest.mark.parametrize(("name", "kind"), [("gray", "full"), ("yuv420p", "limited"), ("yuv420p", "full")])
@pytest.mark.parametrize(("matrix", "number"), MATRICES.items())
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".mkv", "ffv1"),
        (".mp4", "libx264"),
        *(pytest.param(*x, marks=pytest.mark.slow) for x in ((".mov", "prores_ks"), (".mkv", "libx265"))),
    ],
)
def test_a_player_decodes_the_rgb_that_was_meant(
    tmp_path: Path, name: str, kind: str, matrix: str, number: int, suffix: str, codec: str
) -> None:
    """A flat saturated color, written by us and turned to RGB by FFmpeg alone from the tags of the file."""
    wr, _, wb = weights = {
        "bt601": (0.299, 0.587, 0.114),
        "bt709": (0.2126, 0.7152, 0.0722),
        "bt2020": (0.2627, 0.678, 0.0593),
    }[matrix]
    rgb = np.array([0.70, 0.25, 0.15])
    y = float(rgb @ weights)
    span = {"full": (0.0, 255.0), "limited": (16.0, 219.0)}[kind]
    plane = np.full((48, 64), round(span[0] + span[1] * y), np.uint8)
    planes = [plane] if name == "gray" else [plane, *[np.full((24, 32), 128, np.uint8)] * 2]
    source = tmp_path / "in.mkv"
    trc = {1: 1, 6: 6, 9: 14}[number]
    tags = {
        "colorspace": number,
        "color_range": 2 if kind == "full" else 1,
        "color_primaries": number,
        "color_trc": trc,
    }
    make_film(source, [planes] * 3, pix_fmt=name, tags=tags)
    target = tmp_path / f"out{suffix}"
    with open_video(source) as film, VideoWriter.like(film, target, OutputOptions(codec=codec)) as out:
        swing = (255.0 if out.plan.color.range == "full" else 224.0) * 2 ** (out.plan.layout.depth - 8)
        middle = neutral_chroma(out.plan.chroma_size, out.plan.layout.depth)
        cb = middle + np.array(round((rgb[2] - y) / (2 * (1 - wb)) * swing)).astype(middle.dtype)
        cr = middle + np.array(round((rgb[0] - y) / (2 * (1 - wr)) * swing)).astype(middle.dtype)
        for frame in film:
            out.write(frame, cb, cr)
    with av.open(str(target)) as film:
        frame = next(film.decode(video=0))
        got = frame.reformat(format="rgb24").to_ndarray()[24, 32] / 255
    np.testing.assert_allclose(got, rgb, atol=0.02)


@pytest.mark.parametrize(
    ("pix_fmt", "codec", "suffix", "chosen"),
    [
        ("gray", "libx264", ".mkv", "yuv420p"),
        ("gray10le", "libx264", ".mp4", "yuv420p10le"),
        ("yuv422p", "libx264", ".mkv", "yuv422p"),
        ("yuv444p10le", "libx265", ".mkv", "yuv444p10le"),
        ("gray12le", "libx265", ".mkv", "yuv420p12le"),
        ("gray16le", "ffv1", ".mkv", "yuv420p16le"),
        ("gray", "prores_ks", ".mov", "yuv422p10le"),
        ("yuv411p", "libx264", ".mkv", "yuv422p"),
    ],
)
def test_smallest_format_that_holds_luma(tmp_path: Path, pix_fmt: str, codec: str, suffix: str, chosen: str) -> None:
    source = tmp_path / "in.mkv"
    make_film(source, 1, pix_fmt=pix_fmt)
    _, _, out = pass_through(source, tmp_path / f"out{suffix}", codec=codec)
    assert out.plan.pix_fmt == chosen
    if pix_fmt != chosen:
        assert any(f"{pix_fmt} becomes {chosen}" in note for note in out.plan.notes)


def test_odd_gray_is_444_where_the_codec_needs_even_sizes(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    make_film(source, 1, pix_fmt="gray", size=(37, 29))
    _, _, out = pass_through(source, tmp_path / "out.mkv", codec="libx264")
    assert out.plan.pix_fmt == "yuv444p"
    assert any("no 4:2:0 at 37x29" in note for note in out.plan.notes)


@pytest.mark.parametrize("kind", [1, 2])
def test_widened_luma_can_be_restored_and_rounding_is_said(tmp_path: Path, kind: int) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    written = make_film(source, 1, pix_fmt="gray", tags={"color_range": kind})
    _, _, out = pass_through(source, target, codec="ffv1", pix_fmt="yuv444p10le")
    assert not out.plan.luma_exact
    assert any("reversibly" in note for note in out.plan.notes)
    np.testing.assert_array_equal(lumas(target)[0] >> 2, written[0][0])
    make_film(source, 1, pix_fmt="gray12le", tags={"color_range": kind})
    _, _, out = pass_through(source, target, codec="ffv1", pix_fmt="yuv420p", overwrite=True)
    assert any("NOT exact" in note for note in out.plan.notes)


@pytest.mark.parametrize("name", ["nv12", "nv21", "nv16", "yuyv422", "uyvy422"])
def test_semi_planar_and_packed_are_taken_apart_exactly(name: str) -> None:
    from videocolor.video.formats import describe, split_planes

    planar = "yuv422p" if name in ("nv16", "yuyv422", "uyvy422") else "yuv420p"
    rng = np.random.default_rng(1)
    frame = av.VideoFrame(32, 16, planar)
    for plane in frame.planes:
        view = np.frombuffer(plane, np.uint8)
        view[:] = rng.integers(0, 256, view.size)
    packed = frame.reformat(format=name)
    want, got = split_planes(frame, describe(planar), "bt601"), split_planes(packed, describe(name), "bt601")
    np.testing.assert_array_equal(got.luma, want.luma)
    for a, b in zip(got.chroma or (), want.chroma or (), strict=True):
        np.testing.assert_array_equal(a, b)
    assert describe(name).chroma_shift == describe(planar).chroma_shift


@pytest.mark.parametrize("name", ["p010le", "p210le", "yuv420p10be", "y210le"])
def test_ten_bit_packings_are_taken_apart_exactly(name: str) -> None:
    from videocolor.video.formats import describe, split_planes

    planar = "yuv422p10le" if "210" in name else "yuv420p10le"
    rng = np.random.default_rng(1)
    frame = av.VideoFrame(32, 16, planar)
    for plane in frame.planes:
        view = np.frombuffer(plane, np.uint16)
        view[:] = rng.integers(0, 1024, view.size)
    want = split_planes(frame, describe(planar), "bt601")
    got = split_planes(frame.reformat(format=name), describe(name), "bt601")
    np.testing.assert_array_equal(got.luma, want.luma)
    for a, b in zip(got.chroma or (), want.chroma or (), strict=True):
        np.testing.assert_array_equal(a, b)
    assert describe(name).depth == 10


@pytest.mark.parametrize(("pix_fmt", "depth"), [("rgb24", 8), ("rgb48be", 16)])
@pytest.mark.parametrize("height", [48, 720])
def test_gray_rgb_maps_to_its_own_value(tmp_path: Path, pix_fmt: str, depth: int, height: int) -> None:
    codes = np.arange(48 * height, dtype=np.uint32) * 257 % 2**depth
    gray = codes.reshape(height, 48).astype(np.uint8 if depth == 8 else np.uint16)
    image = tmp_path / "still.png"
    make_image(image, [np.repeat(gray, 3, axis=1)], pix_fmt)
    with open_video(image) as film:
        (frame,) = film
    assert (frame.layout.kind, frame.layout.depth, frame.color.range) == ("rgb", depth, "full")
    np.testing.assert_array_equal(frame.luma, gray)
    assert frame.chroma is not None
    for plane in frame.chroma:
        assert np.unique(plane).tolist() == [1 << (depth - 1)]


def test_frames_are_views_and_survive_the_reader(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    written = make_film(source, 5, pix_fmt="gray16le", size=(37, 29))
    with open_video(source) as film:
        frames = list(film)
    assert all(frame.luma.base is not None for frame in frames)
    for frame, planes in zip(frames, written, strict=True):
        np.testing.assert_array_equal(frame.luma, planes[0])
    assert [frame.index for frame in frames] == list(range(5))
    assert frames[0].time_base == Fraction(1, 1000)
