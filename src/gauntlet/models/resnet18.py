"""ResNet-18 (He et al. 2016, arXiv 1512.03385) from torchvision, adapted to small images."""

from __future__ import annotations

from torch import Tensor, nn

from gauntlet.core.registry import register
from gauntlet.models.backbones import residual
from gauntlet.models.head import EmbeddingHead


@register("model", "resnet18")
class ResNet18(nn.Module):
    """torchvision's residual stages (``backbones.residual``) under the embedding head, from random weights.

    Args:
        channels: image channels.
        size: image height and width.
        embedding: dimension of the unit vectors.
    """

    def __init__(self, channels: int, size: int, embedding: int):
        super().__init__()
        self.features, width = residual("resnet18", channels, size)
        self.head = EmbeddingHead(width, embedding)

    def forward(self, images: Tensor) -> Tensor:
        """(b, channels, h, w) in [0, 1] -> (b, embedding), unit norm."""
        return self.head(self.features(images))
