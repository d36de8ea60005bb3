"""Mixing images and their losses: what mixup and its adversarial variant share."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gauntlet.defenses.embeddings.base import Defense, Member


class Mixing(Defense):
    """Base of defenses on mixed images.

    Args:
        concentration: c of t ~ Beta(c, c); 1 draws t uniformly from [0, 1].
    """

    def __init__(self, concentration: float = 1.0):
        self.concentration = concentration

    def mixed_loss(self, member: Member, images: Tensor, labels: Tensor) -> Tensor:
        """t L(f(x~), y_a) + (1 - t) L(f(x~), y_b) with x~ = t x_a + (1 - t) x_b: a scalar.

        b is a random permutation of the batch; t is drawn once per batch.
        """
        other = torch.randperm(len(labels), generator=member.generator).to(labels.device)
        share = self.draw_share(member.generator)
        embeddings = member.embed(share * images + (1 - share) * images[other])
        return share * self.embedding_loss(member, embeddings, labels) + (1 - share) * self.embedding_loss(
            member, embeddings, labels[other]
        )

    def draw_share(self, generator: torch.Generator) -> float:
        """t ~ Beta(c, c). (torch draws no Beta from a given generator.)"""
        seed = int(torch.randint(2**62, (), generator=generator))
        return float(np.random.default_rng(seed).beta(self.concentration, self.concentration))
