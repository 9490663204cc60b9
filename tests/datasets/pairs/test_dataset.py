"""Reading: shapes, units, what augmentation shares, degradation, references, shards, loaders."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import tarfile
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pairs_helpers import color_film, config
from skimage.color import rgb2lab
from torch.utils.data import DataLoader

from videocolor.datasets.degrade import Archival, age, orthochromatic
from videocolor.datasets.pairs import reading
from videocolor.datasets.pairs.build import build_pairs
from videocolor.datasets.pairs.dataset import Augment, PairBatches, PairDataset, Window, cut_window, draw_windows
from videocolor.datasets.pairs.manifest import frame_name, read_manifest, write_manifest
from videocolor.errors import InputError, UsageError
from videocolor.video import seeking

ANY = ("split.val=0", "split.test=0", "scene.accept=200")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for number in range(3):
        color_film(folder / f"{number}.mp4", 6, scenes=(number + 20,))
    return folder


@pytest.fixture(scope="module")
def stored(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored") / "p"
    build_pairs([films], folder, config(*ANY, "sampling.rate=3", "store.format=png"), shards=True)
    return folder


@pytest.fixture(scope="module")
def referred(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("referred") / "p"
    build_pairs([films], folder, config(*ANY, "sampling.rate=3", "store.mode=references"), shards=True)
    assert not (folder / "frames").exists()
    return folder


def test_shapes_ranges_and_units(stored: Path) -> None:
    data = PairDataset(stored, size=(48, 64))
    luma, hint, chroma, meta = data[0]
    assert luma.shape == (1, 48, 64) and hint.shape == (3, 48, 64) and chroma.shape == (2, 48, 64)
    assert {x.dtype for x in (luma, hint, chroma)} == {torch.float32}
    assert luma.min() >= 0 and luma.max() <= 1 and hint.min() >= 0 and hint.max() <= 1
    assert chroma.abs().max() > 10
    record = data.records[0]
    assert meta["pair_id"] == record.pair_id and meta["offset_s"] == record.offset_s
    assert meta["original_s"] == float(record.original_pts * Fraction(record.time_base))
    batch = next(iter(DataLoader(data, batch_size=4)))
    assert batch[0].shape == (4, 1, 48, 64) and len(batch[3]["source"]) == 4


def test_whole_pictures_are_the_stored_ones(stored: Path) -> None:
    """Luma and Lab against scikit-image's, from the files as they lie there."""
    data = PairDataset(stored, size=None)
    luma, hint, chroma, _ = data[3]
    record = data.records[3]
    original, other = (
        cv2.imread(str(stored / frame_name(record.source_sha256, pts, suffix=".png")))[..., ::-1] / 255
        for pts in (record.original_pts, record.hint_pts)
    )
    assert np.allclose(luma[0], original @ [0.2126, 0.7152, 0.0722], atol=1e-5)
    assert np.allclose(hint, np.moveaxis(other, -1, 0), atol=1e-6)
    assert np.abs(chroma.numpy() - np.moveaxis(rgb2lab(original), -1, 0)[1:]).max() < 0.7


