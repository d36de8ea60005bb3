"""Adversarial training (Madry et al. 2018, arXiv 1706.06083, equation 2.1)."""

from __future__ import annotations

import torch.nn.functional as F

from gauntlet.core.registry import register
from gauntlet.defenses.classifiers.base import Adversarial


@register("classifier_defense", "pgd_at")
class PgdTraining(Adversarial):
    """Minimise CE(f(x'), y), where x' maximises it over the eps-ball around x.

    Args:
        eps: L-inf radius, pixel range 1.
        step: of the attack.
        steps: of the attack.
    """

    def loss(self, model, images, labels):
        return F.cross_entropy(model.logits(self.attack_labels(model, images, labels)), labels)
