"""Triplet margin loss (Schroff et al. 2015, arXiv 1503.03832, eq. 2; distances not squared)."""

from __future__ import annotations

from typing import Literal

from pytorch_metric_learning.losses import TripletMarginLoss

from gauntlet.core.registry import register
from gauntlet.losses.mining import Mined


@register("loss", "triplet")
class Triplet(Mined):
    """``mean max(0, d(a, p) - d(a, n) + margin)`` over the triplets (a, p, n) where it is above 0.

    d is the Euclidean distance of unit vectors, in [0, 2].

    Args:
        margin: a distance.
        miner: which triplets; see ``gauntlet.losses.mining``.
        per_anchor: triplets kept per anchor, at random; None keeps all.
    """

    def __init__(
        self,
        margin: float = 0.2,
        miner: Literal["distance_weighted", "semihard", "uniform"] = "distance_weighted",
        per_anchor: int | None = 1,
    ):
        self.margin, self.miner, self.per_anchor = margin, miner, per_anchor
        self.loss = TripletMarginLoss(margin)

    def __call__(self, embeddings, labels, proxies, triplets=None):
        return self.loss(embeddings, labels, triplets)
