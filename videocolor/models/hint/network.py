"""The hint-conditioned network: match gray features with the hints', carry their chroma over, decide the rest.

    keys, values, valid = net.encode_hint(luma, ab, mask)                     # once a shot and hint
    ab, confidence, error = net.colorize(luma, keys, values, valid, known, carried)  # each batch of frames

Correspondence by attention over features follows He et al., Deep Exemplar-based Colorization (SIGGRAPH 2018) and
Zhang et al., Deep Exemplar-based Video Colorization (CVPR 2019); the "null token" that takes what matches nothing,
and the bias towards the same place of the picture, are ours. Tokens of several hints are concatenated, so any number
of hints is one attention. Where motion has carried a hint's chroma to the frame (`carried`), the network decides for
each place whether that or its own colour is right: motion is exact where little moves, matching serves where much
does. It also says how far off it expects to be, which fusing frames over time wants to know. All shapes are static
once the input's are: both parts export to ONNX.
"""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.models.hint.decoder import CARRIED_CHANNELS, LOOKED_UP, MIXED, ConvNorm, Decoder, up
from videocolor.models.hint.encoder import TAP_CHANNELS, GrayEncoder
from videocolor.models.hint.local_linear import BESIDE_CHANNELS, LINE_CHANNELS, MOMENTS, Lines, lines, moments
from videocolor.models.hint.nonlocal_means import places, smooth_by_feature_similarity, tokens

__all__ = ["AB_SCALE", "CARRIED_CHANNELS", "HintNet", "Match", "Output", "no_carried", "no_known", "no_tokens"]

AB_SCALE = 110.0
"""a*b* inside the network are divided by this."""
VALUE_CHANNELS = LOOKED_UP + MOMENTS
_EVIDENCE = 11
"""Numbers that say how a hint as a whole was matched; see `_evidence`."""
_NEGATIVE = -1e4
_ALIKE, _ALIKE_WITHIN = 0.7, 0.05
"""Cosine of features at which half of what a known spot says is believed, and how fast that changes."""
_REACH = 0.6
"""How far a known spot reaches, sides of pictures being 2: a Gaussian's deviation times the root of two."""


class Output(NamedTuple):
    """What `HintNet.forward` returns; sizes relative to the input."""

    ab: Tensor
    """(n, 2, h/2, w/2), a*b* / AB_SCALE."""
    own: Tensor
    """The same before carried chroma is taken over."""
    error: Tensor
    """(n, 1, h/2, w/2), expected mean absolute error of `ab`, in its unit."""
    confidence: Tensor
    """(n, 1, h/8, w/8) in 0..1: attention mass that did not go to the null token."""
    warped: Tensor
    """(n, 2, h/8, w/8), the hints' a*b* / AB_SCALE carried over; 0 where nothing matches."""


class Match(NamedTuple):
    """What `HintNet.attend` returns."""

    warped: Tensor
    """(n, 2, h/8, w/8), the hints' a*b* / AB_SCALE carried over; 0 where nothing matches."""
    confidence: Tensor
    """(n, 1, h/8, w/8) in 0..1."""
    matched: Tensor
    """(n, 36, h/8, w/8), all that was carried over, with confidence and the largest weight."""
    seen: Tensor
    """(n, 48, 1, 1), what the head of belief judges by."""
    moments: Tensor
    """(n, 6, h/8, w/8), the hints' a*b* / AB_SCALE and moments carried over."""

    def believed(self, belief: Tensor) -> tuple[Tensor, Tensor, Lines]:
        """What the decoder gets: all of it as much as it is believed; nothing equals no hint.

        Args:
            belief: (n, 1, 1, 1), or (n, 1, h/8, w/8) place by place, in 0..1.
        """
        chroma = torch.cat((self.warped, self.confidence), dim=1) * belief
        return self.matched * belief, chroma, lines(self.moments[:, :2], self.moments[:, 2:], self.confidence, belief)


