"""ResNet-18 (He et al. 2016, arXiv 1512.03385) from torchvision, in its form for small images."""

from __future__ import annotations

from torch import nn

from gauntlet.core.registry import register
from gauntlet.models.backbones import residual


@register("classifier", "resnet18")
class ResNet18(nn.Sequential):
    """Residual stages (``backbones.residual``), average pooling, linear.

    Args:
        channels, size: of the images.
        classes: how many logits.
    """

    def __init__(self, channels: int, size: int, classes: int):
        features, width = residual("resnet18", channels, size)
        super().__init__(*features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))
