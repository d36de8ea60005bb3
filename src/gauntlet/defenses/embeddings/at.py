"""Adversarial training (Madry et al. 2018, arXiv 1706.06083, eq. 2.1)."""

from __future__ import annotations

from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.embeddings.base import Batch, Defense, Member


@register("defense", "at")
class AdversarialTraining(Defense):
    """Minimise L(f(x'), y), where x' maximises L(f(x'), y) over the eps-ball around x.

    L is the metric loss of the whole batch, in the attack as in the update.
    """

    def loss(self, member: Member, batch: Batch) -> Tensor:
        adversarial = self.attack_loss(member, batch.images, batch.labels)
        return self.metric_loss(member, adversarial, batch.labels)
