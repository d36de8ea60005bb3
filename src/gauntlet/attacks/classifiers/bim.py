"""Basic iterative method (Kurakin et al. 2017, arXiv 1607.02533, section 2.2)."""

from __future__ import annotations

from gauntlet.attacks.classifiers.base import Attack, cross_entropy
from gauntlet.attacks.pgd import ascend
from gauntlet.core.registry import register


@register("classifier_attack", "bim")
class Bim(Attack):
    """Steps of ``step sign(grad CE)`` from ``x`` itself, within eps of it and [0, 1].

    Args:
        eps: L-inf radius, pixel range 1.
        step: of one iteration.
        steps: iterations.
    """

    def __init__(self, eps: float, step: float, steps: int):
        self.eps, self.step, self.steps = eps, step, steps

    def __call__(self, logits, x, labels, *, targeted=False, generator):
        objective = cross_entropy(logits, labels, targeted)
        return ascend(objective, x, [x], eps=self.eps, step=self.step, steps=self.steps, choose=False)
