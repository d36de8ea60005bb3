"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381) from torchvision, adapted to small images."""

from __future__ import annotations

import torchvision
from torch import nn

from gauntlet.core.registry import register
from gauntlet.models.head import EmbeddingNetwork


@register("model", "mobilenet_v2")
class MobileNetV2(EmbeddingNetwork):
    """torchvision's inverted residuals under the embedding head, from random weights.

    Images of 32 pixels or fewer keep their resolution through the stem and the first stage of stride 2,
    so that the deepest maps are 1/8 of the input instead of 1/32.

    Args:
        channels: image channels.
        size: image height and width.
        embedding: dimension of the unit vectors.
    """

    def __init__(self, channels: int, size: int, embedding: int):
        net = torchvision.models.mobilenet_v2(weights=None)
        small = size <= 32
        stem = nn.Conv2d(channels, 32, 3, stride=1 if small else 2, padding=1, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out")
        net.features[0][0] = stem
        if small:
            depthwise = net.features[2].conv[1][0]
            depthwise.stride = (1, 1)
        super().__init__(net.features, net.last_channel, embedding)
