"""Fast gradient sign method (Goodfellow et al. 2015, arXiv 1412.6572, section 4)."""

from __future__ import annotations

from gauntlet.attacks.classifiers.base import Attack, cross_entropy
from gauntlet.attacks.pgd import ascend
from gauntlet.core.registry import register


@register("classifier_attack", "fgsm")
class Fgsm(Attack):
    """``x + eps sign(grad CE)``, cut to [0, 1]; the gradient is taken at ``x`` itself.

    Args:
        eps: L-inf radius, pixel range 1.
    """

    def __init__(self, eps: float):
        self.eps = eps

    def __call__(self, logits, x, labels, *, targeted=False, generator):
        objective = cross_entropy(logits, labels, targeted)
        return ascend(objective, x, [x], eps=self.eps, step=self.eps, steps=1, choose=False)
