"""TRADES (Zhang et al. 2019, arXiv 1901.08573, equation 5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from gauntlet.core.registry import register
from gauntlet.defenses.classifiers.base import Adversarial, divergence


@register("classifier_defense", "trades")
class Trades(Adversarial):
    """Minimise CE(f(x), y) + beta mean KL(p(x) || p(x')); x' maximises the KL term over the eps-ball.

    Args:
        eps: L-inf radius, pixel range 1.
        step: of the attack.
        steps: of the attack.
        beta: the paper's 1 / lambda; its reference code has 6.
    """

    def __init__(self, eps: float, step: float, steps: int, beta: float = 6.0):
        super().__init__(eps, step, steps)
        self.beta = beta

    def loss(self, model, images, labels):
        model.net.eval()
        with torch.no_grad():
            fixed = F.log_softmax(model.logits(images), dim=1)
        adversarial = self.attack(
            model, lambda x: divergence(fixed, F.log_softmax(model.logits(x), dim=1)), images
        )
        clean = model.logits(images)
        apart = divergence(
            F.log_softmax(clean, dim=1), F.log_softmax(model.logits(adversarial), dim=1)
        ).mean()
        return F.cross_entropy(clean, labels) + self.beta * apart
