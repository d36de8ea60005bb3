"""VGG-16 with BatchNorm (Simonyan and Zisserman 2015, arXiv 1409.1556) from torchvision, for small images."""

from __future__ import annotations

from torch import nn

from gauntlet.core.registry import register
from gauntlet.models.backbones import vgg


@register("classifier", "vgg16_bn")
class Vgg16Bn(nn.Sequential):
    """The convolutions (``backbones.vgg``) and one linear layer, as the TandemGAN release has it.

    Args:
        channels: of the images.
        size: 28 or a multiple of 32.
        classes: how many logits.
    """

    def __init__(self, channels: int, size: int, classes: int):
        features, width = vgg("vgg16_bn", channels, size)
        super().__init__(*features, nn.Flatten(), nn.Linear(width, classes))
