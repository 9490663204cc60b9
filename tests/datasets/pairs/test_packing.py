"""From a data set of pairs to a pack, and from there to a training run."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.pairs_helpers import color_film, config
from videocolor.datasets.pack import PackReader
from videocolor.datasets.pairs.build import build_pairs
from videocolor.datasets.pairs.manifest import read_manifest
from videocolor.datasets.pairs.packing import films_of, pack_pairs
from videocolor.datasets.pairs.reading import PairPictures
from videocolor.errors import InputError, OutputError
from videocolor.events import Event


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of two films, one with a cut, of a picture, and of a picture under a non-commercial licence."""
    folder = tmp_path_factory.mktemp("pairs")
    color_film(folder / "a.mp4", 6, Fraction(20), scenes=(1, 2))
    color_film(folder / "b.mp4", 3, Fraction(20), scenes=(3,))
    for seed, name in enumerate(("free.png", "nc.png")):
        cv2.imwrite(str(folder / name), np.random.default_rng(seed).integers(0, 256, (40, 50, 3), np.uint8))
    (folder / "manifest.csv").write_text("file,source,licence\na.mp4,own:a,CC0\nnc.png,own:nc,CC BY-NC\n")
    settings = ("input.min_fps=20", "split.val=0", "split.test=0", "sampling.rate=2", "scene.accept=60")
    files = [folder / name for name in ("a.mp4", "b.mp4", "free.png", "nc.png")]
    assert build_pairs(files, folder / "p", config(*settings)).ok
    return folder / "p"


def test_a_pack_holds_the_accepted_pairs(pairs: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    notes = pack_pairs(pairs, tmp_path / "pack", short_side=48, observer=events.append)
    assert notes["licences"] == {"clip": {"CC0": 1, "not stated": 1}, "image": {"not stated": 1}}
    assert events[-1].data["frames"] == events[-1].data["total"]
    pack, every = PackReader(tmp_path / "pack"), read_manifest(pairs)
    assert [(item.source, item.kind) for item in pack.items] == [
        ("own:a", "clip"),
        (pack.items[1].file, "clip"),
        (pack.items[2].file, "image"),
    ]
    for item in pack.clips:
        records = [r for r in every if r.source == item.file and r.decision == "accepted"]
        packed = {(item.times[i], item.times[j]) for i, j in pack.pairs(item)}
        assert packed == {(round(r.seconds("original"), 4), round(r.seconds("hint"), 4)) for r in records}
        assert all(1 <= abs(i - j) <= 5 for i, j in packed)
        assert films_of(pairs, "train")[item.file].name == Path(item.file).name
        first = records[0]
        stored = PairPictures(pairs, records).get(first, "hint")
        frame = pack.frame(item, item.times.index(round(first.seconds("hint"), 4)))
        assert np.abs(frame.astype(float) - cv2.resize(stored, frame.shape[1::-1], interpolation=3)).mean() < 3
    before = (tmp_path / "pack/index.json").stat().st_mtime_ns
    assert pack_pairs(pairs, tmp_path / "pack", short_side=48) == notes
    assert (tmp_path / "pack/index.json").stat().st_mtime_ns == before, "up to date"


def test_what_cannot_be_packed(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no accepted pair in the split val"):
        pack_pairs(pairs, tmp_path / "pack", "val")
    with pytest.raises(OutputError, match="another folder"):
        pack_pairs(pairs, pairs)
    with pytest.raises(InputError, match=r"no manifest\.jsonl"):
        pack_pairs(tmp_path, tmp_path / "pack")
    record = json.loads((pairs / "manifest.jsonl").read_text().splitlines()[0])
    frame = pairs / "frames" / record["source_sha256"][:16] / f"{record['original_pts']}.jpg"
    whole = frame.read_bytes()
    frame.write_bytes(b"no picture")
    try:
        with pytest.raises(InputError, match=frame.name):
            pack_pairs(pairs, tmp_path / "pack")
        with pytest.raises(InputError, match="no pack"):
            PackReader(tmp_path / "pack")
    finally:
        frame.write_bytes(whole)
