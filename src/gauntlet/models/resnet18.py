"""ResNet-18 (He et al. 2016, arXiv 1512.03385) from torchvision, adapted to small images."""

from __future__ import annotations

import torchvision
from torch import Tensor, nn

from gauntlet.core.registry import register
from gauntlet.models.head import EmbeddingHead


@register("model", "resnet18")
class ResNet18(nn.Module):
    """torchvision's residual stages under the embedding head, from random weights.

    Images of 32 pixels or fewer get the usual small-image stem: a 3x3 convolution of stride 1 and no
    max-pooling. Larger ones keep the 7x7 stem.

    Args:
        channels: image channels.
        size: image height and width.
        embedding: dimension of the unit vectors.
    """

    def __init__(self, channels: int, size: int, embedding: int):
        super().__init__()
        net = torchvision.models.resnet18(weights=None)
        small = size <= 32
        if small:
            stem = nn.Conv2d(channels, 64, 3, stride=1, padding=1, bias=False)
        else:
            stem = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        pool = nn.Identity() if small else net.maxpool
        self.features = nn.Sequential(
            stem, net.bn1, net.relu, pool, net.layer1, net.layer2, net.layer3, net.layer4
        )
        self.head = EmbeddingHead(net.fc.in_features, embedding)

    def forward(self, images: Tensor) -> Tensor:
        """(b, channels, h, w) in [0, 1] -> (b, embedding), unit norm."""
        return self.head(self.features(images))
