"""Colors of one surface are brought together; what a hint supports, and fine detail, stay."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from videocolor.models.hint.nonlocal_means import VIVID, smooth_by_feature_similarity


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """Features of two surfaces, left and right, and their patchy colors: (1, 2, 8, 16), (1, 2, 32, 64)."""
    features = torch.zeros(1, 2, 8, 16)
    features[:, 0, :, :8], features[:, 1, :, 8:] = 3.0, 5.0
    noise = torch.randn(1, 2, 4, 8, generator=torch.Generator().manual_seed(3))
    own = F.interpolate(noise, scale_factor=8.0) * 4.0
    own[:, 0, :, :32] += 20.0
    own[:, 1, :, 32:] -= 20.0
    return features, own


def test_patches_go_and_surfaces_stay_apart() -> None:
    features, own = scene()
    out = smooth_by_feature_similarity(features, own, torch.zeros(1, 1, 8, 16))
    for part in (slice(0, 28), slice(36, 64)):  # the seam is as wide as a cell of the average
        before, after = own[..., part], out[..., part]
        assert after.std(dim=(2, 3)).mean() < 0.6 * before.std(dim=(2, 3)).mean()
        assert torch.allclose(after.mean(dim=(2, 3)), VIVID * before.mean(dim=(2, 3)), atol=1.5)


def test_what_a_hint_supports_stays() -> None:
    features, own = scene()
    assert torch.equal(smooth_by_feature_similarity(features, own, torch.ones(1, 1, 8, 16)), own)
    support = torch.zeros(1, 1, 8, 16)
    support[..., 8:] = 1.0
    out = smooth_by_feature_similarity(features, own, support)
    assert torch.equal(out[..., 36:], own[..., 36:])
    assert not torch.allclose(out[..., :28], own[..., :28], atol=1.0)


def test_fine_detail_stays() -> None:
    features, own = scene()
    fine = torch.zeros_like(own)
    fine[..., ::2], fine[..., 1::2] = 3.0, -3.0  # nothing is left of it in a cell
    none = torch.zeros(1, 1, 8, 16)
    assert torch.allclose(
        smooth_by_feature_similarity(features, own + fine, none),
        smooth_by_feature_similarity(features, own, none) + VIVID * fine,
        atol=1e-4,
    )


def test_frames_of_a_batch_do_not_mix() -> None:
    features, own = scene()
    twice = smooth_by_feature_similarity(
        torch.cat((features, -features)), torch.cat((own, 5 * own)), torch.zeros(2, 1, 8, 16)
    )
    assert torch.allclose(twice[:1], smooth_by_feature_similarity(features, own, torch.zeros(1, 1, 8, 16)), atol=1e-5)
