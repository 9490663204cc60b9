"""Which footage is learned from, how it is packed, drawn and damaged."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.training_helpers import make_pack
from videocolor.datasets.degrade import gray_of, old_film
from videocolor.datasets.held_back import HeldBack, source_share
from videocolor.datasets.pack import PackReader, PackWriter
from videocolor.datasets.pairs.sources import allowed_licence
from videocolor.errors import InputError, ModelError
from videocolor.models.hint.network import HintNet
from videocolor.training.config import SampleConfig, TrainConfig
from videocolor.training.hint import network
from videocolor.training.hint.network import forward, target_ab
from videocolor.training.prefetch import drawn_ahead, open_sampler
from videocolor.training.samples import Batch, Sampler

FIELDS = [field.name for field in fields(Batch)]


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("CC BY 4.0; repository licence: CC BY 4.0", True),
        ("Flickr8k subset (research use); repository licence: none stated", True),
        ("UNCLEAR; encoded by LANCE", True),
        ("repository licence: CC BY-NC 4.0", False),
        ("BSDS500 (research / non-commercial)", False),
        ("Noncommercial use", False),
        ("CC-BY-NC-SA", False),
    ],
)
def test_non_commercial_licences_stay_out(licence: str, allowed: bool) -> None:
    assert allowed_licence(licence) is allowed


def test_images_are_held_back_by_the_rule_itself() -> None:
    sources = [f"owner/repository:{number}.jpg" for number in range(200)]
    below = {source for source in sources if HeldBack(images_below=0.1).has("a.tar/b.jpg", source)}
    assert below == {source for source in sources if source_share(source) < 0.1} and 5 < len(below) < 40
    assert not any(HeldBack(images_below=0.1).has("clip.mp4", source) for source in sources)


def test_a_folder_that_is_no_pack(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pack"):
        PackReader(tmp_path)


def test_hints_are_the_packs_pairs(tmp_path: Path) -> None:
    """Each frame has a color of its own, so that a hint says which frame it is of."""
    colors = [np.array((40 * n, 250 - 30 * n, 90), np.uint8) for n in range(6)]
    frames = [(float(n), np.broadcast_to(color, (40, 48, 3))) for n, color in enumerate(colors)]
    for pairs in ([(1, 3), (4, 0), (4, 5)], []):
        writer = PackWriter(tmp_path)
        writer.add("a.mp4", "a", "CC0", "clip", frames, pairs)
        writer.close({})
        pack, only = PackReader(tmp_path), SampleConfig(none=0, wrong=0, two=0.5, masked=0, border=0)
        assert pack.pairs(pack.items[0]).tolist() == [list(pair) for pair in sorted(pairs)]
        if not pairs:
            with pytest.raises(InputError, match="without pairs"):
                Sampler(pack, only, 1)
            continue
        batch = Sampler(pack, only, 1).batch(0, 60, 32)
        original, hint = (
            np.abs(rgb.mean(axis=(1, 2))[:, None] - np.array(colors)[None]).sum(axis=-1).argmin(axis=1)
            for rgb in (batch.rgb, batch.hint_rgb)
        )
        seen = set(zip(original[batch.owner].tolist(), hint.tolist(), strict=True))
        assert seen == set(pairs)


def test_batches_depend_on_seed_and_step_alone(tmp_path: Path) -> None:
    pack = make_pack(tmp_path)
    first = Sampler(pack, SampleConfig(), 3)
    first.batch(0, 8, 64)
    later, direct = first.batch(5, 8, 64), Sampler(pack, SampleConfig(), 3).batch(5, 8, 64)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(later, name), getattr(direct, name))
    assert (first.batch(6, 8, 64).rgb != later.rgb).any()


def test_shares_of_a_batch_make_the_batch(tmp_path: Path) -> None:
    sampler = Sampler(make_pack(tmp_path), SampleConfig(none=0.3, two=0.5), 3)
    whole, parts = sampler.batch(4, 6, 32), [sampler.batch(4, 2, 32, first) for first in (0, 2, 4)]
    for name in FIELDS:
        pieces = [getattr(part, name) + (2 * i if name.endswith("owner") else 0) for i, part in enumerate(parts)]
        np.testing.assert_array_equal(np.concatenate(pieces), getattr(whole, name))


def test_pictures_are_drawn_by_weight(tmp_path: Path) -> None:
    writer, colors = PackWriter(tmp_path / "pack"), (10, 90, 170, 250)
    for color in colors:
        picture = np.full((40, 48, 3), color, np.uint8)
        writer.add(f"{color}.jpg", f"source {color}", "CC0", "image", [(0.0, picture)])
    writer.close({})
    table = tmp_path / "weights.csv"
    table.write_text("source,weight,tones\nsource 90,6.0,0 1\nsource 250,3.0,2\nelsewhere,2.0,1\n")
    config = TrainConfig(
        out=tmp_path,
        samples={"none": 1, "border": 0},
        phases=[{"steps": 1, "size": 32, "batch": 2}],
        data={"pack": tmp_path / "pack", "balance": table},
    )
    batch = open_sampler(config).batch(0, 2200, 32)
    seen = np.abs(batch.rgb.mean(axis=(1, 2, 3))[:, None] - np.array(colors)).argmin(axis=1)
    assert np.bincount(seen).tolist() == pytest.approx([200, 1200, 200, 600], rel=0.2)
    for wrong in ("source,weight\na,0\n", "source,weight\na,nan\n", "source,weight\na,\n", "file,weight\na,1\n"):
        table.write_text(wrong)
        with pytest.raises(InputError, match="weight"):
            open_sampler(config)
    table.unlink()
    with pytest.raises(InputError, match=r"weights\.csv"):
        open_sampler(config)


@pytest.mark.slow
def test_workers_make_the_same_batches(tmp_path: Path) -> None:
    make_pack(tmp_path / "pack")
    config = TrainConfig(out=tmp_path, phases=[{"steps": 5, "size": 32, "batch": 2}], data={"pack": tmp_path / "pack"})
    sampler = open_sampler(config)
    for kind, workers in (("thread", 1), ("thread", 3), ("process", 2)):
        settings = config.model_copy(update={"worker_kind": kind, "workers": workers, "ahead": 1})
        made = list(drawn_ahead(settings, 1, 5))
        assert len(made) == 4
        for step, batch in enumerate(made, 1):
            np.testing.assert_array_equal(batch.luma, sampler.batch(step, 2, 32).luma)


def _until_asleep(pids: list[int]) -> None:
    """Wait until the workers wait: what dies while it hands over a batch leaves the pool waiting for the rest of it."""
    asleep, end = 0, time.monotonic() + 100
    while asleep < 20 and time.monotonic() < end:
        stats = [Path(f"/proc/{pid}/stat") for pid in pids]
        states = [stat.read_text().rpartition(")")[2].split()[0] for stat in stats if stat.exists()]
        asleep = asleep + 1 if set(states) <= {"S"} else 0  # elsewhere than on Linux: a second
        time.sleep(0.05)


@pytest.mark.slow
def test_a_worker_that_dies_is_said(tmp_path: Path) -> None:
    make_pack(tmp_path / "pack")
    phases, data = [{"steps": 50, "size": 32, "batch": 2}], {"pack": tmp_path / "pack"}
    config = TrainConfig(out=tmp_path, phases=phases, data=data, worker_kind="process", ahead=1)
    batches = drawn_ahead(config, 0, 50)
    next(batches)
    children = multiprocessing.active_children()
    _until_asleep([child.pid for child in children if child.pid])
    for child in children:
        child.kill()
    with pytest.raises(ModelError, match="worker"):
        list(batches)


def test_shares_of_hints(tmp_path: Path) -> None:
    pack = make_pack(tmp_path)
    sampler = Sampler(pack, SampleConfig(none=0.5, two=0.5, wrong=0.0), 1)
    batch = sampler.batch(0, 400, 32)
    assert batch.rgb.shape == (400, 32, 32, 3) and batch.rgb.dtype == np.uint8
    assert batch.luma.min() >= 0 and batch.luma.max() <= 1
    hinted = np.unique(batch.owner)
    assert 0.4 < len(hinted) / 400 < 0.6
    assert 0.4 < (batch.slot == 1).sum() / len(hinted) < 0.6
    assert not batch.angle[np.setdiff1d(np.arange(400), hinted)].any()
    assert (batch.hint_mask.reshape(len(batch.owner), -1).max(axis=1) == 1).all()
    assert not len(Sampler(pack, SampleConfig(none=1.0), 1).batch(0, 4, 32).owner)


def test_who_is_told_their_colors(tmp_path: Path) -> None:
    pack = make_pack(tmp_path)
    settings = SampleConfig(none=0.3, wrong=0.3, two=0.3, masked=0.4, hue_turn=0.5, gain=0.4)
    batch = Sampler(pack, settings, 1).batch(0, 400, 32)
    hinted, first = np.isin(np.arange(400), batch.owner), {}
    for owner, slot, mask in zip(batch.owner, batch.slot, batch.hint_mask, strict=True):
        if slot == 0:
            first[owner] = bool(mask.all())
    assert 0.15 < batch.full_hint.mean() < 0.45
    assert not batch.full_hint[~hinted].any()
    assert all(first[index] for index in np.flatnonzero(batch.full_hint))
    whole_and_untold = sum(whole and not batch.full_hint[index] for index, whole in first.items())
    assert whole_and_untold > 20  # hints of another scene
    turned = batch.angle != 0
    assert (batch.gain[~turned] == 1).all() and not turned[~hinted].any()
    assert 0.6 <= batch.gain.min() < 0.75 and 1.25 < batch.gain.max() <= 1.4
    assert (Sampler(pack, SampleConfig(none=0, hue_turn=1), 1).batch(0, 20, 32).gain == 1).all()


def test_old_film_stays_in_range() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for _ in range(30):
        luma = old_film(gray_of(rgb, rng), rng)
        assert luma.dtype == np.float32 and luma.shape == (40, 50)
        assert np.isfinite(luma).all() and luma.min() >= 0 and luma.max() <= 1


def test_the_truth_is_exact_under_autocast() -> None:
    rgb, ones = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)), torch.ones(2)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = target_ab(rgb, ones, ones)
    torch.testing.assert_close(mixed, target_ab(rgb, ones, ones), rtol=0, atol=1e-6)


def test_hue_turns_and_chroma_changes() -> None:
    rgb = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8))
    plain = target_ab(rgb, torch.zeros(2), torch.ones(2))
    turned = target_ab(rgb, torch.full((2,), torch.pi / 2), torch.tensor([1.0, 0.5]))
    expected = torch.stack((-plain[:, 1], plain[:, 0]), dim=1) * torch.tensor([1.0, 0.5])[:, None, None, None]
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-6)


def test_a_frame_between_hint_and_target_changes_nothing_else(tmp_path: Path) -> None:
    pack, kind = make_pack(tmp_path), SampleConfig(none=0, wrong=0, two=0.5, hue_turn=0.5)
    kinds = (kind, kind.model_copy(update={"remembered": 1.0}))
    without, with_it = (Sampler(pack, settings, 1).batch(0, 8, 64) for settings in kinds)
    assert len(without.between) == 0
    assert with_it.between.shape == (8, 64, 64) and with_it.between_owner.tolist() == list(range(8))
    assert np.array_equal(with_it.hint_rgb, without.hint_rgb) and np.array_equal(with_it.angle, without.angle)


def test_the_network_learns_from_frames_that_it_remembers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An untrained network is sure of nothing, and all looks alike to it.
    for name, value in {"LEAST_REMEMBERED": 0.0, "NEW": 2.0, "SHOWN": 3.0}.items():
        monkeypatch.setattr(network, name, value)
    settings = SampleConfig(none=0.5, wrong=0.0, remembered=1.0, masked=0.0, hue_turn=0.0)
    batch = Sampler(make_pack(tmp_path), settings, 2).batch(0, 4, 64)
    torch.manual_seed(0)
    net, forget = HintNet(), replace(batch, between=batch.between[:0], between_owner=batch.between_owner[:0])
    net.eval()
    colors = [forward(net, some).output.warped for some in (batch, forget)]
    owners = set(batch.between_owner.tolist())
    for i in range(4):
        assert torch.equal(colors[0][i], colors[1][i]) == (i not in owners)
    assert torch.isfinite(colors[0]).all() and 0 < len(owners) < 4
