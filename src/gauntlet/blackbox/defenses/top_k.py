"""The likeliest classes only (Orekondy et al. 2019, arXiv 1812.02766, section 6)."""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.blackbox.defenses.base import OracleDefense
from gauntlet.core.registry import register


@register("oracle_defense", "top_k")
class TopK(OracleDefense):
    """Answers the probabilities of the k likeliest classes; the others are 0.

    Args:
        k: how many classes; more than there are leave answers as they are.
    """

    def __init__(self, k: int = 1):
        self.k = k

    def answer(self, images: Tensor, probabilities: Tensor) -> Tensor:
        top = probabilities.topk(min(self.k, probabilities.shape[1]), dim=1)
        return torch.zeros_like(probabilities).scatter(1, top.indices, top.values)
