"""Greedy top-1 misranking: bring a query to the nearest image of another class ("GTM").

Maximises ``-||F(x') - F(x-)||``, x- the clean image of another class nearest to the clean query, chosen once
(RobRank, Zhou and Patel 2021, arXiv 2106.03614).
"""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.attacks.base import Attack
from gauntlet.attacks.clean import Clean
from gauntlet.attacks.geometry import distance, nearest
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register


@register("attack", "gtm")
class Gtm(Attack):
    """Args: ``clean``, whose gallery has the negatives.

    Raises GauntletError when there is only one class.
    """

    def __init__(self, clean: Clean):
        negative = nearest(clean, torch.ne)
        if (negative < 0).any():
            raise GauntletError("all test images are of one class", remedy="use more classes")
        self.targets = clean.gallery[negative]

    def objective(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """(b,) negated distances of perturbed ``embeddings`` (b, D) of ``rows`` (b,), in [-2, 0]."""
        return -distance(embeddings, self.targets[rows])
