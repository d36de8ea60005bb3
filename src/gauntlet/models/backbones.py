"""torchvision's networks as feature extractors, adapted to small images."""

from __future__ import annotations

import torchvision
from torch import nn

from gauntlet.core.errors import GauntletError


def residual(name: str, channels: int, size: int) -> tuple[nn.Sequential, int]:
    """The residual stages of torchvision's ResNet ``name`` (He et al. 2016, arXiv 1512.03385), untrained.

    Images of 32 pixels or fewer get the usual small-image stem: a 3x3 convolution of stride 1 and no
    max-pooling. Larger ones keep the 7x7 stem.

    Returns: (features, width); features map (b, channels, size, size) to (b, width, h, w).
    """
    net = torchvision.models.get_model(name, weights=None)
    small = size <= 32
    if small:
        stem = nn.Conv2d(channels, 64, 3, stride=1, padding=1, bias=False)
    else:
        stem = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    pool = nn.Identity() if small else net.maxpool
    features = nn.Sequential(stem, net.bn1, net.relu, pool, net.layer1, net.layer2, net.layer3, net.layer4)
    return features, net.fc.in_features


def vgg(name: str, channels: int, size: int) -> tuple[nn.Sequential, int]:
    """The convolutions of ``vgg11_bn`` or ``vgg16_bn`` (Simonyan and Zisserman 2015, arXiv 1409.1556).

    Five poolings leave one pixel of 32. Images of 28 pixels are padded to 32 by the first convolution.

    Returns: (features, width); features map (b, channels, size, size) to (b, 512, size // 32, size // 32).

    Raises:
        GauntletError: images of another size than 28 or a multiple of 32.
    """
    if size != 28 and size % 32:
        raise GauntletError(
            f"{name} needs images of 28 pixels or a multiple of 32 (got {size})",
            key="architecture",
            remedy="choose another one for this dataset",
        )
    features = torchvision.models.get_model(name, weights=None).features
    first = features[0]
    features[0] = nn.Conv2d(channels, first.out_channels, 3, padding=3 if size == 28 else 1)
    nn.init.kaiming_normal_(features[0].weight, mode="fan_out", nonlinearity="relu")
    nn.init.zeros_(features[0].bias)
    return features, 512 * max(size // 32, 1) ** 2
