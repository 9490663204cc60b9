"""Hints of every kind that cameras and scanners write: upright, and as sRGB by their profiles."""

from __future__ import annotations

import io
import itertools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms, ImageOps

from videocolor.errors import HintError
from videocolor.hints.decoding import decode_samples, unit_samples
from videocolor.hints.files import load_hint, read_folder
from videocolor.types import Array

ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""Colorants of Adobe RGB (1998) as its profile states them: XYZ of R, G and B under D50."""
SRGB = np.array([(0.4360, 0.3851, 0.1431), (0.2225, 0.7169, 0.0606), (0.0139, 0.0971, 0.7141)])
"""R'G'B' of sRGB to XYZ under D50 (IEC 61966-2-1, adapted by Bradford)."""


def scene() -> Array:
    """(60, 90, 3) uint8 R'G'B' of which no turn or mirror image is the same."""
    picture = np.full((60, 90, 3), (40, 60, 200), np.uint8)
    picture[:, :45] = (220, 40, 40)
    picture[:30, :30] = (40, 200, 40)
    return picture


def saved(picture: Image.Image, kind: str, **options: Any) -> Array:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def profile(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Make an ICC profile (version 2) of these tags."""
    fixed = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"Test\0" + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061),
    }
    table, body = b"", b""
    at = 128 + 4 + 12 * len(fixed | tags)
    for name, data in (fixed | tags).items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    sort = b"mntr" if space == b"RGB " else b"prtr"
    head = struct.pack(">I4s4s4s4s4s", at + len(body), b"lcms", b"\x02\x10\0\0", sort, space, connection)
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return head + struct.pack(">I", len(fixed | tags)) + table + body


def adobe_rgb() -> bytes:
    tags = {
        name + b"XYZ": b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in colorant))
        for name, colorant in zip((b"r", b"g", b"b"), ADOBE, strict=True)
    }
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.19921875 * 256))
    return profile(b"RGB ", b"XYZ ", tags | {name + b"TRC": curve for name in (b"r", b"g", b"b")})


def inks() -> bytes:
    """A printer whose cyan ink is red and whose other inks are gray: by the profile alone."""
    corners = []
    for cyan, *others in itertools.product((0, 1), repeat=4):
        light = 255 - 50 * sum(others)
        corners.append((light * 0.6, 128 + 70, 128 + 50) if cyan else (light, 128, 128))
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    ramp = bytes(range(256))
    table += ramp * 4 + bytes(round(v) for corner in corners for v in corner) + ramp * 3
    return profile(b"CMYK", b"Lab ", {b"A2B0": table})


def by_adobe(rgb: Array) -> Array:
    """Convert R'G'B' of Adobe RGB to sRGB by the definitions alone; both in 0..1."""
    linear = (rgb**2.19921875) @ np.array(ADOBE) @ np.linalg.inv(SRGB).T
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(
    ("kind", "alpha", "options"),
    [
        ("JPEG", False, {"quality": 95}),
        ("PNG", False, {}),
        ("PNG", True, {}),
        ("TIFF", False, {}),
        ("TIFF", True, {}),
        ("WEBP", False, {"lossless": True}),
        ("WEBP", True, {"lossless": True}),
        ("AVIF", False, {"quality": 95}),
    ],
)
@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 7, 8])
def test_hints_are_upright(kind: str, alpha: bool, options: dict[str, Any], orientation: int) -> None:
    picture = Image.fromarray(scene())
    if alpha:
        picture.putalpha(Image.fromarray(np.maximum(scene()[..., 0], 100)))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    rgb, mask = decode_samples(saved(picture, kind, exif=exif, **options), "x")
    picture.getexif()[ExifTags.Base.Orientation] = orientation
    expected = np.asarray(ImageOps.exif_transpose(picture)).astype(float)
    assert rgb.shape[:2] == expected.shape[:2]
    assert np.abs(rgb - expected[..., :3]).mean() <= (0 if kind in ("PNG", "TIFF") or options.get("lossless") else 4)
    assert (mask is not None) == alpha
    if mask is not None:
        np.testing.assert_array_equal(mask, expected[..., 3])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_profiles_of_rgb_are_applied(kind: str) -> None:
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}, "AVIF": {"quality": 100}}.get(
        kind, {}
    )
    rgb, _ = decode_samples(saved(Image.fromarray(scene()), kind, icc_profile=adobe_rgb(), **options), "x")
    expected = by_adobe(scene() / 255)
    assert np.abs(unit_samples(rgb) - expected)[5:20, 5:20].max() < 0.02
    assert np.abs(unit_samples(rgb) - expected)[40:, 5:40].max() < 0.02
    assert np.abs(scene() / 255 - expected).max() > 0.1


