"""Triplet: away from the nearest image of the own class, towards the farthest of another ("LTM").

Learning to misrank (Wang et al. 2020, arXiv 2004.04199, equation 1), as RobRank evaluates it: maximises
``min_{y_j = y} d(F(x'), F_j) - max_{y_j != y} d(F(x'), F_j)`` over the clean gallery, both chosen anew at
every step. RobRank cuts it at 0, where every wrong image is nearer than every right one; here the ascent
goes on. The query itself is left out by index (RobRank's code means to, and keeps it).
"""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.attacks.base import Attack
from gauntlet.attacks.clean import Clean
from gauntlet.attacks.geometry import distances
from gauntlet.core.registry import register


@register("attack", "triplet")
class Triplet(Attack):
    """Args: ``clean``, whose gallery is looked at as a whole."""

    def __init__(self, clean: Clean):
        self.clean = clean

    def objective(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """(b,) differences of distances, in [-2, 2], from perturbed ``embeddings`` (b, D) of ``rows`` (b,); a
        side without an image counts as 0. Memory b x m for a gallery of m."""
        clean = self.clean
        right = clean.labels[rows, None] == clean.gallery_labels
        others = clean.without_itself(right.clone(), rows)
        apart = distances(embeddings, clean.gallery)
        nearest = apart.masked_fill(~others, float("inf")).amin(1)
        farthest = apart.masked_fill(right, float("-inf")).amax(1)
        return torch.where(others.any(1), nearest, 0.0) - torch.where(right.all(1), 0.0, farthest)
