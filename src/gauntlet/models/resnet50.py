"""ResNet-50 (He et al. 2016, arXiv 1512.03385) from torchvision, adapted to small images."""

from __future__ import annotations

from torch import Tensor, nn

from gauntlet.core.registry import register
from gauntlet.models.backbones import residual
from gauntlet.models.head import EmbeddingHead


@register("model", "resnet50")
class ResNet50(nn.Module):
    """torchvision's residual stages (``backbones.residual``) under the embedding head, 2048 features wide.

    Args:
        channels: image channels.
        size: image height and width.
        embedding: dimension of the unit vectors.
    """

    def __init__(self, channels: int, size: int, embedding: int):
        super().__init__()
        self.features, width = residual("resnet50", channels, size)
        self.head = EmbeddingHead(width, embedding)

    def forward(self, images: Tensor) -> Tensor:
        """(b, channels, h, w) in [0, 1] -> (b, embedding), unit norm."""
        return self.head(self.features(images))
