"""Layers that several classifiers are made of."""

from __future__ import annotations

from torch import nn

from gauntlet.core.errors import GauntletError


def conv(inputs: int, width: int, kernel: int) -> list[nn.Module]:
    """Convolution without change of size, MaxPool2, ReLU (the same function as ReLU first, at a quarter of
    its work)."""
    return [nn.Conv2d(inputs, width, kernel, padding=kernel // 2), nn.MaxPool2d(2), nn.ReLU()]


def condensing(channels: int, size: int, classes: int, width: int, depth: int) -> list[nn.Module]:
    """The ConvNet of dataset condensation (Zhao et al. 2021, arXiv 2006.05929): ``depth`` times Conv(3x3)-
    InstanceNorm-ReLU-AvgPool2, then linear. The norm has no running statistics, so that a few synthetic
    images can train it. The release pads grey images of 28 pixels to 32; here pooling drops an odd last row.

    Raises:
        GauntletError: the images are too small.
    """
    if size < 2**depth:
        raise GauntletError(
            f"images of {size} pixels are too small to be halved {depth} times",
            key="architecture",
            remedy="choose another one for this dataset",
        )
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [
            nn.Conv2d(channels, width, 3, padding=1),
            nn.GroupNorm(width, width),
            nn.ReLU(),
            nn.AvgPool2d(2),
        ]
        channels, size = width, size // 2
    return [*layers, nn.Flatten(), nn.Linear(width * size**2, classes)]
