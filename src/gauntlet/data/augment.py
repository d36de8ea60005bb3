"""Random changes of training images, a whole batch at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Pixels of padding that ``crop`` cuts from.
PADDING = 4


def augment(images: Tensor, kinds: list[str], generator: torch.Generator) -> Tensor:
    """``images`` (b, C, H, W) after ``crop`` and ``flip`` where these are in ``kinds``.

    crop: padded by 4 black pixels on every side, then cut to its size at a random place. flip: every image
    left to right with probability 1/2. ``generator`` is a CPU generator, so that devices agree.
    """
    if "crop" in kinds:
        images = crop(images, torch.randint(0, 2 * PADDING + 1, (2, len(images)), generator=generator))
    if "flip" in kinds:
        flipped = torch.rand(len(images), generator=generator) < 0.5
        images = torch.where(flipped.to(images.device)[:, None, None, None], images.flip(3), images)
    return images


def crop(images: Tensor, places: Tensor) -> Tensor:
    """Cut at ``places`` (2, b): row and column of the corner in the padded image."""
    n, _, height, width = images.shape
    padded = F.pad(images, (PADDING,) * 4)
    rows, columns = places.to(images.device)
    rows = (rows[:, None] + torch.arange(height, device=images.device))[:, :, None]
    columns = (columns[:, None] + torch.arange(width, device=images.device))[:, None, :]
    index = torch.arange(n, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[index, rows, columns].permute(0, 3, 1, 2)
