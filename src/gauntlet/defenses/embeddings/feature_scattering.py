"""Feature scattering (Zhang and Wang, NeurIPS 2019, arXiv 1907.10764), with a metric loss."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.embeddings.base import Batch, Defense, Member


@register("defense", "feature_scattering")
class FeatureScattering(Defense):
    """Minimise L(f(x'), y), where the batch x' maximises its optimal-transport distance from the clean batch.

    The cost of moving one embedding to another is 1 - cosine; every image has the same mass, so that the
    cheapest transport is an assignment, found exactly (the paper regularises and iterates). Labels take no
    part in the attack.
    """

    def loss(self, member: Member, batch: Batch) -> Tensor:
        clean = self.embed_clean(member, batch.images)
        adversarial = self.attack(
            lambda images: transport(clean, member.embed(images)), batch.images, [member], member.generator
        )
        return self.metric_loss(member, adversarial, batch.labels)


def transport(clean: Tensor, moved: Tensor) -> Tensor:
    """Optimal-transport distance of two batches (b, d) of unit vectors, in [0, 2]: a scalar.

    Its gradient is that of the cost under the optimal plan, which is right almost everywhere (envelope
    theorem).
    """
    cost = 1 - clean @ moved.T
    rows, columns = linear_sum_assignment(cost.detach().double().cpu().numpy())
    at = torch.from_numpy(rows).to(cost.device), torch.from_numpy(columns).to(cost.device)
    return cost[at].mean()
