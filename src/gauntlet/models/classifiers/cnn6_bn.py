"""Six convolutions with BatchNorm: the FedEMD paper's network for CIFAR-10."""

from __future__ import annotations

from torch import nn

from gauntlet.core.registry import register


@register("classifier", "cnn6_bn")
class Cnn6Bn(nn.Sequential):
    """Three pairs of 3x3 convolutions (32, 64, 128 wide; ReLU, then BatchNorm), MaxPool2 after each pair,
    linear to 128, linear to the logits.

    As released, there is no nonlinearity between the two linear layers. Unlike the release it returns
    logits: there, a softmax comes before the cross-entropy, which takes the softmax of it again.

    Args:
        channels, size: of the images; the size is a multiple of 8.
        classes: how many logits.
    """

    WIDTHS = (32, 64, 128)

    def __init__(self, channels: int, size: int, classes: int):
        layers: list[nn.Module] = []
        for width in self.WIDTHS:
            for inputs in (channels, width):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(width)]
            layers.append(nn.MaxPool2d(2))
            channels = width
        layers += [nn.Flatten(), nn.Linear(channels * (size // 8) ** 2, 128), nn.Linear(128, classes)]
        super().__init__(*layers)
