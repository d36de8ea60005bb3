"""Several embedding networks as one."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """The members' embeddings side by side, divided by sqrt(N).

    The result has unit norm, and its cosine is the mean of the members' cosines. (Adding up raw
    embeddings would be wrong: the members' spaces are not aligned.)

    Args:
        members: N networks that return unit vectors.
    """

    def __init__(self, members: Iterable[nn.Module]):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        """(b, C, H, W) in [0, 1] -> (b, N * d), unit norm."""
        return torch.cat([member(images) for member in self.members], dim=1) / math.sqrt(len(self.members))
