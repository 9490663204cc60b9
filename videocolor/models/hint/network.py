"""The hint-conditioned network: match gray features with those of the hints, warp their chroma, decide the rest.

    keys, values, valid = net.encode_hint(luma, ab, mask)                                     # once per shot and hint
    ab, confidence, error = net.colorize(luma, keys, values, valid, scribbles, propagated)    # each batch of frames

Correspondence by attention over features follows He et al., Deep Exemplar-based Colorization (SIGGRAPH 2018) and
Zhang et al., Deep Exemplar-based Video Colorization (CVPR 2019); the "null token" that takes what matches nothing,
and the bias toward the same position in the picture, are ours. Tokens of several hints are concatenated, so any
number of hints is one attention. Where motion has propagated a hint's chroma to the frame, the network decides for each
pixel whether that or its own color is right. It also predicts its error, for fusion over time. All shapes are static
once the input's are: both parts export to ONNX.

Attribute names are those of the weights file: `belief` is the relevance gate, `follow` the gate of the local linear
model, `judge` that of propagated chroma, `doubt` the predicted error.
"""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.models.hint import AB_SCALE, PROPAGATED_CHANNELS, SCRIBBLED
from videocolor.models.hint.correction import corrected
from videocolor.models.hint.decoder import LOOKED_UP, MIXED, ConvNorm, Decoder, up
from videocolor.models.hint.encoder import TAP_CHANNELS, GrayEncoder
from videocolor.models.hint.local_linear import MOMENTS, LocalLinear, fit, moments
from videocolor.models.hint.nonlocal_means import positions, smooth_by_feature_similarity, tokens

__all__ = ["VALUE_CHANNELS", "HintNet", "Match", "Output", "no_propagated", "no_scribbles", "no_tokens"]

VALUE_CHANNELS = LOOKED_UP + MOMENTS
_EVIDENCE = 11
"""Numbers that describe how the hints were matched overall."""
_NEGATIVE = -1e4
_SIMILAR, _SOFTNESS = 0.7, 0.05
"""Cosine of features at which a scribble counts half, and how fast that changes."""
_REACH = 0.6
"""Reach of a scribble, sides of pictures being 2: a Gaussian's deviation times the root of two."""


class Output(NamedTuple):
    """What `HintNet.forward` returns; sizes relative to the input."""

    ab: Tensor
    """(n, 2, h/2, w/2), a*b* / AB_SCALE."""
    own: Tensor
    """The same before propagated chroma is blended in."""
    error: Tensor
    """(n, 1, h/2, w/2), expected mean absolute error of `ab`, in its unit."""
    confidence: Tensor
    """(n, 1, h/8, w/8) in 0..1: attention mass that did not go to the null token."""
    warped: Tensor
    """(n, 2, h/8, w/8), the hints' a*b* / AB_SCALE warped; 0 where nothing matches."""


class Match(NamedTuple):
    """What `HintNet.attend` returns."""

    warped: Tensor
    """(n, 2, h/8, w/8), the hints' a*b* / AB_SCALE warped; 0 where nothing matches."""
    confidence: Tensor
    """(n, 1, h/8, w/8) in 0..1."""
    matched: Tensor
    """(n, 36, h/8, w/8), everything that was warped, confidence, and the largest attention weight."""
    evidence: Tensor
    """(n, 48, 1, 1), input of the relevance gate."""
    moments: Tensor
    """(n, 6, h/8, w/8), the hints' a*b* / AB_SCALE and moments warped."""

    def gated(self, relevance: Tensor) -> tuple[Tensor, Tensor, LocalLinear]:
        """Weight the decoder's inputs by relevance; 0 equals no hint.

        Args:
            relevance: (n, 1, 1, 1), or (n, 1, h/8, w/8) per token, in 0..1.
        """
        chroma = torch.cat((self.warped, self.confidence), dim=1) * relevance
        matched = self.matched * relevance
        return matched, chroma, fit(self.moments[:, :2], self.moments[:, 2:], self.confidence, relevance)


