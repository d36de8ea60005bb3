"""Contrastive loss (Hadsell et al. 2006, "Dimensionality reduction by learning an invariant mapping",
eq. 4; distances not squared)."""

from __future__ import annotations

from typing import Literal

from pytorch_metric_learning.losses import ContrastiveLoss

from gauntlet.core.registry import register
from gauntlet.losses.mining import Mined


@register("loss", "contrastive")
class Contrastive(Mined):
    """``mean d(a, p) + mean max(0, margin - d(a, n))`` over the pairs of the triplets (a, p, n).

    Each mean is over the pairs where the term is above 0. d is the Euclidean distance of unit vectors,
    in [0, 2].

    Args:
        margin: distance from which a negative no longer counts.
        miner: which triplets the pairs come from; see ``gauntlet.losses.mining``.
        per_anchor: triplets kept per anchor, at random; None keeps all.
    """

    def __init__(
        self,
        margin: float = 1.0,
        miner: Literal["distance_weighted", "semihard", "uniform"] = "distance_weighted",
        per_anchor: int | None = 1,
    ):
        self.margin, self.miner, self.per_anchor = margin, miner, per_anchor
        self.loss = ContrastiveLoss(neg_margin=margin)

    def __call__(self, embeddings, labels, proxies, triplets=None):
        return self.loss(embeddings, labels, triplets)
