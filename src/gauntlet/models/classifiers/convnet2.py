"""The ConvNet of dataset condensation, small: two blocks of width 32."""

from __future__ import annotations

from torch import nn

from gauntlet.core.registry import register
from gauntlet.models.classifiers.blocks import condensing


@register("classifier", "convnet2")
class ConvNet2(nn.Sequential):
    """``blocks.condensing`` with two blocks of width 32.

    Args:
        channels: of the images.
        size: at least 4.
        classes: how many logits.
    """

    def __init__(self, channels: int, size: int, classes: int):
        super().__init__(*condensing(channels, size, classes, width=32, depth=2))
