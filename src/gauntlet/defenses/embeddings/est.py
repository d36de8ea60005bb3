"""Embedding-shifted training, EST (Zhou et al., ECCV 2020, arXiv 2002.11293), for any metric loss."""

from __future__ import annotations

from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.embeddings.base import Batch, Defense, Member


@register("defense", "est")
class EmbeddingShiftedTraining(Defense):
    """Minimise L(f(x'), y), where x' maximises ||f(x') - f(x)||: no labels, no other images in the attack."""

    def loss(self, member: Member, batch: Batch) -> Tensor:
        clean = self.embed_clean(member, batch.images)
        adversarial = self.attack(
            lambda images: (member.embed(images) - clean).square().sum(1),
            batch.images,
            [member],
            member.generator,
        )
        return self.metric_loss(member, adversarial, batch.labels)
