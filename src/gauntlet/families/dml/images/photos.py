"""Photos: decoded when they are wanted, and cut to squares, at random to train and the centre to test."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gauntlet.core import processes
from gauntlet.core.registry import register
from gauntlet.data.crops import CentreCrop, RandomCrop
from gauntlet.data.photos import Photos, cores
from gauntlet.data.prefetch import batches
from gauntlet.families.dml.images.base import Cut, Images

#: Photos that are decoded together for a fixed view.
TOGETHER = 64
#: The short side of a photo before its centre is cut out, in sides of the square: 256 to 224.
MARGIN = 256 / 224


class Squares(Images):
    """Central squares stay in host memory once they are decoded, as bytes, since attacks come back to them:
    9 GB for the 60,502 test photos of Stanford Online Products at 224 pixels.

    Args:
        photos: the split.
        index: (n,) rows of it.
        cut: to which squares.
    """

    channels = 3
    home = "cpu"

    def __init__(self, photos: Photos, index: np.ndarray, cut: Cut):
        self.photos, self.index, self.cut, self.size = photos, index, cut, cut.size
        self.centres: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows):
        return Squares(self.photos, self.index[rows.cpu().numpy()], self.cut)

    def view(self, rows=None, device="cpu"):
        rows = range(len(self)) if rows is None else rows.tolist()
        self._decode([row for row in rows if row not in self.centres])
        found = torch.empty((len(rows), 3, self.size, self.size), dtype=torch.uint8)
        for place, row in enumerate(rows):
            found[place] = self.centres[row]
        return _unit(found, device)

    def _decode(self, rows: list[int]) -> None:
        groups = [rows[at : at + TOGETHER] for at in range(0, len(rows), TOGETHER)]
        crop = CentreCrop(self.size, round(self.size * MARGIN))
        found = batches(self.photos, [self.index[some] for some in groups], crop)
        for some, part in zip(groups, found, strict=True):
            self.centres.update(zip(some, part, strict=True))

    def mean(self, device="cpu"):
        total = torch.zeros(3, self.size, self.size, dtype=torch.float64)
        for rows in torch.arange(len(self)).split(TOGETHER):
            total += self.view(rows).sum(0)
        return (total / len(self)).float().to(device)

    def epoch(self, groups, device, *, seed, epoch):
        wanted = (self.index[rows[processes.share(len(rows))].numpy()] for rows in groups)
        crop = RandomCrop(self.size, scale=self.cut.scale)
        found = batches(
            self.photos,
            wanted,
            crop,
            seed=seed,
            epoch=epoch,
            workers=max(1, cores() // processes.count()),
            pin=torch.device(device).type == "cuda",
        )
        if processes.count() == 1:
            return (_unit(part, device) for part in found)
        # Each process decodes its share.
        return (
            _unit(processes.gather(part.to(device, non_blocking=True), len(rows)), device)
            for part, rows in zip(found, groups, strict=True)
        )


@register("form", "photos")
def photos(part, rows, peak, cut) -> Squares:
    return Squares(part, rows, cut)


def _unit(images: Tensor, device) -> Tensor:
    return images.to(device, non_blocking=True).float().div_(255)
