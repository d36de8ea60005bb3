"""Adversarial logit pairing (Kannan et al. 2018, arXiv 1803.06373), on embeddings."""

from __future__ import annotations

from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.embeddings.base import Batch, Defense, Member


@register("defense", "alp")
class AdversarialLogitPairing(Defense):
    """Minimise L(f(x'), y) + weight * mean ||f(x) - f(x')||^2, where x' maximises L(f(x'), y).

    Args:
        weight: of the pairing term; squared distances of unit vectors are in [0, 4].
    """

    def __init__(self, weight: float = 0.5):
        self.weight = weight

    def loss(self, member: Member, batch: Batch) -> Tensor:
        adversarial = self.attack_loss(member, batch.images, batch.labels)
        clean, attacked = member.embed(batch.images), member.embed(adversarial)
        pairing = (clean - attacked).square().sum(1).mean()
        return self.embedding_loss(member, attacked, batch.labels) + self.weight * pairing
