"""Momentum iterative method (Dong et al. 2018, arXiv 1710.06081, algorithm 1)."""

from __future__ import annotations

from gauntlet.attacks.classifiers.base import Attack, cross_entropy
from gauntlet.attacks.pgd import ascend
from gauntlet.core.registry import register


@register("classifier_attack", "mim")
class Mim(Attack):
    """Steps along the sign of ``g <- momentum g + grad / ||grad||_1``, from ``x`` itself.

    Args:
        eps: L-inf radius, pixel range 1.
        step: of one iteration; the paper has eps / steps.
        steps: iterations.
        momentum: the paper's mu.
    """

    def __init__(self, eps: float, step: float, steps: int, momentum: float = 1.0):
        self.eps, self.step, self.steps, self.momentum = eps, step, steps, momentum

    def __call__(self, logits, x, labels, *, targeted=False, generator):
        return ascend(
            cross_entropy(logits, labels, targeted),
            x,
            [x],
            eps=self.eps,
            step=self.step,
            steps=self.steps,
            choose=False,
            momentum=self.momentum,
        )
