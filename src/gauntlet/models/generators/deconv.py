"""The generator of the TandemGAN release for MNIST-like images."""

from __future__ import annotations

from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.models.generators.base import Generator


@register("generator", "deconv")
class Deconv(Generator):
    """Linear to 5x4x4; ConvT(10, 5x5) to 8x8, ConvT(10, 5x5, stride 4) to 33x33, both with BatchNorm and
    LeakyReLU(0.01); Conv(C, 6x6) to 28x28 with BatchNorm.

    Args:
        channels: of the images.
        size: 28.
        latent: length of a noise vector.
        activation: of the output.

    Raises:
        GauntletError: another size.
    """

    def __init__(self, channels: int, size: int, latent: int, activation: str):
        if size != 28:
            raise GauntletError(
                f"deconv makes images of 28 pixels; the target takes {size}",
                key="generator",
                remedy="choose upsample",
            )
        inner = nn.Sequential(
            nn.Linear(latent, 80),
            nn.Unflatten(1, (5, 4, 4)),
            nn.ConvTranspose2d(5, 10, 5),
            nn.BatchNorm2d(10),
            nn.LeakyReLU(0.01),
            nn.ConvTranspose2d(10, 10, 5, stride=4),
            nn.BatchNorm2d(10),
            nn.LeakyReLU(0.01),
        )
        outer = nn.Sequential(nn.Conv2d(10, channels, 6), nn.BatchNorm2d(channels))
        super().__init__(inner, outer, activation)
