"""What all networks share: the embedding head, and how it sits on a backbone."""

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


class EmbeddingNetwork(nn.Module):
    """A backbone under the embedding head.

    Args:
        features: (b, channels, h, w) in [0, 1] to maps (b, width, h', w').
        width: of the maps.
        embedding: dimension of the unit vectors.
    """

    def __init__(self, features: nn.Module, width: int, embedding: int):
        super().__init__()
        self.features, self.head = features, EmbeddingHead(width, embedding)

    def forward(self, images: Tensor) -> Tensor:
        """(b, channels, h, w) in [0, 1] -> (b, embedding), unit norm."""
        return self.head(self.features(images))
