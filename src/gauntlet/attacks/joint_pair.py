"""Joint pair attack: all images move together, so that both operands of a distance are perturbed.

Maximises ``mean_{y_i != y_j} s(F_i, F_j) - mean_{y_i = y_j, i != j} s(F_i, F_j)`` over all pairs of the
set; images that are not perturbed take part with their clean embeddings. For unit vectors the sums of
cosines over pairs are squared norms of sums, so the cost is linear in n: no n x n matrix.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.attacks.base import Attack
from gauntlet.attacks.clean import Clean
from gauntlet.core.registry import register


@register("attack", "joint_pair")
class JointPair(Attack):
    """Args: ``clean``, of which only the queries and their classes are used."""

    joint = True

    def __init__(self, clean: Clean):
        self.clean, labels = clean.queries, clean.labels
        _, self.classes, counts = torch.unique(labels, return_inverse=True, return_counts=True)
        same = int((counts * counts).sum())
        self.between_pairs = max(len(labels) ** 2 - same, 1)  # ordered pairs; a sum over none is 0
        self.within_pairs = max(same - len(labels), 1)
        sums = self.clean.new_zeros(len(counts), self.clean.shape[1])
        self.class_sums = sums.index_add(0, self.classes, self.clean)

    def objective(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """A scalar, from the ``embeddings`` (b, D) of all perturbed ``rows`` (b,), each row once."""
        change = embeddings - self.clean[rows]
        sums = self.class_sums.index_add(0, self.classes[rows], change)
        selves = len(self.classes) - len(rows) + embeddings.square().sum()
        same = sums.square().sum()
        between = sums.sum(0).square().sum() - same
        return between / self.between_pairs - (same - selves) / self.within_pairs
