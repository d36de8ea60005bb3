"""MART: adversarial training that weighs misclassified images (Wang et al. 2020, ICLR, equation 11)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.classifiers.base import Adversarial, divergence


@register("classifier_defense", "mart")
class Mart(Adversarial):
    """Minimise BCE(p(x'), y) + weight mean KL(p(x) || p(x')) (1 - p_y(x)).

    BCE(p, y) = -log p_y - log(1 - max_{k != y} p_k); x' maximises the cross-entropy over the eps-ball.

    Args:
        eps: L-inf radius, pixel range 1.
        step: of the attack.
        steps: of the attack.
        weight: the paper's lambda, 5.
    """

    def __init__(self, eps: float, step: float, steps: int, weight: float = 5.0):
        super().__init__(eps, step, steps)
        self.weight = weight

    def loss(self, model, images, labels):
        adversarial = self.attack_labels(model, images, labels)
        clean = F.log_softmax(model.logits(images), dim=1)
        attacked = F.log_softmax(model.logits(adversarial), dim=1)
        own = clean.gather(1, labels[:, None])[:, 0].exp()
        apart = (divergence(clean, attacked) * (1 - own)).mean()
        return boosted(attacked, labels).mean() + self.weight * apart


def boosted(log_p: Tensor, labels: Tensor) -> Tensor:
    """(b,) cross-entropy with a margin: also pushes down the likeliest other class."""
    other = log_p.scatter(1, labels[:, None], float("-inf")).amax(dim=1)
    return -log_p.gather(1, labels[:, None])[:, 0] - (1 - other.exp()).clamp(min=1e-12).log()
