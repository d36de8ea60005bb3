"""Mixup (Zhang et al. 2018, arXiv 1710.09412, eq. 1), with the Proxy-Anchor loss."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.base import Batch, Defense, Member


@register("defense", "mixup")
class Mixup(Defense):
    """Minimise t L(f(x~), y_a) + (1 - t) L(f(x~), y_b) with x~ = t x_a + (1 - t) x_b, t ~ Beta(c, c).

    b is a random permutation of the batch; t is drawn once per batch.

    Args:
        concentration: c; 1 draws t uniformly from [0, 1].
    """

    def __init__(self, concentration: float = 1.0):
        self.concentration = concentration

    def loss(self, member: Member, batch: Batch) -> Tensor:
        other = torch.randperm(len(batch.labels), generator=member.generator).to(batch.labels.device)
        share = self.draw_share(member.generator)
        mixed = share * batch.images + (1 - share) * batch.images[other]
        embeddings = member.embed(mixed)
        return share * self.proxy_loss(member, embeddings, batch.labels) + (1 - share) * self.proxy_loss(
            member, embeddings, batch.labels[other]
        )

    def draw_share(self, generator: torch.Generator) -> float:
        """t ~ Beta(c, c). (torch draws no Beta from a given generator.)"""
        seed = int(torch.randint(2**62, (), generator=generator))
        return float(np.random.default_rng(seed).beta(self.concentration, self.concentration))
