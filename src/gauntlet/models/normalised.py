"""A network that normalises its images itself, so that attacks and defenses work in pixel space."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Normalised(nn.Module):
    """``net((x - mean) / std)``, channel by channel.

    Args:
        net: what gets the normalised images.
        mean, std: (C,) of the training images, in [0, 1].
    """

    def __init__(self, net: nn.Module, mean: Tensor, std: Tensor):
        super().__init__()
        self.net = net
        self.register_buffer("mean", mean.view(-1, 1, 1))
        self.register_buffer("std", std.view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.net((images - self.mean) / self.std)


def of_images(net: nn.Module, pixels: Tensor) -> Normalised:
    """``net`` behind the mean and deviation of ``pixels`` (n, C, H, W)."""
    channels = pixels.transpose(0, 1).flatten(1).double()
    return Normalised(net, channels.mean(1).float(), channels.std(1).clamp(min=1e-6).float())


def blank(net: nn.Module, channels: int) -> Normalised:
    """``net`` behind constants that are still to be loaded."""
    return Normalised(net, torch.zeros(channels), torch.ones(channels))
