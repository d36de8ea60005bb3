"""The ConvNet of dataset condensation, as published: three blocks of width 128."""

from __future__ import annotations

from torch import nn

from gauntlet.core.registry import register
from gauntlet.models.classifiers.blocks import condensing


@register("classifier", "convnet3")
class ConvNet3(nn.Sequential):
    """``blocks.condensing`` with three blocks of width 128. 320,010 parameters at 32x32 RGB and 10 outputs.

    Args:
        channels: of the images.
        size: at least 8.
        classes: how many logits.
    """

    def __init__(self, channels: int, size: int, classes: int):
        super().__init__(*condensing(channels, size, classes, width=128, depth=3))