@pytest.mark.slow
def test_torch_is_imported_for_the_dataset_alone() -> None:
    code = (
        "import sys, videocolor.datasets.pairs.build, videocolor.datasets.pairs.verify\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_augmentation_shares() -> None:
    settings = Augment()
    drawn = [draw_windows(settings, 0, 0, number) for number in range(400)]
    assert all(a.flip == b.flip for a, b in drawn), "no hint is the mirror image of its scene"
    assert 0.4 < np.mean([a.flip for a, _ in drawn]) < 0.6
    assert all(0.5 <= a.side <= 1 for a, _ in drawn)
    for a, b in drawn:
        assert abs(a.x - b.x) <= 0.1 + 1e-9 and abs(a.y - b.y) <= 0.1 + 1e-9
        assert 0.85 - 1e-9 <= b.side / a.side <= 1.15 + 1e-9
    assert any((a.x, a.y, a.side) != (b.x, b.y, b.side) for a, b in drawn), "the hint does not lie on its target"
    still = [draw_windows(Augment(hint_shift=0, hint_scale=0), number) for number in range(20)]
    assert all(a == b for a, b in still)


def test_windows_cut_what_they_say() -> None:
    ys, xs = np.mgrid[0:100, 0:200].astype(np.uint8)
    ramp = np.stack([xs, ys, xs], -1)
    left = cut_window(ramp, Window(0.0, 0.0, 0.5), (50, 50))
    assert left.shape == (50, 50, 3) and left[0, 0, 0] == 0 and left[-1, -1, 0] == 49
    right = cut_window(ramp, Window(1.0, 1.0, 0.5), (50, 50))
    assert right[-1, -1, 0] == 199 and right[-1, -1, 1] == 99
    assert np.array_equal(cut_window(ramp, Window(0.0, 0.0, 0.5, flip=True), (50, 50)), left[:, ::-1])
    whole = cut_window(ramp, Window(0.5, 0.5, 1.0), (100, 200))
    assert np.array_equal(whole, ramp)


def test_draws_depend_on_seed_epoch_and_pair_alone(stored: Path) -> None:
    def read(order: list[int], **more: int) -> dict[str, bytes]:
        data = PairDataset(stored, size=(32, 32), augment=Augment(), archival=Archival(), seed=more.get("seed", 0))
        data.set_epoch(more.get("epoch", 0))
        return {data[i][3]["pair_id"]: data[i][0].numpy().tobytes() for i in order}

    first = read([0, 1, 2, 3])
    assert first == read([3, 2, 1, 0])
    assert all(first[key] != value for key, value in read([0, 1, 2, 3], epoch=1).items())
    assert all(first[key] != value for key, value in read([0, 1, 2, 3], seed=1).items())


def test_degradation_is_for_the_luma_alone(stored: Path) -> None:
    plain, old = (PairDataset(stored, size=(48, 64), archival=a) for a in (None, Archival(1, 1, 1, 1, 1, 1)))
    for index in range(3):
        (luma, hint, chroma, _), (worn, hint2, chroma2, _) = plain[index], old[index]
        assert torch.equal(hint, hint2) and torch.equal(chroma, chroma2)
        assert (luma - worn).abs().mean() > 0.02
        assert worn.min() >= 0 and worn.max() <= 1


@pytest.fixture(scope="module")
def card() -> np.ndarray:
    """Smooth gray with a strong edge, 128x128, R'G'B' in 0..1."""
    ramp = np.tile(np.linspace(0.3, 0.7, 128, dtype=np.float32), (128, 1))
    ramp[:, 64:] += 0.15
    return np.repeat(ramp[..., None], 3, 2)


NONE = dict.fromkeys(("orthochromatic", "fading", "flicker", "blur", "grain", "scratches"), 0.0)


@pytest.mark.parametrize("kind", list(NONE))
def test_each_kind_of_age(kind: str, card: np.ndarray) -> None:
    luma = card[..., 0]
    settings = Archival(**{**NONE, kind: 1.0})
    worn = [age(card, luma, settings, np.random.default_rng(number)) for number in range(6)]
    again = age(card, luma, settings, np.random.default_rng(0))
    assert np.array_equal(worn[0], again), "seeded"
    if kind == "orthochromatic":
        assert np.allclose(worn[0], luma, atol=2e-3), "grays stay themselves"
        return
    assert not np.array_equal(worn[0], worn[1])
    fine = [float(np.abs(cv2.Laplacian(x, cv2.CV_32F)).mean()) for x in worn]
    own = float(np.abs(cv2.Laplacian(luma, cv2.CV_32F)).mean())
    if kind == "grain":
        assert min(fine) > 2 * own and all(abs(float((x - luma).mean())) < 0.005 for x in worn)
    elif kind == "blur":
        edge = np.abs(np.diff(luma, axis=1)).max()
        assert all(np.abs(np.diff(x, axis=1)).max() < edge for x in worn)
    elif kind == "fading":
        assert all(np.ptp(x) < np.ptp(luma) * 1.35 and x.min() >= 0 for x in worn)
        assert np.mean([np.ptp(x) for x in worn]) < np.ptp(luma)
    elif kind == "flicker":
        ratios = [x[8:-8, 8:-8] / luma[8:-8, 8:-8] for x in worn]
        assert all(r.min() > 0.84 and r.max() < 1.16 for r in ratios if r.max() < 1 / 0.85)
        assert np.std([r.mean() for r in ratios]) > 0.01
    else:
        changed = [np.abs(x - luma) > 0.1 for x in worn]
        assert all(0.0005 < c.mean() < 0.2 for c in changed)
    nothing = age(card, luma, Archival(**NONE), np.random.default_rng(0))
    assert np.array_equal(nothing, luma)


def test_old_film_saw_red_as_dark() -> None:
    colors = np.array([[[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0.5, 0.5, 0.5]]], np.float32)
    red, green, blue, white, middle = orthochromatic(colors)[0]
    assert red < 0.2126 * 0.9 < green and blue > 0.0722 * 3
    assert white == pytest.approx(1, abs=1e-3) and middle == pytest.approx(0.5, abs=1e-3)


@pytest.mark.slow
def test_references_give_the_films_frames(stored: Path, referred: Path) -> None:
    """PNG of the build against decoding on the fly: the same pixels, in any order, sought or read on."""
    files, films = PairDataset(stored, size=None), PairDataset(referred, size=None)
    assert [r.pair_id for r in files.records] == [r.pair_id for r in films.records]
    order = np.random.default_rng(1).permutation(len(files))
    for index in order:
        for own, other in zip(files.pictures(index), films.pictures(index), strict=True):
            assert np.array_equal(own, other)
    films.close()


@pytest.mark.slow
def test_a_data_set_can_be_sent_to_another_process(referred: Path) -> None:
    data = PairDataset(referred, size=None)
    first = data.pictures(0)
    sent = pickle.loads(pickle.dumps(data))
    assert all(np.array_equal(a, b) for a, b in zip(first, sent.pictures(0), strict=True))


@pytest.mark.slow
def test_references_without_a_cache(referred: Path, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_CACHE", 1)
    monkeypatch.setattr(reading, "_OPEN", 1)
    monkeypatch.setattr(seeking, "_AHEAD", 0)
    files, films = PairDataset(stored, size=None), PairDataset(referred, size=None)
    for index in (5, 0, len(files) - 1, 1):
        assert np.array_equal(files.pictures(index)[0], films.pictures(index)[0])


@pytest.mark.slow
def test_a_film_that_moved_and_one_that_changed(films: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.mp4").write_bytes((films / "0.mp4").read_bytes())
    build_pairs([tmp_path / "a" / "0.mp4"], tmp_path / "p", config(*ANY, "store.mode=references"))
    (tmp_path / "a").rename(tmp_path / "b")
    with pytest.raises(InputError, match=r"0\.mp4: the source is gone .*--root DIR"):
        PairDataset(tmp_path / "p")[0]
    PairDataset(tmp_path / "p", root=tmp_path / "b")[0]
    color_film(tmp_path / "b" / "0.mp4", 0.5)
    with pytest.raises(InputError, match="has no frame at"):
        PairDataset(tmp_path / "p", root=tmp_path / "b")[0]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # fork, of the loader, from Python 3.12 on
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_hold_every_pair_once(stored: Path, workers: int) -> None:
    data = PairDataset(stored, size=(32, 32))
    batches = PairBatches(data, 4, workers=workers)
    listed = list(batches)
    assert len(listed) == len(batches)
    assert sorted(i for batch in listed for i in batch) == list(range(len(data)))
    seen = [key for b in DataLoader(data, batch_sampler=batches, num_workers=workers) for key in b[3]["pair_id"]]
    assert sorted(seen) == sorted(r.pair_id for r in data.records)
    data.set_epoch(1)
    assert list(batches) != listed


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_persistent_workers_see_the_epoch(stored: Path) -> None:
    data = PairDataset(stored, size=(32, 32), augment=Augment())
    loader = DataLoader(data, batch_size=4, num_workers=1, persistent_workers=True)
    passes = []
    for epoch in (0, 1, 1):
        data.set_epoch(epoch)
        passes.append(torch.cat([batch[0] for batch in loader]))
    assert not torch.equal(passes[0], passes[1]) and torch.equal(passes[1], passes[2])


@pytest.mark.parametrize(
    ("kind", "suffix"), [("stored", ".png"), pytest.param("referred", ".jpg", marks=pytest.mark.slow)]
)
def test_shards_hold_the_accepted_pairs(kind: str, suffix: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    records = {r.pair_id: r for r in read_manifest(folder)}
    found = {}
    for path in sorted((folder / "shards").iterdir()):
        with tarfile.open(path) as tar:
            for info in tar:
                assert (info.mtime, info.uid, info.gid) == (0, 0, 0)
                handle = tar.extractfile(info)
                assert handle is not None
                found[info.name] = handle.read()
    assert found.keys() == {f"{k}.{kind}" for k in records for kind in (f"original{suffix}", f"hint{suffix}", "json")}
    one = next(iter(records.values()))
    assert json.loads(found[f"{one.pair_id}.json"])["source"] == one.source
    picture = cv2.imdecode(np.frombuffer(found[f"{one.pair_id}.original{suffix}"], np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (64, 96, 3)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # theirs
def test_webdataset_reads_the_shards(stored: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    path = next((stored / "shards").iterdir())
    samples = list(webdataset.WebDataset(str(path), shardshuffle=False))
    assert {s["__key__"] for s in samples} == {r.pair_id for r in read_manifest(stored)}
    one = samples[0]
    assert json.loads(one["json"])["pair_id"] == one["__key__"]
    assert cv2.imdecode(np.frombuffer(one["original.png"], np.uint8), 1).shape == (64, 96, 3)
    assert io.BytesIO(one["hint.png"]).read(4) == b"\x89PNG"


def test_what_cannot_be_opened(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected one of train"):
        PairDataset(stored, "exam")
    with pytest.raises(UsageError, match="size"):
        PairDataset(stored, size=None, augment=Augment())
    with pytest.raises(InputError, match="no accepted pair in the split 'val'"):
        PairDataset(stored, "val")
    with pytest.raises(InputError, match=r"manifest\.jsonl"):
        PairDataset(tmp_path)
    with pytest.raises(ValueError, match="zoom"):
        Augment(zoom=(0, 2))
    with pytest.raises(ValueError, match="grain"):
        Archival(grain=1.5)


def test_a_leak_is_an_error(stored: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    records = read_manifest(stored)
    write_manifest(tmp_path, [replace(records[0], split="val"), *records[1:]])
    with pytest.raises(InputError, match=r"leak: .*train and val.*pairs split"):
        PairDataset(tmp_path)
