"""Projected gradient descent with random starts (Madry et al. 2018, arXiv 1706.06083, section 2.1)."""

from __future__ import annotations

from gauntlet.attacks.classifiers.base import Attack, cross_entropy
from gauntlet.attacks.pgd import pgd
from gauntlet.core.registry import register


@register("classifier_attack", "pgd")
class Pgd(Attack):
    """The package's PGD on the cross-entropy; the best of the restarts, image by image.

    Args:
        eps: L-inf radius, pixel range 1.
        step: of one iteration.
        steps: iterations.
        restarts: random starts.
        start_eps: radius of the random start; eps when absent.
    """

    def __init__(
        self, eps: float, step: float, steps: int, restarts: int = 1, start_eps: float | None = None
    ):
        self.eps, self.step, self.steps = eps, step, steps
        self.restarts, self.start_eps = restarts, start_eps

    def __call__(self, logits, x, labels, *, targeted=False, generator):
        return pgd(
            cross_entropy(logits, labels, targeted),
            x,
            eps=self.eps,
            step=self.step,
            steps=self.steps,
            generator=generator,
            restarts=self.restarts,
            start_eps=self.start_eps,
        )