def test_profiles_of_sixteen_bits_and_of_transparent_pictures_are_applied(tmp_path: Path) -> None:
    deep = scene().astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "x.tif", deep, photometric="rgb", iccprofile=adobe_rgb())
    hint = load_hint(None, tmp_path / "x.tif")
    assert np.abs(hint.rgb - by_adobe(deep / 65535)).max() < 0.01
    picture = Image.fromarray(scene())
    picture.putalpha(200)
    rgb, mask = decode_samples(saved(picture, "PNG", icc_profile=adobe_rgb()), "x")
    assert mask is not None and (mask == 200).all()
    assert np.abs(unit_samples(rgb) - by_adobe(scene() / 255)).max() < 0.01


def test_srgb_and_damaged_profiles_leave_samples_alone(caplog: pytest.LogCaptureFixture) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for data in (srgb, b"no profile"):
        rgb, _ = decode_samples(saved(Image.fromarray(scene()), "PNG", icc_profile=data), "photo.png")
        np.testing.assert_array_equal(rgb, scene())
    assert "photo.png: its ICC profile cannot be used" in caplog.text


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_converted_by_its_profile(kind: str) -> None:
    cmyk = np.zeros((32, 32, 4), np.uint8)
    cmyk[:, 16:, 0] = 255
    picture = Image.fromarray(cmyk, "CMYK")
    rgb, mask = decode_samples(saved(picture, kind, icc_profile=inks()), "x")
    assert mask is None
    assert rgb[:, 4:12].min() > 245  # paper
    assert rgb[16, 24, 0] > rgb[16, 24, 1] + 100  # "cyan", which this printer's ink is not
    plain, _ = decode_samples(saved(picture, kind), "x")
    assert plain[16, 24, 0] < plain[16, 24, 1] - 100


def test_gif_is_read() -> None:
    picture = Image.fromarray(scene()).quantize(16)
    rgb, mask = decode_samples(saved(picture, "GIF", save_all=True, append_images=[picture.rotate(180)]), "x")
    np.testing.assert_array_equal(rgb, np.asarray(picture.convert("RGB")))
    assert mask is None


def test_heic_is_read_or_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HintError, match=r"a\.heic: HEIC; install videocolor\[heic\]"):
        decode_samples(np.frombuffer(b"\0\0\0\x1cftypheic" + bytes(50), np.uint8), "a.heic")
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    rgb, _ = decode_samples(saved(Image.fromarray(scene()), "HEIF", quality=95), "x")
    assert np.abs(rgb[40:, 5:40].astype(int) - (220, 40, 40)).max() < 8


def test_a_folder_names_every_file_that_it_passes_over(tmp_path: Path) -> None:
    Image.fromarray(scene()).save(tmp_path / "shot0001_t00000.000s.png")
    Image.fromarray(scene()).convert("L").save(tmp_path / "shot0002_t00001.000s.jpg")
    Image.fromarray(np.zeros((8, 8, 4), np.uint8)).save(tmp_path / "clear.png")
    for name in ("shot0001_t00000.000s.psd", "notes.txt", "README"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "more").mkdir()
    (tmp_path / ".DS_Store").write_bytes(b"x")
    hints, warnings = read_folder(str(tmp_path))
    assert [hint.name for hint in hints] == [str(tmp_path / "shot0001_t00000.000s.png")]
    for name, reason in (
        ("clear.png", "nothing is painted"),
        ("shot0002_t00001.000s.jpg", "still gray"),
        ("shot0001_t00000.000s.psd", "not used as a hint, .psd is none of"),
        ("notes.txt", ".txt is none of"),
        ("README", "no suffix is none of"),
        ("more", "it is a folder"),
    ):
        assert sum(f"{tmp_path / name}: " in warning and reason in warning for warning in warnings) == 1
    assert len(warnings) == 6
