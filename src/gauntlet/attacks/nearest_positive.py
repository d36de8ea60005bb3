"""Nearest positive: push a query away from the nearest image of its own class (RDML's "global attack").

Maximises ``||F(x') - F(x+)||``, x+ the clean image of the query's class nearest to the clean query, chosen
once (Panum et al. 2021, arXiv 2102.07265, released code). As there, only queries that are right are
attacked: the others are errors already, and perturbed they might become right by accident.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.attacks.base import Attack
from gauntlet.attacks.clean import Clean
from gauntlet.attacks.geometry import distance, everyone, nearest
from gauntlet.core.registry import register


@register("attack", "nearest_positive")
class NearestPositive(Attack):
    """Args: ``clean``, whose gallery has the positives."""

    def __init__(self, clean: Clean):
        self.positive = nearest(clean, torch.eq)
        self.spared = clean.gallery_labels[nearest(clean, everyone)] != clean.labels
        self.spared |= self.positive < 0
        self.targets = clean.gallery[self.positive.clamp(min=0)]

    def objective(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """(b,) distances of perturbed ``embeddings`` (b, D) of ``rows`` (b,) from their targets, in [0, 2];
        0 where the class has no other image."""
        return distance(embeddings, self.targets[rows]) * (self.positive[rows] >= 0)