class _Matcher(nn.Module):
    """Features for matching at 1/8, from three depths, mixed with their surroundings."""

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
    """The network; see the module's docstring.

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

    def folded(self) -> HintNet:
        """Copy for inference: norms folded into convolutions, evaluation mode. Weights files hold its state."""
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
        """`encode_hint` from features that are already computed."""
        return self.matched_tokens(luma, self.matcher(taps), ab, mask)

    def matched_tokens(self, luma: Tensor, features: Tensor, ab: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`encode_hint` from the matcher's features."""
        painted = F.avg_pool2d(mask, 8)
        mean = F.avg_pool2d(ab * mask, 8) / painted.clamp(min=1e-4)
        mixed = self.mix(torch.cat((features, mean, painted), dim=1))
        key = F.normalize(features, dim=1)
        x, y = positions(painted)
        nearness = self.log_nearness.exp()
        keys = torch.cat((key, x, y, -(x * x + y * y) * nearness), dim=1)
        values = torch.cat((mean, mixed, moments(luma, ab, mask)), dim=1)
        return tokens(keys), tokens(values), painted.flatten(1)

    def colorize(
        self, luma: Tensor, keys: Tensor, values: Tensor, valid: Tensor, scribbles: Tensor, propagated: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Color frames; the content of the per-frame ONNX file.

        Args:
            luma: (n, 1, h, w) Y' in 0..1.
            keys: (n or 1, t, key_channels + 3), of all hints; see `no_tokens` for none.
            values: (n or 1, t, 38).
            valid: (n or 1, t) in 0..1.
            scribbles: (1, k, key_channels + 3), keys of scribbles on frames of this shot; see `no_scribbles` for none.
                They apply to similar features nearby, whatever the relevance gate says.
            propagated: (n, 4, h/2, w/2), see `PROPAGATED_CHANNELS`; zeros where nothing was propagated.

        Returns:
            (n, 2, h/2, w/2) a*b* (Lab units), (n, 1, h/2, w/2) confidence in 0..1 that a hint or propagated chroma
            supports the pixel, and (n, 1, h/2, w/2) expected mean absolute error of a*b* (Lab units).
        """
        taps = self.encoder(luma)
        features = self.matcher(taps)
        return self.decide(luma, taps, features, keys, values, valid, scribbles, propagated)

    def features(self, luma: Tensor) -> tuple[Tensor, ...]:
        """Return what `decide` and `matched_tokens` need: the encoder's taps, then the matcher's features."""
        taps = self.encoder(luma)
        return (*taps, self.matcher(taps))

    def decide(
        self,
        luma: Tensor,
        taps: list[Tensor],
        features: Tensor,
        keys: Tensor,
        values: Tensor,
        valid: Tensor,
        scribbles: Tensor,
        propagated: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`colorize` from features that are already computed."""
        output, taken = self._decide(luma, taps, features, keys, values, valid, propagated, scribbles)
        own = smooth_by_feature_similarity(features, output.own, output.confidence)
        confidence = torch.maximum(up(up(output.confidence)), propagated[:, 2:3]).clamp(0.0, 1.0)
        return (output.ab + (1.0 - taken) * (own - output.own)) * AB_SCALE, confidence, output.error * AB_SCALE

    def colorize_by_hint(self, luma: Tensor, hint_luma: Tensor, hint_ab: Tensor, mask: Tensor) -> Tensor:
        """Color frames by hints in one go; the content of the simple ONNX file.

        Args:
            luma: (n, 1, h, w) Y' in 0..1; h, w multiples of 32.
            hint_luma: (k, 1, h', w'), the same of the hints.
            hint_ab: (k, 2, h', w') a*b*, Lab units.
            mask: (k, 1, h', w') in 0..1, which pixels of the hints are painted; zeros: no hint. At most a tenth of a
                hint: it is taken as scribbles on a frame of this shot.

        Returns:
            (n, 2, h/2, w/2) a*b*, Lab units.
        """
        keys, values, valid = self.encode_hint(hint_luma, hint_ab / AB_SCALE, mask)
        few = mask.mean(dim=(1, 2, 3))[:, None] <= SCRIBBLED
        far = torch.full_like(keys, 1e4)
        scribbles = torch.where((few & (valid > 0))[..., None], keys, far)
        keys, values, scribbles = (part.flatten(0, 1)[None] for part in (keys, values, scribbles))
        shot = (keys, values, valid.flatten()[None], scribbles)
        ab, confidence, _ = self.colorize(luma, *shot, no_propagated(luma))
        own = self.colorize(hint_luma, *shot, no_propagated(hint_luma))[0]
        return corrected(ab, confidence, luma, (own, hint_luma, hint_ab, mask))

    def from_taps(
        self, luma: Tensor, taps: list[Tensor], keys: Tensor, values: Tensor, valid: Tensor, propagated: Tensor
    ) -> Output:
        """`colorize` from features that are already computed, with what the losses need."""
        return self._decide(luma, taps, self.matcher(taps), keys, values, valid, propagated)[0]

    def _decide(
        self,
        luma: Tensor,
        taps: list[Tensor],
        features: Tensor,
        keys: Tensor,
        values: Tensor,
        valid: Tensor,
        propagated: Tensor,
        scribbles: Tensor | None = None,
    ) -> tuple[Output, Tensor]:
        """Decode; also return the share of propagated chroma that was taken, (n, 1, h/2, w/2)."""
        with torch.autocast(features.device.type, enabled=False):
            found = self.attend(features.float(), keys.float(), values.float(), valid.float())
            relevance = self.relevance(found.evidence)
            if scribbles is not None:
                away = 1.0 - relevance  # first: the packaged graphs hold operations in this order
                relevance = relevance + away * self._scribble_relevance(features.float(), scribbles.float())
        own, taken, log_error = self.decoder(luma, taps, *found.gated(relevance), propagated)
        ab = own + taken * (propagated[:, :2] - own)
        return Output(ab, own, (log_error - 3.0).exp(), found.confidence * relevance, found.warped), taken

    def relevance(self, evidence: Tensor) -> Tensor:
        """Relevance gate: (n, 1, 1, 1) in 0..1, from `Match.evidence`: do the hints show this scene at all?"""
        return torch.sigmoid(self.belief(evidence))

    def _scribble_relevance(self, features: Tensor, scribbles: Tensor) -> Tensor:
        """(n, 1, h/8, w/8) in 0..1: how similar and how near each token is to a scribble.

        A single scribble says too little of the frame for the relevance gate, yet it was painted to be obeyed.
        """
        x, y = positions(features[:, :1])
        cosine = torch.matmul(tokens(F.normalize(features, dim=1)), scribbles[:, :, :-3].transpose(1, 2))
        across, down = (tokens(axis) - scribbles[:, :, i][:, None] for axis, i in ((x, -3), (y, -2)))
        near = torch.exp(-(across * across + down * down) / _REACH**2)
        reached = (torch.sigmoid((cosine - _SIMILAR) / _SOFTNESS) * near).amax(dim=2)
        return reached.reshape(features.shape[0], 1, *features.shape[2:])

    def attend(self, features: Tensor, keys: Tensor, values: Tensor, valid: Tensor) -> Match:
        """Attend to all hints' tokens and the null token, in float32.

        Args:
            features: (n, key_channels, h, w) of the matcher.
            keys: as `colorize` takes them.
            values: the same.
            valid: the same.
        """
        n, _, h, w = features.shape
        x, y = positions(features[:, :1])
        nearness, scale = self.log_nearness.exp(), self.log_scale.exp()
        direction = F.normalize(features, dim=1)
        query = torch.cat((2 * nearness * x, 2 * nearness * y, torch.ones_like(x)), dim=1)
        painted = torch.where(valid > 0, torch.log(valid + 1e-6), torch.full_like(valid, _NEGATIVE))
        cosine = torch.matmul(tokens(direction), keys[:, :, :-3].transpose(1, 2))
        logits = cosine * scale + torch.matmul(tokens(query), keys[:, :, -3:].transpose(1, 2)) + painted[:, None]
        null = self.null(features) * scale + nearness * (x * x + y * y)
        weights = torch.softmax(torch.cat((logits, tokens(null)), dim=2), dim=2)[:, :, :-1]
        position = keys[:, :, -3:-1]
        taken = torch.matmul(weights, torch.cat((values, position), dim=2)).transpose(1, 2)
        attended = taken.reshape(n, VALUE_CHANNELS + 2, h, w)
        confidence = weights.sum(dim=2).reshape(n, 1, h, w)
        best = weights.amax(dim=2).reshape(n, 1, h, w)
        warped = attended[:, :2] / (confidence + 1e-3)
        moved = attended[:, VALUE_CHANNELS:] / (confidence + 1e-3) - torch.cat((x, y), dim=1)
        means = attended[:, :VALUE_CHANNELS] / confidence.clamp(min=1e-4)  # a covariance must see exact means
        line = torch.cat((means[:, :2], means[:, LOOKED_UP:]), dim=1)
        matched = torch.cat((warped, attended[:, 2:LOOKED_UP], confidence, best), dim=1)
        mean = matched.mean(dim=(2, 3))
        share = valid.sum(dim=1, keepdim=True) / (h * w)
        evidence = (
            *_similarity(cosine, valid),
            *_coherence(moved, confidence),
            *_mean_similarity(tokens(direction), keys[:, :, :-3], valid),
            *_usage(weights, valid),
        )
        numbers = torch.stack(
            [share[:, 0].clamp(max=2.0) + 0.0 * mean[:, 0], *(e + 0.0 * mean[:, 0] for e in evidence)], 1
        )
        return Match(warped, confidence, matched, torch.cat((mean, numbers), dim=1)[:, :, None, None], line)


def _similarity(cosine: Tensor, valid: Tensor) -> tuple[Tensor, ...]:
    """Mean and deviation of each token's best match in the hints, and of each hint token's best match here.

    Args:
        cosine: (n, places, t) of the features.
        valid: (n or 1, t).
    """
    ours = torch.where(valid[:, None] > 0, cosine, torch.full_like(cosine, -1.0)).amax(dim=2)
    return *_moments(ours, torch.ones_like(ours)), *_moments(cosine.amax(dim=1), valid)


def _moments(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and deviation over the last axis; 0 where no weight is."""
    total = weight.sum(dim=-1) + 1e-3
    mean = (x * weight).sum(dim=-1) / total
    return mean, ((x - mean[..., None]).square() * weight).sum(dim=-1).div(total).add(1e-8).sqrt()


def _coherence(moved: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Displacement of the matches: mean length, variation over the picture, and roughness.

    The parts of a scene move together; chance matches scatter.

    Args:
        moved: (n, 2, h, w) from each token to its match in the hint, sides of pictures being 2.
        confidence: (n, 1, h, w).
    """
    total = confidence.sum(dim=(1, 2, 3)) + 1e-3
    mean = (moved * confidence).sum(dim=(2, 3)) / total[:, None]
    length = moved.square().sum(dim=1, keepdim=True).add(1e-6).sqrt()
    apart = (moved - mean[:, :, None, None]).square().sum(dim=1, keepdim=True).add(1e-6).sqrt()
    right = (moved[:, :1, :, 1:] - moved[:, :1, :, :-1]).abs() * torch.minimum(
        confidence[:, :, :, 1:], confidence[:, :, :, :-1]
    )
    below = (moved[:, 1:, 1:] - moved[:, 1:, :-1]).abs() * torch.minimum(confidence[:, :, 1:], confidence[:, :, :-1])
    rough = right.sum(dim=(1, 2, 3)) + below.sum(dim=(1, 2, 3))
    return (
        (length * confidence).sum(dim=(1, 2, 3)) / total,
        (apart * confidence).sum(dim=(1, 2, 3)) / total,
        rough / total,
    )


def _mean_similarity(directions: Tensor, keys: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and distance of the mean features of frame (n, places, c) and hints (n or 1, t, c)."""
    frame = directions.mean(dim=1)
    hint = (keys * valid[:, :, None]).sum(dim=1) / (valid.sum(dim=1, keepdim=True) + 1e-3)
    lengths = (frame.square().sum(dim=1) * hint.square().sum(dim=1)).add(1e-8).sqrt()
    return (frame * hint).sum(dim=1) / lengths, (frame - hint).square().sum(dim=1).add(1e-8).sqrt()


def _usage(weights: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """How evenly the hints' tokens are attended to (entropy, 0..1), and what share of them is.

    Args:
        weights: (n, places, t) attention.
        valid: (n or 1, t).
    """
    received = weights.sum(dim=1)
    part = received / (received.sum(dim=1, keepdim=True) + 1e-6)
    most = torch.log((valid > 0).float().sum(dim=1).clamp(min=2.0))
    return -(part * torch.log(part + 1e-9)).sum(dim=1) / most, _moments((received > 0.1).float(), valid)[0]


def no_tokens(key_channels: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    """Keys, values and valid of a shot without hints: one token of no weight."""
    return torch.zeros(1, 1, key_channels + 3), torch.zeros(1, 1, VALUE_CHANNELS), torch.zeros(1, 1)


def no_scribbles(key_channels: int = 64) -> Tensor:
    """Make the `scribbles` of a shot without any: a key far outside any picture."""
    return torch.full((1, 1, key_channels + 3), 1e4)


def no_propagated(luma: Tensor) -> Tensor:
    """Make the `propagated` of frames (n, 1, h, w) to which nothing was propagated."""
    return luma.new_zeros(luma.shape[0], PROPAGATED_CHANNELS, luma.shape[2] // 2, luma.shape[3] // 2)
