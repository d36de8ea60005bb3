"""Projected gradient ascent (Madry et al. 2018, arXiv 1706.06083, section 2.1)."""

from __future__ import annotations

from gauntlet.attacks.pgd import ascend
from gauntlet.attacks.searches.base import Search
from gauntlet.core.registry import register


@register("search", "pgd")
class Pgd(Search):
    """The package's PGD: steps of fixed size, the last iterate; the best of several restarts."""

    stateless = True

    def __call__(self, objective, x, starts, budget, generator):
        return ascend(
            objective,
            x,
            starts,
            eps=budget.eps,
            step=budget.step,
            steps=budget.steps,
            choose=len(starts) > 1,
            norm=budget.norm,
        )

    def passes(self, steps, restarts):
        choice = 0.5 if restarts > 1 else 0
        return (steps + choice) * restarts
