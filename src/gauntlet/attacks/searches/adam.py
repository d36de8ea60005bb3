"""Adam on the pixels (Kingma and Ba 2015, arXiv 1412.6980), projected to the ball after every step."""

from __future__ import annotations

import torch

from gauntlet.attacks.best import Best, refuse_nan
from gauntlet.attacks.norms import ball
from gauntlet.attacks.searches.base import Search
from gauntlet.core.registry import register
from gauntlet.models.optimizers import Adam


@register("search", "adam")
class AdamSearch(Search):
    """Unlike PGD's, its steps fall where the gradient changes sign, so that it settles; the best iterate.

    ``step`` is Adam's rate. For L-inf only: Adam scales each pixel by itself, and so climbs a linear function
    along its signs, which in an L2 ball is the wrong way.
    """

    norms = ("linf",)

    def __call__(self, objective, x, starts, budget, generator):
        inside, best = ball(budget.norm)(x, budget.eps), Best()
        watch = torch.zeros((), device=x.device)
        for start in starts:
            images = inside.project(start)
            adam = Adam([([images], budget.step)])
            for _ in range(budget.steps):
                with torch.enable_grad():
                    point = images.detach().requires_grad_()
                    score = objective(point)
                    (gradient,) = torch.autograd.grad(score.sum(), point)
                watch += score.detach().sum() + gradient.sum()
                best.offer(images.clone(), score.detach())
                adam.step([-gradient])
                images.copy_(inside.project(images))
            with torch.no_grad():
                best.offer(images, objective(images))
        refuse_nan(watch + best.score.sum())
        return best.images

    def passes(self, steps, restarts):
        return (steps + 0.5) * restarts
