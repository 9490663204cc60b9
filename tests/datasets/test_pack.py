"""Packs and tracks on disk: parts, JPEG, damage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from videocolor.datasets.pack import PackReader, PackWriter, PartsReader, PartsWriter
from videocolor.errors import InputError, OutputError
from videocolor.training.propagated import PropagatedPair, PropagatedReader, deflate, inflate
from videocolor.types import Array

FRAMES = [(i / 4, np.ascontiguousarray(skimage.data.astronaut()[i : i + 120, 90:250])) for i in range(0, 60, 5)]


def write(folder: Path, part_bytes: int, quality: int | None) -> PackReader:
    writer = PackWriter(folder, jpeg_quality=quality, part_bytes=part_bytes)
    writer.add("a.mp4", "s", "CC0", "clip", FRAMES[:8])
    for index, frame in enumerate(FRAMES[8:]):
        writer.add(f"{index}.jpg", "t", "MIT", "image", [(0.0, frame[1])])
    writer.close({"held": False})
    return PackReader(folder)


def all_frames(pack: PackReader) -> list[Array]:
    return [pack.frame(item, number) for item in pack.items for number in range(len(item.times))]


@pytest.mark.parametrize("quality", [None, 92])
def test_parts_hold_all_frames(tmp_path: Path, quality: int | None) -> None:
    limit = 130_000 if quality is None else 40_000
    pack = write(tmp_path, limit, quality)
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(list(tmp_path.glob("frames.*.bin"))) > 2 and max(sizes) <= limit
    truth = [rgb for _, rgb in FRAMES]
    for got, rgb in zip(all_frames(pack), truth, strict=True):
        worst = float(np.sqrt(np.mean((got.astype(float) - rgb) ** 2)))
        assert worst == 0 if quality is None else 0 < worst < 4
    assert pack.items[0].times == tuple(time for time, _ in FRAMES[:8])
    assert pack.thumbs.shape == (12, 16, 16, 3) and pack.notes["held"] is False


def test_thumbnails_are_split_too(tmp_path: Path) -> None:
    writer = PackWriter(tmp_path, part_bytes=3000)
    frame = np.zeros((8, 8, 3), np.uint8)
    for index in range(9):
        writer.add(f"{index}.jpg", "t", "MIT", "image", [(0.0, frame + np.uint8(20 * index))])
    writer.close({})
    assert len(list(tmp_path.glob("thumbs.*.npy"))) == 3
    assert PackReader(tmp_path).thumbs[:, 0, 0, 0].tolist() == [20 * index for index in range(9)]


def test_packing_again_replaces_and_an_unfinished_pack_is_none(tmp_path: Path) -> None:
    write(tmp_path, 130_000, None)
    writer = PackWriter(tmp_path)
    writer.add("0.jpg", "t", "MIT", "image", [FRAMES[0]])
    with pytest.raises(InputError, match="no pack"):
        PackReader(tmp_path)
    writer.close({})
    assert len(PackReader(tmp_path).items) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "frames.000.bin",
        "frames.npy",
        "index.json",
        "pairs.npy",
        "thumbs.000.npy",
    ]


def test_damage_is_said(tmp_path: Path) -> None:
    pack = write(tmp_path, 40_000, 92)
    part = tmp_path / "frames.000.bin"
    part.write_bytes(bytes(part.stat().st_size))
    with pytest.raises(InputError, match=r"a\.mp4: frame 0 is damaged"):
        PackReader(tmp_path).frame(pack.items[0], 0)
    part.unlink()
    with pytest.raises(InputError, match=r"frames\.000\.bin is missing"):
        PackReader(tmp_path)
    (tmp_path / "index.json").write_text('{"version": 7, "items": []}')
    with pytest.raises(InputError, match="make it again"):
        PackReader(tmp_path)
    with pytest.raises(OutputError, match="cannot hold"):
        write(tmp_path, 1000, None)


def test_tracks_are_deflated_without_loss() -> None:
    rng = np.random.default_rng(0)
    moved = rng.integers(-32768, 32768, (9, 13, 2), dtype=np.int16)
    trust = rng.integers(0, 256, (9, 13), dtype=np.uint8)
    for steps in (moved, np.zeros_like(moved)):
        got, kept = inflate(deflate(steps, trust), 9, 13)
        np.testing.assert_array_equal(got, steps)
        np.testing.assert_array_equal(kept, trust)
    with pytest.raises(InputError, match="damaged"):
        inflate(deflate(moved, trust)[:-9], 9, 13)


def test_tracks_in_parts(tmp_path: Path) -> None:
    rgb = FRAMES[0][1]
    moved, trust = np.full((30, 40, 2), (3 * 16, 0), np.int16), np.full((30, 40), 255, np.uint8)
    with PartsWriter(tmp_path, "places", 60) as parts:
        places = [parts.write(deflate(moved * sign, trust)) for sign in (0, 1, -1)]
    assert parts.parts == 3
    pairs = [[0, number, *place, 30, 40] for number, place in enumerate(places)]
    (tmp_path / "index.json").write_text(json.dumps({"version": 2, "parts": 3, "pairs": {"a.mp4": pairs}}))
    reader = PropagatedReader(tmp_path)
    still, right, left = (reader.picture(pair, rgb) for pair in reader.of("a.mp4"))
    np.testing.assert_array_equal(still[0], rgb)
    np.testing.assert_array_equal(right[0][:, :-12], rgb[:, 12:])  # 3 of 40 columns are 12 of 160
    np.testing.assert_array_equal(left[0][:, 12:], rgb[:, :-12])
    assert still[1].min() == 1 and isinstance(reader.of("a.mp4")[0], PropagatedPair)


def test_no_piece_is_larger_than_a_part(tmp_path: Path) -> None:
    with PartsWriter(tmp_path, "x", 10) as writer:
        assert [writer.write(bytes([n] * 4)) for n in range(3)] == [(0, 0, 4), (0, 4, 4), (1, 0, 4)]
        with pytest.raises(OutputError):
            writer.write(bytes(11))
    assert PartsReader(tmp_path, "x", 2).read(1, 0, 4).tolist() == [2] * 4
