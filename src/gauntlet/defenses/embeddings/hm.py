"""Hardness manipulation, HM (Zhou and Patel, CVPR 2022, arXiv 2203.01439)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.embeddings.base import Batch, Member
from gauntlet.defenses.embeddings.roles import Roles, distance, in_order
from gauntlet.losses.base import Triplets


@register("defense", "hm")
class HardnessManipulation(Roles):
    """Minimise L(f(a'), f(p'), f(n')) over triplets made just as hard as the network can learn from.

    H = d(a, p) - d(a, n) is the hardness. a', p' and n' minimise [target - H]_+^2. The target follows the
    member's last loss l (linear gradual adversary): -gamma min(l, gamma) / gamma, from -gamma for a network
    that knows nothing towards 0. The intra-class term weight * [d(a, a') - d(a, p)]_+ keeps a perturbed
    anchor nearer to its clean image than to the positive.

    Args:
        target: ``gradual``, or ``full``: H is pushed to its greatest value, 2, from the start.
        gamma: margin of the gradual target, a distance.
        intra_class: weight of the intra-class term; 0 leaves it out.
    """

    def __init__(
        self,
        target: Literal["gradual", "full"] = "gradual",
        gamma: float = 0.2,
        intra_class: float = 0.5,
    ):
        self.target, self.gamma, self.intra_class = target, gamma, intra_class

    def triplet_loss(self, member: Member, batch: Batch, clean: Tensor, triplets: Triplets) -> Tensor:
        images = torch.cat([batch.images[rows] for rows in triplets])
        target = self.hardness(member)

        def nearer(adversarial: Tensor) -> Tensor:
            anchor, positive, negative = member.embed(adversarial).chunk(3)
            short = target - (distance(anchor, positive) - distance(anchor, negative))
            return -short.clamp(min=0).square().mean()

        adversarial = self.attack(nearer, images, [member], member.generator)
        embeddings = member.embed(adversarial)
        labels = batch.labels[torch.cat(triplets)]
        rows = in_order(len(triplets.anchor), labels.device)
        loss = self.embedding_loss(member, embeddings, labels, rows)
        member.memory["loss"] = float(loss.detach())
        if self.intra_class:
            loss = loss + self.intra_class * self.intra_class_loss(member, batch, triplets, embeddings)
        return loss

    def hardness(self, member: Member) -> float:
        """The hardness to reach, a difference of distances."""
        if self.target == "full":
            return 2.0
        return -min(member.memory.get("loss", self.gamma), self.gamma)

    def intra_class_loss(
        self, member: Member, batch: Batch, triplets: Triplets, embeddings: Tensor
    ) -> Tensor:
        """mean [d(a, a') - d(a, p)]_+, with clean a and p."""
        clean = torch.cat([batch.images[triplets.anchor], batch.images[triplets.positive]])
        anchor, positive = member.embed(clean).chunk(2)
        moved = embeddings[: len(anchor)]
        return (distance(anchor, moved) - distance(anchor, positive)).clamp(min=0).mean()
