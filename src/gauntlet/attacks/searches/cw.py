"""The L-inf attack of Carlini and Wagner (2017, arXiv 1608.04644, section VI-C) at a fixed budget.

The released code of RDML (arXiv 2102.07265) adapts it to embeddings: Adam descends along the *sign* of the
gradient of ``-c objective + sum [|delta| - tau]_+`` from a random start, c doubles from 0.1 to 20, and
the result is cut to the ball. There tau starts at 1, where the penalty never acts, and c is not begun anew
when tau falls, so that no smaller tau is ever searched: here tau is the budget itself, and the penalty acts.
"""

from __future__ import annotations

import torch

from gauntlet.attacks.best import Best, refuse_nan
from gauntlet.attacks.norms import ball
from gauntlet.attacks.searches.base import Search
from gauntlet.core.registry import register
from gauntlet.models.optimizers import Adam


@register("search", "cw")
class CarliniWagner(Search):
    """Minimise ``-c J(x + d) + sum [|d| - eps]_+`` over d, for c = initial, 2 initial, ... below ``highest``.

    d goes on from one c to the next, with x + d in [0, 1]. After each c the images, cut to the ball, are
    evaluated, and the best are kept. ``step`` is Adam's rate (RDML: 8e-4) and ``steps`` are those of one c
    (RDML: 50).

    Args:
        initial: the first c.
        highest: c stays below.
    """

    norms = ("linf",)

    def __init__(self, initial: float = 0.1, highest: float = 20.0):
        self.weights = []
        while initial < highest:
            self.weights.append(initial)
            initial *= 2

    def __call__(self, objective, x, starts, budget, generator):
        inside, best = ball(budget.norm)(x, budget.eps), Best()
        watch = torch.zeros((), device=x.device)
        for start in starts:
            change = start - x
            adam = Adam([([change], budget.step)])
            with torch.no_grad():
                best.offer(inside.project(start), objective(inside.project(start)))
            for weight in self.weights:
                for _ in range(budget.steps):
                    gradient = self._gradient(objective, x, change, weight, budget.eps)
                    watch += gradient.sum()
                    adam.step([gradient.sign()])
                    # To [0, 1] here, not inside the objective: a pixel cut there has no gradient, ever.
                    change.copy_((x + change).clamp_(0, 1) - x)
                with torch.no_grad():
                    images = inside.project(x + change)
                    best.offer(images, objective(images))
        refuse_nan(watch + best.score.sum())
        return best.images

    @staticmethod
    def _gradient(objective, x, change, weight: float, eps: float):
        with torch.enable_grad():
            point = change.detach().requires_grad_()
            excess = (point.abs() - eps).clamp(min=0).sum()
            loss = excess - weight * objective(x + point).sum()
            return torch.autograd.grad(loss, point)[0]

    def passes(self, steps, restarts):
        return (len(self.weights) * (steps + 0.5) + 0.5) * restarts
