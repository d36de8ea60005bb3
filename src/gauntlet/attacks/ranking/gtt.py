"""Greedy top-1 translocation (GTT): drive the image that a query retrieves first out of its list's head.

The objective is that of QA- for the nearest other image of the clean query (RobRank, Zhou and Patel 2021,
arXiv 2106.03614). RobRank's text asks whether that image stays among the first four; its code also counts
whether it stays the first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.attacks.base import Goal
from gauntlet.attacks.clean import Clean
from gauntlet.attacks.ranking.base import Query, at_places
from gauntlet.core.registry import register


@register("attack", "gtt")
class Gtt(Query):
    """Args: ``clean``, whose gallery has the lists."""

    drawn = False
    up = False
    goal = Goal("retained@4", broken=0.0, intact=1.0)

    def __init__(self, clean: Clean):
        self.clean = clean
        rows = torch.arange(len(clean.queries))
        self.others = at_places(clean, rows, torch.zeros_like(rows))

    def measures(self, embeddings: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """``retained@K``: 1 where the image is still among the K nearest, else 0."""
        ahead = self.ahead(embeddings, rows)
        return {f"retained@{k}": (ahead < k).to(embeddings.dtype) for k in (1, 4)}
