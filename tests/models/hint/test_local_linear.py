"""The local linear chroma model, fitted to what a hint's tokens hold."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from videocolor.models.hint.local_linear import fit, moments
from videocolor.models.hint.network import HintNet, no_propagated, no_tokens

ONE = torch.ones(1, 1, 1, 1)


def cells(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 8)


def found(luma: Tensor, ab: Tensor, mask: Tensor | None = None, sure: float = 1.0, belief: float = 1.0):
    """Fit a picture as if every token had matched itself."""
    mask = torch.ones_like(luma) if mask is None else mask
    mean = cells(ab * mask) / cells(mask).clamp(min=1e-4)
    return fit(mean, moments(luma, ab, mask), torch.full_like(mean[:, :1], sure), belief * ONE)


def two_colors(generator: torch.Generator, light: float = 0.0) -> tuple[Tensor, Tensor]:
    """Make a dark and a light surface that meet in every token at random, each of one color."""
    which = (torch.rand(1, 1, 64, 96, generator=generator) > 0.5).float()
    return 0.3 + light + 0.4 * which, torch.cat((0.2 - 0.3 * which, 0.1 * which), dim=1)


def test_two_surfaces_in_one_token_are_separated() -> None:
    luma, ab = two_colors(torch.Generator().manual_seed(1))
    line = found(luma, ab)
    followed = line.at(luma, 8)
    inner = (..., slice(8, -8), slice(8, -8))
    mean = F.interpolate(line.mean_ab, scale_factor=8.0, mode="bilinear")
    assert (mean - ab)[inner].square().mean().sqrt() > 0.07
    assert (followed.ab - ab)[inner].abs().max() < 0.02
    # The frame shows the same surfaces elsewhere: what tells them is their lightness, not their place.
    moved, truth = luma.flip(3), ab.flip(3)
    assert (line.at(moved, 8).ab - truth)[inner].abs().max() < 0.02


@pytest.mark.slow
def test_a_line_is_not_followed_far() -> None:
    luma, ab = two_colors(torch.Generator().manual_seed(2))
    near, far = (found(luma, ab).at(torch.full_like(luma, y), 8).ab for y in (1.2, 5.0))
    torch.testing.assert_close(near, far)
    assert far.abs().max() < 0.5
    noise = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    plain = found(0.4 + 0.002 * noise[:, :1], 0.1 * noise[:, 1:])
    assert plain.slope.abs().max() < 0.5, "noise makes no line"


def test_moments_are_of_painted_pixels_alone() -> None:
    luma, ab = two_colors(torch.Generator().manual_seed(3))
    mask = torch.zeros_like(luma)
    mask[..., :32] = 1
    mask[..., 16:20, :] = 1 - mask[..., 16:20, :]
    other = torch.where(mask > 0, ab, torch.full_like(ab, 0.9))
    first, second = (moments(luma, colors, mask) for colors in (ab, other))
    torch.testing.assert_close(first, second)
    assert not moments(luma, ab, torch.zeros_like(mask)).any()


def test_one_painted_pixel_makes_no_line() -> None:
    luma, ab = two_colors(torch.Generator().manual_seed(8))
    mask = torch.zeros_like(luma)
    mask[..., 3::8, 5::8] = 1
    line = found(luma, ab, mask)
    assert line.slope.abs().max() < 1e-3 and line.deviation.max() < 2e-3
    torch.testing.assert_close(line.mean_ab, ab[..., 3::8, 5::8])


def test_a_place_that_is_hardly_matched_has_the_same_line() -> None:
    torch.manual_seed(9)
    net = HintNet().eval()
    luma, ab = two_colors(torch.Generator().manual_seed(9))
    seen = []
    for bias in (-8.0, 1.3):  # of the null token: all is matched, hardly anything is
        torch.nn.init.zeros_(net.null.weight)
        torch.nn.init.constant_(net.null.bias, bias)
        with torch.inference_mode():
            tokens = net.encode_hint(luma, ab, torch.ones_like(luma))
            match = net.attend(net.matcher(net.encoder(luma)), *tokens)
        assert (
            match.confidence.min() > 0.99 if bias < 0 else 1e-3 < match.confidence.min() < match.confidence.max() < 0.3
        )
        seen.append(match.gated(ONE)[2])
    for name in ("mean_luma", "deviation", "mean_ab", "slope"):
        torch.testing.assert_close(getattr(seen[0], name), getattr(seen[1], name), rtol=1e-3, atol=1e-4)


def test_mixed_moments_are_those_of_all_pixels() -> None:
    generator = torch.Generator().manual_seed(4)
    luma, ab = two_colors(generator)
    mean, mixed = cells(ab), moments(luma, ab, torch.ones_like(luma))
    both = fit(*((x[..., :6] + x[..., 6:]) / 2 for x in (mean, mixed)), torch.ones(1, 1, 8, 6), ONE)
    wide = torch.cat((luma.unfold(3, 8, 8)[..., :6, :], luma.unfold(3, 8, 8)[..., 6:, :]), dim=4)
    pixels = wide.unfold(2, 8, 8).reshape(1, 1, 8, 6, -1)
    torch.testing.assert_close(both.mean_luma, pixels.mean(dim=4) - 0.5)
    torch.testing.assert_close(both.deviation, (pixels.var(dim=4, correction=0) + 1e-6).sqrt(), rtol=1e-3, atol=1e-5)


def test_what_is_not_believed_shows_nothing() -> None:
    luma, ab = two_colors(torch.Generator().manual_seed(5))
    followed = found(luma, ab, sure=0.7, belief=0.0).at(luma, 8)
    assert not followed.seen.any() and not followed.confidence.any()
    assert not found(luma, ab, sure=0.7, belief=0.0).offsets(cells(luma)).any()


@pytest.mark.parametrize("believed", [0.0, 1.0])
def test_the_network_follows_lines_only_of_hints_it_believes(believed: float) -> None:
    torch.manual_seed(6)
    net = HintNet().eval()
    torch.nn.init.constant_(net.decoder.follow[1].bias, 3.0)  # always follow
    torch.nn.init.constant_(net.belief[2].bias, 20.0 if believed else -200.0)
    luma, ab = two_colors(torch.Generator().manual_seed(7))
    with torch.inference_mode():
        tokens = net.encode_hint(luma, ab, torch.ones_like(luma))
        taps = net.encoder(luma)
        hinted = net.from_taps(luma, taps, *tokens, no_propagated(luma)).own
        plain = net.from_taps(luma, taps, *no_tokens(), no_propagated(luma)).own
    torch.testing.assert_close(plain, torch.zeros_like(plain))
    assert (hinted.abs().max() > 0.01) == bool(believed)
