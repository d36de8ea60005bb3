"""Random search with squares (Andriushchenko et al. 2020, arXiv 1912.00049): scores only, no gradients."""

from __future__ import annotations

from gauntlet.attacks.best import Best, refuse_nan
from gauntlet.attacks.random_search import squares, stripes
from gauntlet.attacks.searches.base import Search
from gauntlet.core.registry import register


@register("search", "square")
class Square(Search):
    """What an attacker reaches who cannot backpropagate; ``steps`` are queries per image.

    Args:
        area: share of the image that the first squares cover.
    """

    gradients = False
    norms = ("linf",)

    def __init__(self, area: float = 0.8):
        self.area = area

    def start(self, x, budget, generator):
        return stripes(x, budget.start_eps, generator)

    def __call__(self, objective, x, starts, budget, generator):
        best = Best()
        limits = {"eps": budget.eps, "queries": budget.steps, "area": self.area}
        for start in starts:
            best.offer(*squares(objective, x, start, generator=generator, **limits))
            refuse_nan(best.score.sum())
        return best.images

    def passes(self, steps, restarts):
        return 0.5 * steps * restarts