class _Matcher(nn.Module):
    """Features for matching at 1/8: what is there, at three depths, mixed with its surroundings."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.from8 = nn.Conv2d(TAP_CHANNELS[2], channels, 1)
        self.from16 = nn.Conv2d(TAP_CHANNELS[3], channels, 1)
        self.from32 = nn.Conv2d(TAP_CHANNELS[4], channels, 1)
        self.mix = ConvNorm(channels, channels)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, taps: list[Tensor]) -> Tensor:
        deep = up(self.from16(taps[3]) + up(self.from32(taps[4])))
        x = self.from8(taps[2]) + deep
        out: Tensor = self.out(x + self.mix(x))
        return out


class HintNet(nn.Module):
    """The network; see the module's words.

    Args:
        key_channels: size of the matching features.
    """

    def __init__(self, key_channels: int = 64) -> None:
        super().__init__()
        self.encoder = GrayEncoder()
        self.matcher = _Matcher(key_channels)
        self.mix = nn.Sequential(ConvNorm(key_channels + 3, 64), nn.Conv2d(64, MIXED, 1))
        self.null = nn.Conv2d(key_channels, 1, 1)
        self.log_scale = nn.Parameter(torch.tensor(3.0))
        self.log_nearness = nn.Parameter(torch.tensor(0.0))
        self.belief = nn.Sequential(nn.Conv2d(LOOKED_UP + 3 + _EVIDENCE, 32, 1), nn.ReLU(), nn.Conv2d(32, 1, 1))
        last = self.belief[2]
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, 4.0)
        self.decoder = Decoder()
        self.register_load_state_dict_pre_hook(_widen)  # type: ignore[no-untyped-call]

    def folded(self) -> HintNet:
        """A copy for use: norms folded into convolutions, evaluation mode. Its state is what weights files hold."""
        net = deepcopy(self).eval()
        for module in list(net.modules()):
            if isinstance(module, ConvNorm):
                module.fold()
        return net

    def encode_hint(self, luma: Tensor, ab: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turn a hint into tokens, one for each 8x8 pixels.

        Args:
            luma: (n, 1, h, w) Y' in 0..1; h, w multiples of 32.
            ab: (n, 2, h, w) a*b* / AB_SCALE.
            mask: (n, 1, h, w) in 0..1, which pixels are painted.

        Returns:
            keys (n, t, key_channels + 3), values (n, t, 38), valid (n, t) in 0..1; t = h/8 * w/8.
        """
        return self.hint_tokens(luma, self.encoder(luma), ab, mask)

    def hint_tokens(self, luma: Tensor, taps: list[Tensor], ab: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`encode_hint` from features that are already there."""
        features = self.matcher(taps)
        painted = F.avg_pool2d(mask, 8)
        mean = F.avg_pool2d(ab * mask, 8) / painted.clamp(min=1e-4)
        mixed = self.mix(torch.cat((features, mean, painted), dim=1))
        key = F.normalize(features, dim=1)
        x, y = places(painted)
        nearness = self.log_nearness.exp()
        keys = torch.cat((key, x, y, -(x * x + y * y) * nearness), dim=1)
        values = torch.cat((mean, mixed, moments(luma, ab, mask)), dim=1)
        return tokens(keys), tokens(values), painted.flatten(1)

    def colorize(
        self, luma: Tensor, keys: Tensor, values: Tensor, valid: Tensor, known: Tensor, carried: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Colour frames; what the per-frame ONNX file holds.

        Args:
            luma: (n, 1, h, w) Y' in 0..1.
            keys, values, valid: tokens of all hints, (n or 1, t, ...); see `no_tokens` for none.
            known: (1, k, key_channels + 3), those of the keys that a person painted as spots on this very shot; see
                `no_known` for none. What looks like them, near them, is believed whatever `believe` says.
            carried: (n, 4, h/2, w/2), see `CARRIED_CHANNELS`; zeros where nothing was carried.

        Returns:
            (n, 2, h/2, w/2) a*b* (Lab units), (n, 1, h/2, w/2) confidence in 0..1 that a hint or carried chroma
            supports the place, and (n, 1, h/2, w/2) expected mean absolute error of a*b* (Lab units).
        """
        taps = self.encoder(luma)
        features = self.matcher(taps)
        output, taken = self._decide(luma, taps, features, keys, values, valid, carried, known)
        own = smooth_by_feature_similarity(features, output.own, output.confidence)
        confidence = torch.maximum(up(up(output.confidence)), carried[:, 2:3]).clamp(0.0, 1.0)
        return (output.ab + (1.0 - taken) * (own - output.own)) * AB_SCALE, confidence, output.error * AB_SCALE

    def from_taps(
        self, luma: Tensor, taps: list[Tensor], keys: Tensor, values: Tensor, valid: Tensor, carried: Tensor
    ) -> Output:
        """`colorize` from features that are already there, with what the losses need."""
        return self._decide(luma, taps, self.matcher(taps), keys, values, valid, carried)[0]

    def _decide(
        self,
        luma: Tensor,
        taps: list[Tensor],
        features: Tensor,
        keys: Tensor,
        values: Tensor,
        valid: Tensor,
        carried: Tensor,
        known: Tensor | None = None,
    ) -> tuple[Output, Tensor]:
        """The output, and how much of the carried was taken, (n, 1, h/2, w/2)."""
        with torch.autocast(features.device.type, enabled=False):
            found = self.attend(features.float(), keys.float(), values.float(), valid.float())
            belief = self.believe(found.seen)
            if known is not None:
                belief = belief + (1.0 - belief) * self._told(features.float(), known.float())
        own, taken, log_error = self.decoder(luma, taps, *found.believed(belief), carried)
        ab = own + taken * (carried[:, :2] - own)
        return Output(ab, own, (log_error - 3.0).exp(), found.confidence * belief, found.warped), taken

    def believe(self, seen: Tensor) -> Tensor:
        """(n, 1, 1, 1) in 0..1, from `Match.seen`: are the hints of this scene at all? No single place can tell."""
        return torch.sigmoid(self.belief(seen))

    def _told(self, features: Tensor, known: Tensor) -> Tensor:
        """(n, 1, h/8, w/8) in 0..1: how surely places show what a person painted: as alike, and as near.

        A single spot on a frame says too little of the whole for `believe`, yet it was painted to be obeyed.
        """
        x, y = places(features[:, :1])
        cosine = torch.matmul(tokens(F.normalize(features, dim=1)), known[:, :, :-3].transpose(1, 2))
        across, down = (tokens(axis) - known[:, :, i][:, None] for axis, i in ((x, -3), (y, -2)))
        near = torch.exp(-(across * across + down * down) / _REACH**2)
        told = (torch.sigmoid((cosine - _ALIKE) / _ALIKE_WITHIN) * near).amax(dim=2)
        return told.reshape(features.shape[0], 1, *features.shape[2:])

    def attend(self, features: Tensor, keys: Tensor, values: Tensor, valid: Tensor) -> Match:
        """Attention over all hints' tokens and the null token, in float32.

        Args:
            features: (n, key_channels, h, w) of the matcher.
            keys, values, valid: as `colorize` takes them.
        """
        n, _, h, w = features.shape
        x, y = places(features[:, :1])
        nearness, scale = self.log_nearness.exp(), self.log_scale.exp()
        direction = F.normalize(features, dim=1)
        query = torch.cat((2 * nearness * x, 2 * nearness * y, torch.ones_like(x)), dim=1)
        painted = torch.where(valid > 0, torch.log(valid + 1e-6), torch.full_like(valid, _NEGATIVE))
        cosine = torch.matmul(tokens(direction), keys[:, :, :-3].transpose(1, 2))
        logits = cosine * scale + torch.matmul(tokens(query), keys[:, :, -3:].transpose(1, 2)) + painted[:, None]
        null = self.null(features) * scale + nearness * (x * x + y * y)
        weights = torch.softmax(torch.cat((logits, tokens(null)), dim=2), dim=2)[:, :, :-1]
        lying = keys[:, :, -3:-1]
        taken = torch.matmul(weights, torch.cat((values, lying), dim=2)).transpose(1, 2)
        carried = taken.reshape(n, VALUE_CHANNELS + 2, h, w)
        confidence = weights.sum(dim=2).reshape(n, 1, h, w)
        best = weights.amax(dim=2).reshape(n, 1, h, w)
        warped = carried[:, :2] / (confidence + 1e-3)
        moved = carried[:, VALUE_CHANNELS:] / (confidence + 1e-3) - torch.cat((x, y), dim=1)
        whole = carried[:, :VALUE_CHANNELS] / confidence.clamp(min=1e-4)  # a covariance must see exact means
        line = torch.cat((whole[:, :2], whole[:, LOOKED_UP:]), dim=1)
        matched = torch.cat((warped, carried[:, 2:LOOKED_UP], confidence, best), dim=1)
        mean = matched.mean(dim=(2, 3))
        share = valid.sum(dim=1, keepdim=True) / (h * w)
        evidence = (
            *_likeness(cosine, valid),
            *_order(moved, confidence),
            *_kinship(tokens(direction), keys[:, :, :-3], valid),
            *_reception(weights, valid),
        )
        numbers = torch.stack(
            [share[:, 0].clamp(max=2.0) + 0.0 * mean[:, 0], *(e + 0.0 * mean[:, 0] for e in evidence)], 1
        )
        return Match(warped, confidence, matched, torch.cat((mean, numbers), dim=1)[:, :, None, None], line)


def _likeness(cosine: Tensor, valid: Tensor) -> tuple[Tensor, ...]:
    """Mean and deviation of what each place finds best in the hints, and of what each hint's token finds best here.

    Args:
        cosine: (n, places, t) of the features.
        valid: (n or 1, t).
    """
    ours = torch.where(valid[:, None] > 0, cosine, torch.full_like(cosine, -1.0)).amax(dim=2)
    return *_moments(ours, torch.ones_like(ours)), *_moments(cosine.amax(dim=1), valid)


def _moments(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and deviation over the last axis; 0 without any weight."""
    whole = weight.sum(dim=-1) + 1e-3
    mean = (x * weight).sum(dim=-1) / whole
    return mean, ((x - mean[..., None]).square() * weight).sum(dim=-1).div(whole).add(1e-8).sqrt()


def _order(moved: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How far what was matched lies off, how much that differs over the picture, and how much it stretches.

    A scene's parts move together; what is matched by chance lies about anyhow.

    Args:
        moved: (n, 2, h, w) from each place to where its match lies in the hint, sides of pictures being 2.
        confidence: (n, 1, h, w).
    """
    whole = confidence.sum(dim=(1, 2, 3)) + 1e-3
    mean = (moved * confidence).sum(dim=(2, 3)) / whole[:, None]
    length = moved.square().sum(dim=1, keepdim=True).add(1e-6).sqrt()
    apart = (moved - mean[:, :, None, None]).square().sum(dim=1, keepdim=True).add(1e-6).sqrt()
    right = (moved[:, :1, :, 1:] - moved[:, :1, :, :-1]).abs() * torch.minimum(
        confidence[:, :, :, 1:], confidence[:, :, :, :-1]
    )
    below = (moved[:, 1:, 1:] - moved[:, 1:, :-1]).abs() * torch.minimum(confidence[:, :, 1:], confidence[:, :, :-1])
    rough = right.sum(dim=(1, 2, 3)) + below.sum(dim=(1, 2, 3))
    return (
        (length * confidence).sum(dim=(1, 2, 3)) / whole,
        (apart * confidence).sum(dim=(1, 2, 3)) / whole,
        rough / whole,
    )


def _kinship(directions: Tensor, keys: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and distance of the mean features of frame (n, places, c) and hints (n or 1, t, c)."""
    frame = directions.mean(dim=1)
    hint = (keys * valid[:, :, None]).sum(dim=1) / (valid.sum(dim=1, keepdim=True) + 1e-3)
    lengths = (frame.square().sum(dim=1) * hint.square().sum(dim=1)).add(1e-8).sqrt()
    return (frame * hint).sum(dim=1) / lengths, (frame - hint).square().sum(dim=1).add(1e-8).sqrt()


def _reception(weights: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """How evenly the hints' tokens are used (entropy, 0..1), and how many of them are used at all.

    Args:
        weights: (n, places, t) attention.
        valid: (n or 1, t).
    """
    received = weights.sum(dim=1)
    part = received / (received.sum(dim=1, keepdim=True) + 1e-6)
    most = torch.log((valid > 0).float().sum(dim=1).clamp(min=2.0))
    return -(part * torch.log(part + 1e-9)).sum(dim=1) / most, _moments((received > 0.1).float(), valid)[0]


_GROWN = {"belief.0": _EVIDENCE, "decoder.at8.0": BESIDE_CHANNELS}
_GROWN |= {"decoder.at4.0": LINE_CHANNELS, "decoder.at2.0": LINE_CHANNELS}
"""Convolutions that have gained inputs since there are checkpoints, and how many, behind the others."""
_NEW = "decoder.follow."


def _widen(net: nn.Module, state: dict[str, Tensor], prefix: str, *_rest: object) -> None:
    """Weights from before the head of belief saw evidence, or the decoder lines: what is new counts for nothing yet."""
    for name, more in _GROWN.items():
        weight, inputs = state.get(f"{prefix}{name}.weight"), net.get_submodule(name).in_channels
        if weight is not None and weight.ndim == 4 and weight.shape[1] + more == inputs:
            state[f"{prefix}{name}.weight"] = F.pad(weight, (0, 0, 0, 0, 0, more))
    if not any(name.startswith(prefix + _NEW) for name in state):
        state |= {prefix + name: value for name, value in net.state_dict().items() if name.startswith(_NEW)}


def no_tokens(key_channels: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    """Keys, values and valid of a shot without hints: one token that counts for nothing."""
    return torch.zeros(1, 1, key_channels + 3), torch.zeros(1, 1, VALUE_CHANNELS), torch.zeros(1, 1)


def no_known(key_channels: int = 64) -> Tensor:
    """The `known` of a shot on which a person painted no spots: a key that lies far off any picture."""
    return torch.full((1, 1, key_channels + 3), 1e4)


def no_carried(luma: Tensor) -> Tensor:
    """The `carried` of frames (n, 1, h, w) that motion brought nothing to."""
    return luma.new_zeros(luma.shape[0], CARRIED_CHANNELS, luma.shape[2] // 2, luma.shape[3] // 2)
