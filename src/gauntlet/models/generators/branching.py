"""The generator of DaST: a branch per class under a shared trunk."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError


class Branching(nn.Module):
    """Each class's noise goes through its own transposed convolution to ``width`` maps of a quarter of the
    size; then for all twice: nearest upsampling by 2 and a 3x3 convolution, to ``width`` maps and then to
    half as many, with BatchNorm and ReLU; a 3x3 convolution and the sigmoid.

    Args:
        channels: of the images.
        size: a multiple of 4.
        latent: length of a noise vector.
        classes: how many branches.
        width: maps of a branch, even.

    Raises:
        GauntletError: another size.
    """

    def __init__(self, channels: int, size: int, latent: int, classes: int, width: int = 64):
        super().__init__()
        if size % 4:
            raise GauntletError(
                f"DaST's generator makes images of a multiple of 4 pixels; the target takes {size}",
                key="generator",
                remedy="choose another method for this dataset",
            )
        self.branches = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(latent, width, size // 4), nn.BatchNorm2d(width), nn.ReLU())
            for _ in range(classes)
        )
        self.trunk = nn.Sequential(
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width // 2, 3, padding=1),
            nn.BatchNorm2d(width // 2),
            nn.ReLU(),
            nn.Conv2d(width // 2, channels, 3, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor) -> Tensor:
        """(K, m, latent), noise by class -> (K * m, C, H, W), class by class."""
        maps = [branch(part[:, :, None, None]) for branch, part in zip(self.branches, z, strict=True)]
        return self.trunk(torch.cat(maps))
