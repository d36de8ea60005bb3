"""Adversarial fine-tuning of VisualPhishNet (Abdelnabi et al., CCS 2020, arXiv 1909.00300)."""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.attacks.pgd import ascend
from gauntlet.core.registry import register
from gauntlet.defenses.embeddings.base import Batch, Member, evaluating
from gauntlet.defenses.embeddings.roles import Roles, distance
from gauntlet.losses.base import Triplets


@register("defense", "anchor_fgsm")
class AnchorFgsm(Roles):
    """After a share of natural training, minimise (L(a, p, n) + L(a', p, n)) / 2 over triplets.

    a' = a + e sign(grad_a [d(a, p) - d(a, n) + m]_+), one step from the clean anchor, with e ~ U(low, 1) eps
    drawn for every batch, and a margin m so large that the gradient never vanishes.

    Args:
        natural: share of the training without perturbation, in [0, 1).
        low: smallest e, as a share of eps (the paper: 0.003 of 0.01).
        margin: m; distances of unit vectors are at most 2, so that 2 or more clips nothing.
    """

    def __init__(self, natural: float = 0.5, low: float = 0.3, margin: float = 30.0):
        self.natural, self.low, self.margin = natural, low, margin

    def triplet_loss(self, member: Member, batch: Batch, clean: Tensor, triplets: Triplets) -> Tensor:
        natural = self.metric_loss(member, batch.images, batch.labels, triplets)
        if batch.progress < self.natural:
            return natural
        share = float(torch.rand((), generator=member.generator))
        eps = self.setting.eps * (self.low + (1 - self.low) * share)
        anchors = self.perturb(member, batch.images[triplets.anchor], clean, triplets, eps)
        copies = Triplets(anchors, batch.images[triplets.positive], batch.images[triplets.negative])
        return (natural + self.copies_loss(member, batch, triplets, copies)) / 2

    def perturb(
        self, member: Member, anchors: Tensor, clean: Tensor, triplets: Triplets, eps: float
    ) -> Tensor:
        """Anchors (t, C, H, W) after one step of size ``eps``."""
        positive, negative = clean[triplets.positive], clean[triplets.negative]

        def objective(images: Tensor) -> Tensor:
            e = member.embed(images)
            return (distance(e, positive) - distance(e, negative) + self.margin).clamp(min=0)

        with evaluating([member]):
            return ascend(objective, anchors, [anchors], eps=eps, step=eps, steps=1, choose=False)
