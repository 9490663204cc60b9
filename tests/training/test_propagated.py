"""Tracks of a pack: computed from a film, read back, drawn as samples."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import skimage.data

from videocolor.datasets.pack import PackReader, PackWriter
from videocolor.datasets.pairs.reading import read_film
from videocolor.errors import InputError
from videocolor.training.config import SampleConfig
from videocolor.training.propagated import TRACKS, PropagatedReader
from videocolor.training.propagating import propagate_pack
from videocolor.training.samples import Sampler


@pytest.fixture
def pack(tmp_path: Path) -> PackReader:
    """Make a pack of one clip, a slow pan, and of one picture; their film is beside them."""
    world = cv2.resize(skimage.data.astronaut(), (420, 300), interpolation=cv2.INTER_AREA)
    frames = [np.ascontiguousarray(world[60:220, 20 + 2 * i : 260 + 2 * i]) for i in range(30)]
    with av.open(str(tmp_path / "pan.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=15)
        stream.width, stream.height, stream.pix_fmt = 240, 160, "bgr0"
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode())
    writer = PackWriter(tmp_path / "pack")
    writer.add("pan.mkv", "s", "CC0", "clip", list(read_film(tmp_path / "pan.mkv", 160))[::4], [(0, 4)])
    writer.add("0.jpg", "t", "CC0", "image", [(0.0, frames[0])])
    writer.close({})
    return PackReader(tmp_path / "pack")


def tracks(folder: Path) -> PropagatedReader:
    """Compute the tracks; a second time nothing is done."""
    done = [propagate_pack(folder / "pack", {"pan.mkv": folder / "pan.mkv"}, processes=1) for _ in range(2)]
    assert done[0] == done[1] > 0
    return PropagatedReader(folder / "pack" / TRACKS)


@pytest.mark.slow
def test_the_carried_picture_lies_on_the_frame(pack: PackReader, tmp_path: Path) -> None:
    propagated, item = tracks(tmp_path), pack.clips[0]
    pairs = propagated.of(item.file)
    assert pairs and propagated.of("0.jpg") == []
    late = max(pairs, key=lambda pair: item.times[pair.frame] - item.times[pair.hint])
    hint, frame = pack.frame(item, late.hint), pack.frame(item, late.frame)
    picture, trust = propagated.picture(late, hint)
    inner = (slice(8, -8), slice(8, 160))
    moved, still = (np.abs(x.astype(float) - frame)[inner].mean() for x in (picture, hint))
    assert moved < 0.3 * still
    assert trust.shape == frame.shape[:2] and trust[inner].mean() > 0.8 and trust[:, -8:].mean() < 0.3


@pytest.mark.slow
def test_samples_with_carried_chroma(pack: PackReader, tmp_path: Path) -> None:
    moved = tracks(tmp_path)
    settings = SampleConfig(none=0, wrong=0, clip_hinted=1, propagated=1, old_film=0, border=0)
    sampler = Sampler(pack, settings, 3, moved)
    batch = sampler.batch(0, 6, 64)
    again = sampler.batch(0, 6, 64)
    np.testing.assert_array_equal(batch.propagated_rgb, again.propagated_rgb)
    assert batch.propagated.shape == (6, 2, 64, 64) and (batch.propagated[:, 0].max(axis=(1, 2)) > 0.5).all()
    sure = batch.propagated[:, 0] > 0.9
    assert np.abs(batch.propagated_rgb.astype(float) - batch.rgb).mean(axis=-1)[sure].mean() < 12
    none = Sampler(pack, settings.model_copy(update={"none": 1.0}), 3, moved)
    assert not none.batch(0, 6, 64).propagated.any()


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tracks"):
        PropagatedReader(tmp_path)
