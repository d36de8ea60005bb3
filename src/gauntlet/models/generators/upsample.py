"""The generator of DFME and of the TandemGAN release for 32-pixel images."""

from __future__ import annotations

from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.models.generators.base import Generator


@register("generator", "upsample")
class Upsample(Generator):
    """Linear to 128 maps of a quarter of the size, BatchNorm; twice: nearest upsampling by 2, a 3x3
    convolution (128, then 64) with BatchNorm and LeakyReLU(0.2); Conv(C, 3x3), BatchNorm without parameters.

    Args:
        channels: of the images.
        size: a multiple of 4.
        latent: length of a noise vector.
        activation: of the output.

    Raises:
        GauntletError: another size.
    """

    def __init__(self, channels: int, size: int, latent: int, activation: str):
        if size % 4:
            raise GauntletError(
                f"upsample makes images of a multiple of 4 pixels; the target takes {size}",
                key="generator",
                remedy="choose another generator",
            )
        quarter = size // 4
        inner = nn.Sequential(
            nn.Linear(latent, 128 * quarter**2),
            nn.Unflatten(1, (128, quarter, quarter)),
            nn.BatchNorm2d(128),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(128, 128, 3, padding=1),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(128, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
        )
        outer = nn.Sequential(nn.Conv2d(64, channels, 3, padding=1), nn.BatchNorm2d(channels, affine=False))
        super().__init__(inner, outer, activation)
