"""A small convolutional network for images of 8 to 32 pixels, made to be fast on one CPU thread."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gauntlet.core.registry import register
from gauntlet.models.head import EmbeddingNetwork


@register("model", "conv")
class Conv(EmbeddingNetwork):
    """Three 3x3 convolutions of stride 2 (BatchNorm, ReLU), then the embedding head.

    About 27,000 parameters at 64 dimensions. Weights are kept channels-last, the faster layout here.

    Args:
        channels: image channels.
        size: image height and width; not used, every size from 8 pixels works.
        embedding: dimension of the unit vectors.
    """

    WIDTHS = (16, 32, 64)

    def __init__(self, channels: int, size: int, embedding: int):
        inputs = (channels, *self.WIDTHS)
        super().__init__(nn.Sequential(*map(Block, inputs, self.WIDTHS)), self.WIDTHS[-1], embedding)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.contiguous(memory_format=torch.channels_last))


class Block(nn.Module):
    """Convolution, BatchNorm, ReLU.

    In eval mode BatchNorm is an affine map with fixed statistics, so it is folded into the convolution:
    the same function, with about a third less work. Attacks spend their time there.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 2):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return F.relu(self.norm(self.conv(x)), inplace=True)
        norm = self.norm
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        weight = self.conv.weight * scale[:, None, None, None]
        bias = norm.bias - norm.running_mean * scale
        return F.relu(F.conv2d(x, weight, bias, self.conv.stride, self.conv.padding), inplace=True)
