"""Mixup (Zhang et al. 2018, arXiv 1710.09412, eq. 1), with a metric loss."""

from __future__ import annotations

from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.embeddings.base import Batch, Member
from gauntlet.defenses.embeddings.mixing import Mixing


@register("defense", "mixup")
class Mixup(Mixing):
    """Minimise the mixed loss of the batch; see ``Mixing``."""

    def loss(self, member: Member, batch: Batch) -> Tensor:
        return self.mixed_loss(member, batch.images, batch.labels)
