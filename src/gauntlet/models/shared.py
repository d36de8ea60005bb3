"""One network on several processes: each passes its share of a batch, and all get all of its outputs.

What comes after the network (mining, losses, attacks) every process does for the whole batch, so a batch's
loss is what one process makes of it, however it couples the images. On the way back every process carries
the gradient of its own share; gradients of images are put side by side, those of weights are added up.
Results are those of one process but for rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gauntlet.core import processes
from gauntlet.core.errors import GauntletError
from gauntlet.models.frozen import FrozenBatchNorm2d


def share(net: nn.Module) -> nn.Module:
    """Let all processes pass batches through ``net`` together, in place; alone, nothing changes.

    Every process must hold the same weights and call the network with the same images. BatchNorm in training
    has the statistics of the whole batch. Names in the state dict stay.

    Returns: ``net``.

    Raises (when called): GauntletError: a batch of fewer images than there are processes.
    """
    if processes.count() == 1:
        return net
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d) and not isinstance(module, FrozenBatchNorm2d):
            module.__class__ = SharedBatchNorm2d  # in place: what refers to the layer still does
    for parameter in net.parameters():
        if parameter.requires_grad:
            parameter.register_hook(processes.add)
    forward = net.forward

    def shared(images: Tensor) -> Tensor:
        if len(images) < processes.count():
            raise GauntletError(
                f"{len(images)} images for {processes.count()} processes",
                key="gpus",
                remedy="take larger batches, or fewer GPUs per training",
            )
        return _Gathered.apply(forward(_Share.apply(images)), len(images))

    net.forward = shared
    return net


class _Share(torch.autograd.Function):
    """(b, ...) -> this process's rows of it."""

    @staticmethod
    def forward(context, images: Tensor) -> Tensor:
        context.total = len(images)
        return images[processes.share(len(images))].clone()

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        return processes.gather(gradient, context.total)


class _Gathered(torch.autograd.Function):
    """Every process's rows -> (total, ...) on all of them."""

    @staticmethod
    def forward(context, own: Tensor, total: int) -> Tensor:
        context.total = total
        return processes.gather(own, total)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient[processes.share(context.total)], None


class _Sum(torch.autograd.Function):
    """The sum over all processes, each of which uses it for its own share."""

    @staticmethod
    def forward(context, values: Tensor) -> Tensor:
        return processes.add(values)

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        return processes.add(gradient)


class SharedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm that in training has the mean and variance of all processes' images."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        axes = (0, 2, 3)
        count = x.new_tensor([x.numel() / x.shape[1]])
        sums = _Sum.apply(torch.cat([x.sum(axes), count]))
        total = sums[-1].detach()
        mean = (sums[:-1] / total)[:, None, None]
        variance = _Sum.apply((x - mean).square().sum(axes)) / total
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean[:, 0, 0], self.momentum)
            self.running_var.lerp_(variance * total / (total - 1), self.momentum)
        scale = self.weight / (variance + self.eps).sqrt()
        return (x - mean) * scale[:, None, None] + self.bias[:, None, None]
