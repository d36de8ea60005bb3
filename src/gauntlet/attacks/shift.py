"""Embedding shift: move every embedding as far as possible from its clean place, without labels.

Maximises ``||F(x') - F(x)||^2`` (Zhou et al. 2021, "ES"). The gradient is zero at ``x' = x``, so the
random start of PGD is needed.
"""

from __future__ import annotations

from torch import Tensor

from gauntlet.attacks.base import Attack
from gauntlet.attacks.clean import Clean
from gauntlet.core.registry import register


@register("attack", "shift")
class Shift(Attack):
    """Args: ``clean``, of which only the queries' embeddings are used."""

    def __init__(self, clean: Clean):
        self.clean = clean.queries

    def objective(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """(b,) squared distances of perturbed ``embeddings`` (b, D) from the clean ones of ``rows`` (b,)."""
        return (embeddings - self.clean[rows]).square().sum(1)
