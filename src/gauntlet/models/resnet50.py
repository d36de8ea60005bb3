"""ResNet-50 (He et al. 2016, arXiv 1512.03385) from torchvision, adapted to small images."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.models.backbones import residual
from gauntlet.models.head import EmbeddingNetwork


@register("model", "resnet50")
class ResNet50(EmbeddingNetwork):
    """torchvision's residual stages (``backbones.residual``) under the embedding head, 2048 features wide.

    Args:
        channels: image channels.
        size: image height and width.
        embedding: dimension of the unit vectors.
    """

    def __init__(self, channels: int, size: int, embedding: int):
        super().__init__(*residual("resnet50", channels, size), embedding)
