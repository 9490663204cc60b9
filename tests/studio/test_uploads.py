"""Pictures from outside: every format that is taken, and what is refused before or while it is decoded."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from videocolor.errors import HintError
from videocolor.studio import uploads as pictures
from videocolor.studio.uploads import decode_picture, picture_size
from videocolor.types import Array

HEIGHT, WIDTH = 60, 90


def scene() -> Array:
    """(60, 90, 3) uint8 R'G'B', its left half red and its right half blue, so that turning shows."""
    picture = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    picture[:, : WIDTH // 2, 0] = 220
    picture[:, WIDTH // 2 :, 2] = 200
    return picture


def file_of(kind: str, picture: Array | None = None, **options: object) -> bytes:
    """A picture file that Pillow made: another codec than ours."""
    buffer = io.BytesIO()
    Image.fromarray(scene() if picture is None else picture).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int) -> bytes:
    """A small file that says it is this large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WEBP", "JPEG"])
def test_formats(kind: str) -> None:
    data = file_of(kind, **({"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}))
    assert picture_size(data, "x") == (WIDTH, HEIGHT)
    rgb, mask = decode_picture(data, "x")
    assert mask is None and rgb.shape == (HEIGHT, WIDTH, 3) and rgb.dtype == np.float32
    apart = np.abs(rgb - scene().astype(np.float32) / 255)
    assert float(apart[:, np.r_[:30, 60:90]].max()) < (0.02 if kind == "JPEG" else 1e-6)


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}, {"lossless": True, "exif": Image.Exif()}])
def test_sizes_of_webp(options: dict[str, object]) -> None:
    alpha = np.dstack([scene(), np.full((HEIGHT, WIDTH), 128, np.uint8)])
    for picture in (scene(), alpha):
        assert picture_size(file_of("WEBP", picture, **options), "x") == (WIDTH, HEIGHT)


def test_sixteen_bits_keep_their_steps() -> None:
    deep = np.linspace(20000, 20255, HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3).astype(np.uint16)
    done, data = cv2.imencode(".png", deep[..., ::-1])
    assert done
    rgb, _ = decode_picture(data.tobytes(), "x")
    np.testing.assert_array_equal(np.rint(rgb * 65535), deep)


def test_alpha_becomes_the_mask() -> None:
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[10:30, 20:50] = 255
    rgb, mask = decode_picture(file_of("PNG", np.dstack([scene(), alpha])), "x")
    assert mask is not None
    np.testing.assert_allclose(mask, alpha / 255)
    np.testing.assert_allclose(rgb, scene() / 255, atol=1e-6)
    opaque = np.dstack([scene(), np.full_like(alpha, 255)])
    assert decode_picture(file_of("PNG", opaque), "x")[1] is None


def test_orientation_is_obeyed() -> None:
    exif = Image.Exif()
    exif[0x112] = 6  # to be turned by 90 degrees clockwise
    rgb, _ = decode_picture(file_of("JPEG", quality=95, exif=exif), "x")
    assert rgb.shape == (WIDTH, HEIGHT, 3)
    assert rgb[:30, :, 0].mean() > 0.7 and rgb[60:, :, 2].mean() > 0.6  # what was left is above


def test_cmyk_is_converted() -> None:
    buffer = io.BytesIO()
    Image.fromarray(scene()).convert("CMYK").save(buffer, "JPEG", quality=95)
    rgb, _ = decode_picture(buffer.getvalue(), "x")
    assert float(np.abs(rgb - scene() / 255)[:, :30].mean()) < 0.03


@pytest.mark.parametrize(
    "data",
    [
        png_of(20_000, 20_000),
        png_of(2**31 - 1, 2**31 - 1),
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 30_000, -30_000, 1, 24, 0, 0, 0, 0, 0, 0),
        b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\0" * 4 + b"\xff\xff\0" * 2,
        b"II*\0" + struct.pack("<IHHHIIHHIII", 8, 2, 256, 4, 1, 60_000, 257, 4, 1, 60_000, 0),
        b"MM\0*" + struct.pack(">IHHHIIHHIII", 8, 2, 256, 4, 1, 60_000, 257, 4, 1, 60_000, 0),
        b"II+\0" + struct.pack("<HHQQHHQQHHQQ", 8, 0, 16, 2, 256, 16, 1, 60_000, 257, 16, 1, 60_000),
        b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 17, 8, 65_000, 65_000, 3) + b"\0" * 20 + b"\xff\xda\xff\xd9",
    ],
    ids=["png", "largest png", "bmp", "webp", "tiff", "big-endian tiff", "bigtiff", "jpeg"],
)
def test_bombs_are_not_decoded(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(pictures, "decode_samples", never)
    with pytest.raises(HintError, match=r"big\.png: \d+ x \d+ pixels; 100 megapixels at most"):
        decode_picture(data, "big.png")


def test_what_is_larger_than_a_film_is_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_KEPT_PIXELS", 600)
    alpha = np.full((HEIGHT, WIDTH), 128, np.uint8)
    rgb, mask = decode_picture(file_of("PNG", np.dstack([scene(), alpha])), "x")
    assert rgb.shape == (20, 30, 3) and mask is not None and mask.shape == (20, 30)
    assert mask.mean() == pytest.approx(128 / 255, abs=1e-3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 0.6, 0.97])
def test_what_ends_too_early_is_refused(kind: str, share: float) -> None:
    noisy = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    data = file_of(kind, noisy)
    with pytest.raises(HintError, match=r"part\.img: (it is empty|damaged|is truncated|not a picture)"):
        decode_picture(data[: int(share * len(data))], "part.img")


def test_a_broken_check_sum_is_noticed() -> None:
    data = bytearray(file_of("PNG"))
    data[len(data) // 2] ^= 0x55
    with pytest.raises(HintError, match="check sum"):
        decode_picture(bytes(data), "x")


def test_no_bytes_bring_anything_but_a_hint_error() -> None:
    """Files with bytes changed at random: a picture, or a refusal; never another error."""
    rng = np.random.default_rng(7)
    files = [file_of(kind) for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP")]
    refused = 0
    for turn in range(150):
        data = bytearray(files[turn % len(files)])
        for place in rng.integers(0, min(len(data), 200), 3):
            data[place] = int(rng.integers(256))
        try:
            rgb, _ = decode_picture(bytes(data), "x")
            assert rgb.ndim == 3 and np.isfinite(rgb).all()
        except HintError:
            refused += 1
    assert refused > 30


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"<html><script>alert(1)</script>", "not a picture"),
        (b"GIF89a" + b"\0" * 50, "it is a GIF"),
        (b"\0\0\0\x1cftypheic" + b"\0" * 50, "it is HEIC"),
        (b"\0\0\0\x1cftypisom" + b"\0" * 50, "it is a film"),
        (b"8BPS" + b"\0" * 50, "it is a Photoshop file"),
    ],
)
def test_other_files_are_named(data: bytes, words: str) -> None:
    with pytest.raises(HintError, match=rf"a\.png: {words}.*give PNG, JPEG"):
        decode_picture(data, "a.png")


def test_tiny_pictures_are_refused() -> None:
    with pytest.raises(HintError, match="16 x 16 at least"):
        decode_picture(file_of("PNG", scene()[:8]), "x")
