"""Pictures as film: EXIF, orientation, pages, depths, rates, gaps."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import tifffile
from film_helpers import lumas, pass_through, times
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image, ImageCms, ImageOps

from videocolor.errors import InputError, UnsupportedVideoError, UsageError
from videocolor.video import open_video, probe
from videocolor.video.carrier import _pass_over, side_data
from videocolor.video.sequences import find_sequence
from videocolor.video.stored import stored_rgb

SIZE = (64, 48)


def scan(index: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Make a gray picture of which every corner differs, and every index."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    return ((x * 2 + y * 3 + index * 5) % 256).astype(np.uint8)


def ffmpeg(*args: object) -> bytes:
    """Run an ffmpeg that is not the one under test."""
    command = [get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *map(str, args)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def gray_by_ffmpeg(path: Path, *args: object) -> np.ndarray:
    """Read luma as the other ffmpeg decodes it: (frames, height, width)."""
    raw = ffmpeg(*args, "-i", path, "-map", "0:v", "-vf", "extractplanes=y", "-f", "rawvideo", "-pix_fmt", "gray", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, SIZE[1], SIZE[0])


def exif_bytes(orientation: int = 1) -> Image.Exif:
    """Make the EXIF that a scanner writes."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Scanner", orientation
    return exif


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_scans_with_exif_are_a_film(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(scan(i)).save(folder / f"scan_{i:03}.{suffix}", exif=exif_bytes())
    pass_through(folder, tmp_path / "x.mkv", codec="ffv1")
    expected = [gray_by_ffmpeg(folder / f"scan_{i:03}.{suffix}")[0] for i in range(3)]
    np.testing.assert_array_equal(gray_by_ffmpeg(tmp_path / "x.mkv"), expected)
    if suffix != "jpg":
        np.testing.assert_array_equal(expected, [scan(i) for i in range(3)])


def test_motion_jpeg_with_exif_is_a_film(tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(scan(i)).save(tmp_path / f"s_{i}.jpg", exif=exif_bytes())
    film = tmp_path / "mjpeg.mov"
    ffmpeg("-framerate", 18, "-i", tmp_path / "s_%d.jpg", "-c", "copy", film)
    pass_through(film, tmp_path / "x.mov", codec="libx264", crf=0)
    np.testing.assert_array_equal(gray_by_ffmpeg(tmp_path / "x.mov"), gray_by_ffmpeg(film))
    assert times(tmp_path / "x.mov") == times(film)


def test_unknown_side_data_is_passed_over_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _pass_over.cache_clear()
    Image.fromarray(scan(0)).save(tmp_path / "s.jpg", exif=exif_bytes(6))
    with av.open(str(tmp_path / "s.jpg")) as file, caplog.at_level("INFO", "videocolor"):
        frame = next(file.decode(video=0))
        kinds = dict(side_data(frame))
    assert list(kinds) == ["DISPLAYMATRIX"]
    assert len(kinds["DISPLAYMATRIX"]) == 36
    assert "kind 31" in caplog.text


def gray16(index: int) -> np.ndarray:
    """Make a gray picture of 16 bits."""
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    return ((x * 1021 + y * 307 + index * 999) % 65536).astype(np.uint16)


TIFFS: dict[str, Any] = {
    "strips": {"rowsperstrip": 7},
    "tiles": {"tile": (16, 16)},
    "big": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "white": {"photometric": "miniswhite"},
    "all of them": {"tile": (32, 16), "bigtiff": True, "byteorder": ">", "photometric": "miniswhite"},
    "deflate": {"compression": "zlib", "predictor": True},
    "tiled deflate": {"compression": "zlib", "tile": (16, 16)},
}


@pytest.mark.parametrize("options", TIFFS.values(), ids=TIFFS)
@pytest.mark.parametrize("bits", [8, 16])
def test_every_layout_of_tiff_is_read(tmp_path: Path, bits: int, options: dict[str, Any]) -> None:
    gray = scan(0) if bits == 8 else gray16(0)
    stored = np.iinfo(gray.dtype).max - gray if "photometric" in options else gray
    tifffile.imwrite(tmp_path / "gray.tif", stored, **({"photometric": "minisblack"} | options))
    np.testing.assert_array_equal(lumas(tmp_path / "gray.tif")[0], gray)
    if "photometric" not in options:
        rgb = np.stack([gray, gray[::-1], gray // 2], -1)
        tifffile.imwrite(tmp_path / "rgb.tif", rgb, photometric="rgb", **options)
        with open_video(tmp_path / "rgb.tif") as film:
            np.testing.assert_array_equal(stored_rgb(next(iter(film))), rgb)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "jpeg", "group4"])
def test_compressed_tiff_is_read(tmp_path: Path, compression: str) -> None:
    picture = Image.fromarray(scan(0))
    if compression == "group4":
        picture = picture.point(lambda v: 255 * (v > 127)).convert("1")
    picture.save(tmp_path / "x.tif", compression=compression, **({"quality": 95} if compression == "jpeg" else {}))
    with Image.open(tmp_path / "x.tif") as again:
        np.testing.assert_array_equal(lumas(tmp_path / "x.tif")[0], np.asarray(again.convert("L")))


@pytest.mark.parametrize("kind", ["int16", "uint32"])
def test_samples_of_other_types_are_refused(tmp_path: Path, kind: str) -> None:
    tifffile.imwrite(tmp_path / "x.tif", gray16(0).astype(kind), photometric="minisblack")
    with pytest.raises(InputError, match=rf"x\.tif: holds samples of type {kind}; save it with 8 or 16 bits"):
        probe(tmp_path / "x.tif")


def test_floating_point_tiff_is_read_in_0_to_1(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", (gray16(0) / 65535).astype(np.float32), photometric="minisblack")
    np.testing.assert_array_equal(lumas(tmp_path / "x.tif")[0], gray16(0))
    tifffile.imwrite(tmp_path / "y.tif", gray16(0).astype(np.float32), photometric="minisblack")
    with pytest.raises(InputError, match=r"y\.tif: holds values from 0 to 6\d+.*save 16 bits"):
        lumas(tmp_path / "y.tif")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_pages_of_a_tiff_are_frames(tmp_path: Path, bits: int, compression: str | None) -> None:
    reel, frames = tmp_path / "reel.tif", [scan(i) if bits == 8 else gray16(i) for i in range(7)]
    pages = [Image.fromarray(frame) for frame in frames]
    thumbnail = Image.fromarray(scan(0, (16, 12)))
    pages[0].save(reel, save_all=True, append_images=[*pages[1:], thumbnail], compression=compression)
    info = probe(reel)
    assert info.frames == 7
    assert any("1 pages are thumbnails" in warning for warning in info.warnings)
    pass_through(reel, tmp_path / "x.mkv", codec="ffv1")
    np.testing.assert_array_equal(lumas(tmp_path / "x.mkv"), frames)
    assert times(tmp_path / "x.mkv") == [Fraction(round(i * 1000 / 24), 1000) for i in range(7)]
    (tmp_path / "reels").mkdir()
    reel.rename(tmp_path / "reels" / "a1.tif")
    pages[6].save(tmp_path / "reels" / "a2.tif", save_all=True, append_images=pages[:2])
    np.testing.assert_array_equal(lumas(tmp_path / "reels"), [*frames, frames[6], *frames[:2]])
    pages[3].save(tmp_path / "reels" / "a0.tif")
    (tmp_path / "reels" / "a1.tif").unlink()
    assert [frame.pts for frame in open_video(tmp_path / "reels")] == [0, 2, 3, 4]
    np.testing.assert_array_equal(lumas(tmp_path / "reels"), [frames[3], frames[6], *frames[:2]])


@pytest.mark.parametrize("tiled", [False, True])
def test_a_thumbnail_before_the_page_is_no_frame(tmp_path: Path, tiled: bool) -> None:
    path = tmp_path / "x.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(scan(1, (32, 24)), photometric="minisblack", subfiletype=1)
        file.write(scan(0), photometric="minisblack", tile=(16, 16) if tiled else None)
    info = probe(path)
    assert (info.width, info.height, info.frames) == (64, 48, 1)
    np.testing.assert_array_equal(lumas(path), [scan(0)])


def test_pages_of_several_sizes_are_refused(tmp_path: Path) -> None:
    Image.fromarray(scan(0)).save(tmp_path / "x.tif", save_all=True, append_images=[Image.fromarray(scan(1, (60, 48)))])
    with pytest.raises(UnsupportedVideoError, match=r"page 2 is 60x48 .* others are 64x48 .*tiffsplit"):
        probe(tmp_path / "x.tif")


def test_a_gamma_that_is_not_applied_is_said(tmp_path: Path) -> None:
    from PIL import PngImagePlugin

    for gamma, said in ((100000, True), (45455, False)):
        chunks = PngImagePlugin.PngInfo()
        chunks.add(b"gAMA", gamma.to_bytes(4, "big"))
        Image.fromarray(scan(0)).save(tmp_path / "x.png", pnginfo=chunks)
        assert any("gAMA" in warning for warning in probe(tmp_path / "x.png").warnings) == said


@pytest.mark.parametrize("suffix", ["jpg", "tif", "tiles.tif", "rgb.jpg", "422.jpg", "deep.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    gray = gray16(0) if suffix == "deep.tif" else scan(0)
    if suffix == "tiles.tif":
        tifffile.imwrite(
            path, gray, photometric="minisblack", tile=(16, 16), extratags=[(274, "H", 1, orientation, True)]
        )
    else:
        picture = Image.fromarray(gray).convert("RGB") if "rgb" in suffix or "422" in suffix else Image.fromarray(gray)
        options = {} if "tif" in suffix else {"quality": 95, "subsampling": "4:2:2" if "422" in suffix else "4:2:0"}
        picture.save(path, exif=exif_bytes(orientation), **options)
    found = lumas(path)[0]
    turned = Image.fromarray(gray)
    turned.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(turned)).astype(int)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= (0 if "tif" in suffix else 12)
    pass_through(path, tmp_path / "x.mov", codec="libx264", crf=0)
    assert probe(tmp_path / "x.mov").rotation == 0


def test_gray_color_and_deep_pictures_go_into_one_film(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    rgb = np.stack([scan(1), scan(2), scan(3)], -1)
    for number, picture in enumerate((scan(0), rgb, scan(3) > 127)):
        Image.fromarray(picture).save(folder / f"s_{number}.png")
    with open_video(folder) as film:
        frames = [stored_rgb(frame) for frame in film]
    assert film.info.layout.depth == 8
    expected = [scan(0), rgb, (scan(3) > 127) * np.uint8(255)]
    for found, wanted in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(found, wanted if wanted.ndim == 3 else np.repeat(wanted[..., None], 3, 2))
    Image.fromarray(gray16(9)).save(folder / "s_3.png")
    with open_video(folder) as film:
        deep = [frame.luma.copy() for frame in film]
    assert film.info.layout.depth == 16
    np.testing.assert_array_equal(deep[0], scan(0).astype(np.uint16) * 257)
    np.testing.assert_array_equal(deep[3], gray16(9))
    Image.fromarray(scan(0, (32, 32))).save(folder / "s_4.png")
    with pytest.raises(UnsupportedVideoError, match=r"s_4\.png: is 32x32 gray, the others are 64x48"):
        probe(folder)


def test_a_gray_jpeg_among_color_ones_keeps_its_luma(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for number, sampling in enumerate(("4:2:0", "4:2:2", "4:4:4")):
        Image.fromarray(np.stack([scan(1)] * 3, -1)).save(folder / f"s_{number}.jpg", subsampling=sampling, quality=95)
    Image.fromarray(scan(1)).save(folder / "s_3.jpg", quality=95)
    for number, luma in enumerate(lumas(folder)):
        np.testing.assert_array_equal(luma, gray_by_ffmpeg(folder / f"s_{number}.jpg")[0])


def write_dpx(
    path: Path, pix_fmt: str, *, packing: int = 1, rate: float = 18, code: int = 0x01020304, curve: int = 6
) -> np.ndarray:
    """Write a DPX image with the complete headers of a scanner; return its samples as the other ffmpeg reads them."""
    Image.fromarray(np.stack([scan(1), scan(2), scan(3)], -1)).save(path.with_suffix(".png"))
    ffmpeg("-i", path.with_suffix(".png"), "-pix_fmt", pix_fmt, path)
    data = path.read_bytes()
    order = ">" if data[:4] == b"SDPX" else "<"
    begin = struct.unpack_from(f"{order}I", data, 4)[0]
    samples = np.frombuffer(data[begin:], f"{order}u4")
    if packing == 2:  # the two spare bits above the samples, not below
        samples = samples >> 2
    head = bytearray(data[:begin] + b"\xff" * (2048 - begin))
    struct.pack_into(f"{order}I", head, 4, 2048)
    struct.pack_into(f"{order}H", head, 804, packing)
    head[801] = curve
    struct.pack_into(f"{order}I", head, 808, 2048)
    struct.pack_into(f"{order}f", head, 1724, rate)
    struct.pack_into(f"{order}I", head, 1920, code)
    path.write_bytes(bytes(head) + samples.astype(f"{order}u4").tobytes())
    raw = ffmpeg("-i", path, "-f", "rawvideo", "-pix_fmt", "gbrp10le", "-")
    path.with_suffix(".png").unlink()
    return np.frombuffer(raw, "<u2").reshape(3, SIZE[1], SIZE[0])[[2, 0, 1]]


@pytest.mark.parametrize("packing", [1, 2])
@pytest.mark.parametrize("pix_fmt", ["gbrp10be", "gbrp10le"])
def test_dpx_is_read_with_its_rate_and_timecode(tmp_path: Path, pix_fmt: str, packing: int) -> None:
    folder = tmp_path / "reel"
    folder.mkdir()
    for number in range(3):
        samples = write_dpx(folder / f"r_{86400 + number}.dpx", pix_fmt, packing=packing)
    info = probe(folder)
    assert (info.rate, info.layout.depth, info.metadata) == (18, 10, {"timecode": "01:02:03:04"})
    assert any("18 frames a second, as dpx says" in warning for warning in info.warnings)
    with open_video(folder) as film:
        found = [stored_rgb(frame) for frame in film]
    np.testing.assert_array_equal(np.moveaxis(found[0], -1, 0), samples)
    assert samples.max() > 900
    pass_through(folder, tmp_path / "x.mov", codec="libx264")
    assert times(tmp_path / "x.mov") == [Fraction(i, 18) for i in range(3)]
    assert probe(folder, rate=Fraction(24)).rate == 24
    _, report, _ = pass_through(folder, tmp_path / "y.mov", start=Fraction(1, 18), codec="libx264")
    assert report.warnings == ("the timecode 01:02:03:04 is left out: a trimmed film starts at another time",)
    said = subprocess.run(
        [get_ffmpeg_exe(), "-i", tmp_path / "x.mov"], capture_output=True, text=True, check=False
    ).stderr
    assert "01:02:03:04" in said


@pytest.mark.parametrize(
    ("rate", "expected"), [(23.976, Fraction(24000, 1001)), (29.97, Fraction(30000, 1001)), (16, 16)]
)
def test_rates_of_dpx_are_exact(tmp_path: Path, rate: float, expected: Fraction) -> None:
    write_dpx(tmp_path / "r_1.dpx", "gbrp10be", rate=rate, code=0xFFFFFFFF)
    info = probe(tmp_path / "r_%d.dpx")
    assert (info.rate, info.metadata) == (expected, {})


@pytest.mark.parametrize(("pix_fmt", "bits"), [(None, 8), ("gbrp10be", 10), ("gbrp12be", 12), ("rgb48be", 16)])
def test_dpx_is_written_with_rate_and_timecode(tmp_path: Path, pix_fmt: str | None, bits: int) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in (7, 8, 10):
        write_dpx(folder / f"r_{number:03}.dpx", "rgb24", code=0x00595917)
    pass_through(folder, tmp_path / "x_%04d.dpx", pix_fmt=pix_fmt)
    assert sorted(p.name for p in tmp_path.glob("x_*")) == ["x_0007.dpx", "x_0008.dpx", "x_0010.dpx"]
    for number, code in ((7, "00:59:59:17"), (8, "01:00:00:00"), (10, "01:00:00:02")):
        with av.open(str(tmp_path / f"x_{number:04}.dpx")) as file:
            frame = next(file.decode(video=0))
            assert file.streams.video[0].codec_context.framerate == 18
            assert frame.metadata["timecode"] == code
            assert frame.format.components[0].bits == bits
    raw = ffmpeg("-i", tmp_path / "x_0007.dpx", "-f", "rawvideo", "-pix_fmt", "rgb48le", "-")
    written = np.frombuffer(raw, "<u2").reshape(SIZE[1], SIZE[0], 3)
    wanted = lumas(folder / "r_007.dpx")[0].astype(float) / 255 * 65535
    assert np.abs(written - wanted[..., None]).max() <= 65535 / (2**bits - 1)


def test_tiff_is_written_with_8_and_16_bits(tmp_path: Path) -> None:
    Image.fromarray(scan(0)).save(tmp_path / "a.png")
    for pix_fmt, factor in (("rgb24", 1), ("rgb48le", 257)):
        pass_through(tmp_path / "a.png", tmp_path / f"{pix_fmt}.tif", pix_fmt=pix_fmt)
        written = tifffile.imread(tmp_path / f"{pix_fmt}.tif")
        np.testing.assert_array_equal(written, np.repeat(scan(0)[..., None].astype(written.dtype) * factor, 3, 2))
    with pytest.raises(UsageError, match="tiff images are written as rgb24, rgb48le"):
        pass_through(tmp_path / "a.png", tmp_path / "b.tif", pix_fmt="gbrp10be")


def test_openexr_is_shown_by_the_curve_of_srgb(tmp_path: Path) -> None:
    light = np.linspace(0, 1, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE[1], SIZE[0])
    (tmp_path / "raw").write_bytes(np.stack([light] * 3).tobytes())
    raw = ("-f", "rawvideo", "-pix_fmt", "gbrpf32le", "-s", "64x48", "-i", tmp_path / "raw")
    ffmpeg(*raw, "-c:v", "exr", "-format", "float", tmp_path / "r_1.exr")
    (luma,) = lumas(tmp_path / "r_1.exr")
    curve = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(luma / 65535 - curve).max() < 0.002
    assert any("linear light" in warning for warning in probe(tmp_path / "r_1.exr").warnings)


@pytest.mark.parametrize("suffix", ["jp2", "j2k"])
def test_jpeg_2000_is_a_sequence(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "reel"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(scan(number)).save(folder / f"r_{number}.{suffix}", irreversible=False)
    np.testing.assert_array_equal(lumas(folder), [scan(0), scan(1)])


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_png_of_few_bits_is_read(tmp_path: Path, bits: int) -> None:
    codes = scan(0) >> (8 - bits)
    packed = np.packbits(np.unpackbits(codes[..., None], axis=2)[:, :, -bits:].reshape(SIZE[1], -1), axis=1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    head = struct.pack(">IIBBBBB", *SIZE, bits, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    np.testing.assert_array_equal(lumas(tmp_path / "x.png")[0], codes * (255 // (2**bits - 1)))


def test_gaps_and_empty_files_leave_their_time_empty(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in (86400, 86401, 86404):
        Image.fromarray(scan(number)).save(folder / f"s_{number}.png")
    (folder / "s_86402.png").write_bytes(b"")
    with open_video(folder, rate=Fraction(16)) as film:
        assert [frame.pts for frame in film] == [0, 1, 4]
        assert film.losses == [f"{folder / 's_86402.png'}: the file is empty; its time stays empty"]
    assert any("1 images are missing (86403)" in warning for warning in film.info.warnings)
    pass_through(folder, tmp_path / "x_%d.png")
    assert sorted(p.name for p in tmp_path.glob("x_*")) == [f"x_{n}.png" for n in (86400, 86401, 86404)]


def test_a_counter_that_runs_over_goes_on(tmp_path: Path) -> None:
    for place, number in enumerate((97, 98, 99, 0, 1)):
        Image.fromarray(scan(place)).save(tmp_path / f"a_{number:02d}.png")
    with open_video(tmp_path) as video:
        shown = [(frame.pts, frame.luma.copy()) for frame in video]
    assert [pts for pts, _ in shown] == [0, 1, 2, 3, 4]
    assert any("begins with a_97.png" in warning for warning in video.info.warnings)
    np.testing.assert_array_equal([luma for _, luma in shown], [scan(place) for place in range(5)])


def test_missing_images_are_no_counter_that_runs_over(tmp_path: Path) -> None:
    for number in range(100):
        if number != 50:
            (tmp_path / f"a_{number:02d}.png").touch()
    found = find_sequence(tmp_path)
    assert found is not None and found.files[0].name == "a_00.png" and found.ticks[50] == 51
    assert "1 images are missing (50)" in found.warnings[0]


def test_an_animated_webp_says_what_it_is(tmp_path: Path) -> None:
    pictures = [Image.fromarray(scan(i)) for i in range(3)]
    pictures[0].save(tmp_path / "x.webp", save_all=True, append_images=pictures[1:], lossless=True)
    with pytest.raises(InputError, match=r"x\.webp: an animated WEBP of 3 pictures.*save its pictures as PNG"):
        probe(tmp_path / "x.webp")


def test_an_icc_profile_is_named(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(scan(0)).convert("RGB").save(tmp_path / "x.png", icc_profile=profile)
    assert any("its ICC profile is not applied (sRGB" in warning for warning in probe(tmp_path / "x.png").warnings)


_TWICE = """
import sys, av
from videocolor.video.carrier import side_data
for _ in range(20):
    with av.open(sys.argv[1]) as file:
        frame = next(file.decode(video=0))
    assert dict(side_data(frame))["ICC_PROFILE"]
    del frame
"""


def test_side_data_with_metadata_is_freed_once(root: Path, tmp_path: Path) -> None:
    """Without care the process dies by SIGSEGV."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(scan(0)).convert("RGB").save(tmp_path / "x.png", icc_profile=profile)
    command = [sys.executable, "-c", _TWICE, str(tmp_path / "x.png")]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_dpx_headers_are_compared_and_curves_named(tmp_path: Path) -> None:
    folder = tmp_path / "reel"
    folder.mkdir()
    for number in range(2):
        write_dpx(folder / f"r_{number}.dpx", "gbrp10be", curve=3)
    (warning,) = (w for w in probe(folder).warnings if "colored as they are" in w)
    assert "r_0.dpx: its samples are logarithmic" in warning
    (folder / "r_2.dpx").write_bytes(b"")
    assert any("r_2.dpx: the file is empty; its time stays empty" in w for w in probe(folder).warnings)
    Image.fromarray(scan(0, (32, 32))).save(tmp_path / "small.png")
    ffmpeg("-i", tmp_path / "small.png", "-pix_fmt", "gbrp10be", folder / "r_2.dpx")
    with pytest.raises(UnsupportedVideoError, match=r"r_2\.dpx: is 32x32 gbrp10le, the others are 64x48"):
        probe(folder)


def test_a_photograph_of_tiles_is_refused(tmp_path: Path) -> None:
    for number in range(2):
        Image.fromarray(scan(number)).convert("RGB").save(tmp_path / f"{number}.png")
    inputs = ("-i", tmp_path / "0.png", "-i", tmp_path / "1.png", "-map", 0, "-map", 1)
    ffmpeg(*inputs, "-c:v", "libx265", "-x265-params", "log-level=error", "-brand", "heic", tmp_path / "x.mp4")
    with pytest.raises(UnsupportedVideoError, match=r"x\.mp4: is a photograph of 2 tiles"):
        probe(tmp_path / "x.mp4")


def test_damaged_pictures_bring_nothing_but_input_errors(tmp_path: Path) -> None:
    """Files with bytes changed at random: a picture, or a refusal; never another error."""
    rng = np.random.default_rng(7)
    tifffile.imwrite(tmp_path / "a.tif", scan(0), photometric="minisblack", tile=(16, 16), bigtiff=True)
    tifffile.imwrite(tmp_path / "b.tif", np.stack([gray16(i) for i in range(3)]), photometric="minisblack")
    write_dpx(tmp_path / "c.dpx", "gbrp10be")
    files = [(path, path.read_bytes()) for path in sorted(tmp_path.iterdir())]
    refused = 0
    for turn in range(80):
        path, whole = files[turn % len(files)]
        data = bytearray(whole if turn % 4 else whole[: int(len(whole) * rng.random())])
        for place in rng.integers(0, min(len(data), 300) or 1, 3) if data else ():
            data[place] = int(rng.integers(256))
        path.write_bytes(data)
        try:
            lumas(path)
        except InputError:
            refused += 1
    assert refused > 10


def test_a_dpx_creator_that_is_not_utf_8_is_no_error(tmp_path: Path) -> None:
    write_dpx(tmp_path / "r_1.dpx", "gbrp10be", code=0x01020344)
    data = bytearray((tmp_path / "r_1.dpx").read_bytes())
    data[160:170] = "Prüfstände"[:10].encode("latin-1")
    (tmp_path / "r_1.dpx").write_bytes(data)
    assert probe(tmp_path / "r_1.dpx").metadata == {"timecode": "01:02:03;04"}
    assert len(lumas(tmp_path / "r_1.dpx")) == 1


def test_motion_jpeg_that_lies_down_is_turned_by_its_container(tmp_path: Path) -> None:
    for i in range(2):
        Image.fromarray(scan(i)).save(tmp_path / f"s_{i}.jpg", exif=exif_bytes(6))
    ffmpeg("-framerate", 24, "-i", tmp_path / "s_%d.jpg", "-c", "copy", tmp_path / "lying.mov")
    pass_through(tmp_path / "lying.mov", tmp_path / "x.mov", codec="libx264", crf=0)
    assert probe(tmp_path / "lying.mov").rotation == probe(tmp_path / "x.mov").rotation == -90
    before = gray_by_ffmpeg(tmp_path / "lying.mov", "-noautorotate")
    np.testing.assert_array_equal(gray_by_ffmpeg(tmp_path / "x.mov", "-noautorotate"), before)


@pytest.mark.parametrize("suffix", ["sgi", "sun", "pam", "qoi"])
def test_rarer_pictures_are_sequences(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(scan(0)).convert("RGB").save(tmp_path / "x.png")
    (tmp_path / "reel").mkdir()
    command = [get_ffmpeg_exe(), "-v", "error", "-i", str(tmp_path / "x.png"), "-pix_fmt", "rgb24", "-update", "1"]
    subprocess.run([*command, str(tmp_path / "reel" / f"a1.{suffix}")], check=True, timeout=60)
    np.testing.assert_array_equal(lumas(tmp_path / "reel"), [scan(0)])


def test_pictures_that_are_not_read_say_why(tmp_path: Path) -> None:
    Image.fromarray(scan(0)).convert("RGB").convert("LAB").save(tmp_path / "x.tif")
    with pytest.raises(InputError, match="LAB samples; save it as RGB"):
        probe(tmp_path / "x.tif")
    (tmp_path / "x.tif").rename(tmp_path / "x.cin")
    with pytest.raises(InputError, match=r"images that are read \(1 \.cin\)"):
        probe(tmp_path)
