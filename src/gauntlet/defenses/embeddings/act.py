"""Anti-collapse triplets, ACT (Zhou et al. 2021, arXiv 2106.03614)."""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.embeddings.base import Batch, Member
from gauntlet.defenses.embeddings.roles import Roles, distance
from gauntlet.losses.base import Triplets


@register("defense", "act")
class AntiCollapseTriplets(Roles):
    """Minimise L(f(a), f(p'), f(n')) over triplets, where p' and n' minimise ||f(p') - f(n')||.

    The anchor stays clean: the attack draws positive and negative together, and the loss has to tell them
    apart, so that a collapsed embedding is no way out.
    """

    def triplet_loss(self, member: Member, batch: Batch, clean: Tensor, triplets: Triplets) -> Tensor:
        anchor, positive, negative = (batch.images[rows] for rows in triplets)
        both = self.perturb(member, positive, negative)
        return self.copies_loss(member, batch, triplets, Triplets(anchor, *both.chunk(2)))

    def perturb(self, member: Member, positive: Tensor, negative: Tensor) -> Tensor:
        """(2t, C, H, W): perturbed positives, then perturbed negatives."""

        def together(images: Tensor) -> Tensor:
            return -distance(*member.embed(images).chunk(2)).mean()

        return self.attack(together, torch.cat([positive, negative]), [member], member.generator)
