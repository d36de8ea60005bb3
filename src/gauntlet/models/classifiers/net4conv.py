"""The small network of four convolutions of the data-free stealing papers (DaST, TandemGAN)."""

from __future__ import annotations

from torch import nn

from gauntlet.core.registry import register
from gauntlet.models.classifiers.blocks import conv


@register("classifier", "net4conv")
class Net4Conv(nn.Sequential):
    """Conv(20, 5x5), Conv(50, 5x5), two Conv(50, 3x3), each with ReLU and MaxPool2; linear to 500, logits.

    Args:
        channels: of the images.
        size: at least 16.
        classes: how many logits.
    """

    def __init__(self, channels: int, size: int, classes: int):
        super().__init__(
            *conv(channels, 20, 5),
            *conv(20, 50, 5),
            *conv(50, 50, 3),
            *conv(50, 50, 3),
            nn.Flatten(),
            nn.Linear(50 * (size // 16) ** 2, 500),
            nn.ReLU(),
            nn.Linear(500, classes),
        )
