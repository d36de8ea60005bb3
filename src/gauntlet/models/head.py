"""The embedding head that all networks share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class EmbeddingHead(nn.Module):
    """Feature maps (b, width, h, w) to unit vectors (b, embedding).

    The sum of global average and global maximum pooling, a linear layer (Kaiming fan-out, zero bias),
    then L2 normalisation, as in the Proxy-Anchor reference code.
    """

    def __init__(self, width: int, embedding: int):
        super().__init__()
        self.linear = nn.Linear(width, embedding)
        nn.init.kaiming_normal_(self.linear.weight, mode="fan_out")
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        pooled = features.mean(dim=(2, 3)) + features.amax(dim=(2, 3))
        return F.normalize(self.linear(pooled), dim=1, eps=1e-12)
