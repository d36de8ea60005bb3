"""Joint min-max: the naive adversarial training of a triplet loss, a control (see RDML, arXiv 2102.07265)."""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.embeddings.base import Batch, Member
from gauntlet.defenses.embeddings.roles import Roles
from gauntlet.losses.base import Triplets


@register("defense", "joint_minmax")
class JointMinMax(Roles):
    """Minimise L(f(a'), f(p'), f(n')) over triplets, where a', p' and n' together maximise it.

    An adversary that moves all three images is stronger than any that a deployed model meets. The loss
    then has an easy way out: an embedding in which all images are near each other.
    """

    def triplet_loss(self, member: Member, batch: Batch, clean: Tensor, triplets: Triplets) -> Tensor:
        images = torch.cat([batch.images[rows] for rows in triplets])
        adversarial = self.attack(
            lambda x: self.copies_loss(member, batch, triplets, Triplets(*x.chunk(3))),
            images,
            [member],
            member.generator,
        )
        return self.copies_loss(member, batch, triplets, Triplets(*adversarial.chunk(3)))
