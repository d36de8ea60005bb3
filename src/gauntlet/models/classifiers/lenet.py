"""LeNet-5 (LeCun et al. 1998), with ReLU and max-pooling."""

from __future__ import annotations

from torch import nn

from gauntlet.core.registry import register


@register("classifier", "lenet")
class LeNet(nn.Sequential):
    """Conv(6, 5x5, padded)-ReLU-MaxPool2, Conv(16, 5x5)-ReLU-MaxPool2, linear to 120, to 84, to the logits.

    61,706 parameters at 28x28 grey and 10 outputs.

    Args:
        channels: of the images.
        size: at least 12.
        classes: how many logits.
    """

    def __init__(self, channels: int, size: int, classes: int):
        side = (size // 2 - 4) // 2
        super().__init__(
            nn.Conv2d(channels, 6, 5, padding=2),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(6, 16, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * side**2, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, classes),
        )
