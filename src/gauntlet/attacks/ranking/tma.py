"""Targeted mismatch (TMA): bring an image to the place of another one, drawn uniformly.

Maximises ``s(F(x'), F(x_t))``, s the cosine (Tolias et al. 2019, arXiv 1908.09163, on global descriptors).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.attacks.base import Attack, Goal
from gauntlet.attacks.clean import Clean
from gauntlet.attacks.ranking.base import anyone
from gauntlet.core.registry import register


@register("attack", "tma")
class Tma(Attack):
    """Args: ``clean``, whose gallery has the targets; ``generator`` CPU generator of the targets."""

    drawn = True
    goal = Goal("cosine", broken=1.0, intact=-1.0)

    def __init__(self, clean: Clean, *, generator: torch.Generator):
        self.targets = clean.gallery[anyone(clean, generator)]

    def objective(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """(b,) cosines of perturbed ``embeddings`` (b, D) of ``rows`` (b,) with their targets."""
        return F.cosine_similarity(embeddings, self.targets[rows], dim=1)

    def measures(self, embeddings: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """``cosine`` with the target, in [-1, 1]."""
        return {"cosine": self.objective(embeddings, rows)}
