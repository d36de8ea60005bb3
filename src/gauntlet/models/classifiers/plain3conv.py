"""A small network whose gradients say much about its images: no norm, no pooling."""

from __future__ import annotations

from torch import nn

from gauntlet.core.registry import register


@register("classifier", "plain3conv")
class Plain3Conv(nn.Sequential):
    """Conv(16), Conv(32, stride 2), Conv(64, stride 2), all 3x3 with ReLU; linear.

    Pooling and norms lose what gradient inversion looks for; papers on it begin with networks without (Zhu et
    al. 2019, arXiv 1906.08935).

    Args:
        channels: of the images.
        size: at least 1; a multiple of 4 loses no border.
        classes: how many logits.
    """

    def __init__(self, channels: int, size: int, classes: int):
        side = -(-size // 4)
        super().__init__(
            nn.Conv2d(channels, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * side**2, classes),
        )
