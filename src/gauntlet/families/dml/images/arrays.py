"""Images of one size: kept on the device as a whole, never augmented."""

from __future__ import annotations

import numpy as np
import torch

from gauntlet.core.registry import register
from gauntlet.families.dml.images.base import Images


class Arrays(Images):
    """A tensor of pixels.

    Args:
        images: uint8 (n, C, H, W).
        peak: the pixel value of white.
    """

    def __init__(self, images: np.ndarray | torch.Tensor, peak: int):
        self.images, self.peak = torch.as_tensor(images), peak
        _, self.channels, self.size, _ = self.images.shape

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows):
        return Arrays(self.images[rows.to(self.images.device)], self.peak)

    def view(self, rows=None, device="cpu"):
        self.images = self.images.to(device)
        chosen = self.images if rows is None else self.images[rows.to(device)]
        return chosen.float().div_(self.peak)

    def mean(self, device="cpu"):
        return self.view(device=device).mean(0)

    def epoch(self, groups, device, *, seed, epoch):
        return (self.view(rows, device) for rows in groups)


@register("form", "arrays")
def arrays(part, rows, peak, cut) -> Arrays:
    return Arrays(np.ascontiguousarray(part.images[rows]), peak)
