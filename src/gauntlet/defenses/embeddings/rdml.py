"""Robust deep metric learning, RDML (Panum et al. 2021, arXiv 2102.07265; steps as in its released code)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.embeddings.base import Batch, Member
from gauntlet.defenses.embeddings.roles import Roles, distance
from gauntlet.losses.base import Triplets


@register("defense", "rdml")
class RobustMetricLearning(Roles):
    """Minimise L over triplets (a, p, n) of clean images in which one role is played by a perturbed copy.

    With e the clean embeddings, without gradient, the copy maximises

        positive   d(f(p'), e_a)
        negative   -d(f(n'), e_a)
        anchor     d(f(a'), e_p) - d(f(a'), e_n)

    The triplets are mined before anything is perturbed, and the other two roles stay clean: the loss
    couples the images of a batch, and an adversary of all of them at once is one that no deployment has.

    Args:
        role: which one is perturbed.
        attack_rate: probability that a triplet is attacked.
    """

    def __init__(
        self, role: Literal["positive", "negative", "anchor"] = "positive", attack_rate: float = 1.0
    ):
        self.role, self.attack_rate = role, attack_rate

    def triplet_loss(self, member: Member, batch: Batch, clean: Tensor, triplets: Triplets) -> Tensor:
        drawn = torch.rand(len(triplets.anchor), generator=member.generator) < self.attack_rate
        hit = drawn.nonzero()[:, 0].to(batch.labels.device)
        if len(hit) == 0:
            return self.metric_loss(member, batch.images, batch.labels, triplets)
        rows = getattr(triplets, self.role)[hit]
        copies = self.perturb(member, batch.images[rows], clean, Triplets(*(of[hit] for of in triplets)))
        played = getattr(triplets, self.role).clone()
        played[hit] = len(batch.labels) + torch.arange(len(hit), device=hit.device)
        return self.metric_loss(
            member,
            torch.cat([batch.images, copies]),
            torch.cat([batch.labels, batch.labels[rows]]),
            triplets._replace(**{self.role: played}),
        )

    def perturb(self, member: Member, images: Tensor, clean: Tensor, triplets: Triplets) -> Tensor:
        """Perturbed copies of ``images`` (t, C, H, W), which play the role in ``triplets``.

        ``clean`` (b, d) are the embeddings that the triplets point at.
        """
        anchor, positive, negative = (clean[rows] for rows in triplets)
        objectives = {
            "positive": lambda e: distance(e, anchor),
            "negative": lambda e: -distance(e, anchor),
            "anchor": lambda e: distance(e, positive) - distance(e, negative),
        }
        objective = objectives[self.role]
        return self.attack(lambda x: objective(member.embed(x)), images, [member], member.generator)
