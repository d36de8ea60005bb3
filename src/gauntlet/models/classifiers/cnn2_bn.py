"""Two convolutions with BatchNorm: the FedEMD paper's network for MNIST and Fashion-MNIST."""

from __future__ import annotations

from torch import nn

from gauntlet.core.registry import register


@register("classifier", "cnn2_bn")
class Cnn2Bn(nn.Sequential):
    """Conv(16, 5x5)-BN-ReLU-MaxPool2, Conv(32, 5x5)-BN-ReLU-MaxPool2, linear.

    29,034 parameters at 28x28 grey and 10 outputs. The maximum is taken before ReLU: the same function and
    the same gradients, with a quarter of the work.

    Args:
        channels, size: of the images; the size is a multiple of 4.
        classes: how many logits.
    """

    def __init__(self, channels: int, size: int, classes: int):
        super().__init__(
            nn.Conv2d(channels, 16, 5, padding=2),
            nn.BatchNorm2d(16),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 5, padding=2),
            nn.BatchNorm2d(32),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * (size // 4) ** 2, classes),
        )
