"""An ensemble in the manner of AutoAttack (Croce and Hein 2020, arXiv 2003.01690, section 5)."""

from __future__ import annotations

import torch

from gauntlet.attacks.classifiers.apgd import AutoPgd
from gauntlet.attacks.classifiers.base import Attack, margin, untargeted_only
from gauntlet.attacks.classifiers.square import Square
from gauntlet.core.registry import register


@register("classifier_attack", "auto")
class Auto(Attack):
    """Auto-PGD on the cross-entropy, Auto-PGD on the ratio of logits towards the likeliest other classes, and
    Square, each on the images that withstood the ones before.

    The published ensemble has FAB too; its authors find that it adds little to the targeted Auto-PGD.

    Args:
        eps: L-inf radius, pixel range 1.
        steps: of each Auto-PGD.
        targets: other classes to aim at, likeliest first.
        queries: of Square.
    """

    def __init__(self, eps: float, steps: int = 100, targets: int = 9, queries: int = 5000):
        self.eps, self.steps, self.targets, self.queries = eps, steps, targets, queries

    def __call__(self, logits, x, labels, *, targeted=False, generator):
        untargeted_only("auto", targeted)
        adversarial = x.clone()
        with torch.no_grad():
            outputs = logits(x)
        others = outputs.scatter(1, labels[:, None], float("-inf")).argsort(1, descending=True)
        few = outputs.shape[1] < 4
        towards = AutoPgd(self.eps, self.steps, loss="ce" if few else "dlr")
        runs = [(AutoPgd(self.eps, self.steps), None)]
        runs += [(towards, i) for i in range(min(self.targets, outputs.shape[1] - 1))]
        runs += [(Square(self.eps, self.queries), None)]
        left = margin(outputs, labels) <= 0
        for attack, rank in runs:
            rows = left.nonzero()[:, 0]
            if not len(rows):
                break
            goals = labels[rows] if rank is None else others[rows, rank]
            found = attack(logits, x[rows], goals, targeted=rank is not None, generator=generator)
            adversarial[rows] = found
            with torch.no_grad():
                left[rows] = margin(logits(found), labels[rows]) <= 0
        return adversarial
