"""From a weights file back to a network that can learn: norms that were folded away are taken out again."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from videocolor.errors import ModelError
from videocolor.models.artifact import Artifact
from videocolor.models.hint.network import HintNet
from videocolor.training.hint.network import forward
from videocolor.training.samples import Batch

__all__ = ["unfolded"]


@torch.no_grad()
def unfolded(artifact: Artifact, batches: Iterable[Batch]) -> HintNet:
    """A network that computes what a weights file's does, with batch norms that training can go on from.

    A norm's mean and deviation are those of its input over the samples, and its scale and offset undo them: in use
    nothing changes, in training each batch is normalized as it would have been. What the averages had been is lost
    with the folding, and needed for nothing.

    Args:
        artifact: of the hint network.
        batches: samples such as will be learnt from, at least one; a few hundred are plenty.

    Raises:
        ModelError: the weights belong to another network.
    """
    net = HintNet().eval()
    own = net.state_dict()
    for name, value in artifact.weights.items():
        offset = name.removesuffix("0.bias") + "1.bias"  # a convolution's own bias is its norm's offset
        target = own.get(name, own.get(offset))
        if target is None or target.shape != value.shape:
            raise ModelError(f"{artifact.card.name}: its weights {name} {value.shape} are not the hint network's")
        target.copy_(torch.from_numpy(value))
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.weight.fill_((1.0 + norm.eps) ** 0.5)
    watched = [_Watch(norm) for norm in norms]
    for batch in batches:
        forward(net, batch)
    for watch in watched:
        watch.set()
    return net


class _Watch:
    """Mean and variance of what a norm, still without effect but its offset, is given."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        self.norm = norm
        self.count = 0
        self.sum = torch.zeros(norm.num_features, dtype=torch.float64)
        self.squares = self.sum.clone()
        self._hook = norm.register_forward_pre_hook(self._add)

    def _add(self, _norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].double()
        self.count += x.numel() // x.shape[1]
        self.sum += x.sum(dim=(0, 2, 3))
        self.squares += x.square().sum(dim=(0, 2, 3))

    def set(self) -> None:
        """Make these the norm's own, and let its scale and offset undo them."""
        self._hook.remove()
        norm, mean = self.norm, self.sum / self.count
        variance = (self.squares / self.count - mean.square()).clamp(min=0.0)
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)
