"""Three strided convolutions: the FedEMD paper's network for STL-10."""

from __future__ import annotations

from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register


@register("classifier", "cnn3")
class Cnn3(nn.Sequential):
    """Conv(96, 7x7), Conv(64, 5x5), Conv(128, 3x3), all of stride 2 with ReLU, MaxPool3, linear to 128,
    ReLU, linear to the logits.

    Args:
        channels, size: of the images; 96 pixels in the paper, at least 47.
        classes: how many logits.

    Raises:
        GauntletError: the images are too small.
    """

    def __init__(self, channels: int, size: int, classes: int):
        if size < 47:
            raise GauntletError(
                f"cnn3 needs images of at least 47 pixels (got {size})",
                key="architecture",
                remedy="choose another one for this dataset",
            )
        for kernel in (7, 5, 3):
            size = (size - kernel) // 2 + 1
        super().__init__(
            nn.Conv2d(channels, 96, 7, stride=2),
            nn.ReLU(),
            nn.Conv2d(96, 64, 5, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 128, 3, stride=2),
            nn.MaxPool2d(3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(128 * (size // 3) ** 2, 128),
            nn.ReLU(),
            nn.Linear(128, classes),
        )
