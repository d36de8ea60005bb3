"""No defense: the metric loss on clean images."""

from __future__ import annotations

from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.embeddings.base import Batch, Defense, Member


@register("defense", "none")
class NoDefense(Defense):
    """Minimise L(f(x), y), with L the metric loss."""

    def loss(self, member: Member, batch: Batch) -> Tensor:
        return self.metric_loss(member, batch.images, batch.labels)
