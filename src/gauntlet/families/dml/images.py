"""The images of a trial on their device: arrays, which fit there whole, or photos, decoded when wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from gauntlet.data.crops import CentreCrop, RandomCrop
from gauntlet.data.photos import Photos
from gauntlet.data.prefetch import batches

#: Photos that are decoded together for a fixed view.
TOGETHER = 64
#: The short side of a photo before its centre is cut out, in sides of the square: 256 to 224.
MARGIN = 256 / 224


class Images:
    """Some images of one split.

    Attributes:
        channels, size: of every image, as a network sees it.
    """

    channels: int
    size: int

    def __len__(self) -> int:
        raise NotImplementedError

    def view(self, rows: Tensor | None = None, device: torch.device | str = "cpu") -> Tensor:
        """(b, C, H, W) in [0, 1], always the same: what is tested. All images when ``rows`` is None."""
        raise NotImplementedError

    def epoch(
        self, groups: Sequence[Tensor], device: torch.device | str, *, seed: int, epoch: int
    ) -> Iterator[Tensor]:
        """(b, C, H, W) in [0, 1] for every group of rows, as an epoch of the training sees them."""
        raise NotImplementedError


class Arrays(Images):
    """Images of one size, kept on the device as a whole and never augmented.

    Args:
        images: uint8 (n, C, H, W).
        peak: the pixel value of white.
    """

    def __init__(self, images: np.ndarray, peak: int):
        self.images, self.peak = torch.from_numpy(np.ascontiguousarray(images)), peak
        _, self.channels, self.size, _ = self.images.shape

    def __len__(self) -> int:
        return len(self.images)

    def view(self, rows=None, device="cpu"):
        self.images = self.images.to(device)
        chosen = self.images if rows is None else self.images[rows.to(device)]
        return chosen.float().div_(self.peak)

    def epoch(self, groups, device, *, seed, epoch):
        return (self.view(rows, device) for rows in groups)


class Squares(Images):
    """Photos, cut to squares: at random to train, the centre to test.

    Args:
        photos: the split.
        index: (n,) rows of it.
        size: side of the squares, in pixels.
        scale: least and greatest share of a photo's area that a random box has.
    """

    channels = 3

    def __init__(self, photos: Photos, index: np.ndarray, size: int, scale: tuple[float, float]):
        self.photos, self.index, self.size, self.scale = photos, index, size, scale

    def __len__(self) -> int:
        return len(self.index)

    def view(self, rows=None, device="cpu"):
        chosen = self.index if rows is None else self.index[rows.cpu().numpy()]
        groups = [chosen[at : at + TOGETHER] for at in range(0, len(chosen), TOGETHER)]
        crop = CentreCrop(self.size, round(self.size * MARGIN))
        # One tensor from the start: a list of parts would need the memory twice.
        found = torch.empty((len(chosen), 3, self.size, self.size), device=device)
        at = 0
        for part in batches(self.photos, groups, crop):
            found[at : at + len(part)] = _unit(part, device)
            at += len(part)
        return found

    def epoch(self, groups, device, *, seed, epoch):
        wanted = (self.index[rows.numpy()] for rows in groups)
        crop = RandomCrop(self.size, scale=self.scale)
        found = batches(
            self.photos, wanted, crop, seed=seed, epoch=epoch, pin=torch.device(device).type == "cuda"
        )
        return (_unit(part, device) for part in found)


def _unit(images: Tensor, device) -> Tensor:
    return images.to(device, non_blocking=True).float().div_(255)
