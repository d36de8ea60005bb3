"""The power note: the smallest true effect that seeds as noisy as these would have shown."""

from __future__ import annotations

from functools import cache

from gauntlet.report.claims.statistics import ALPHA, TINY, Interval

POWER = 0.8


def detectable(interval: Interval, side: str, margin: float) -> float | None:
    """The true effect that this many seeds, with the observed standard deviation of the (paired) effects,
    would show to be on the claim's side of the margin in 80% of runs; of a tie the margin that no effect at
    all would meet. None where there is no spread to go by.
    """
    from scipy.special import stdtrit

    if interval.half_width is None or interval.half_width <= TINY:
        return None
    error = interval.half_width / float(stdtrit(interval.n - 1, 1 - ALPHA))
    if side == "within":
        return error * _tie(interval.n)
    distance = error * _distance(interval.n)
    return margin + distance if side == "above" else margin - distance


@cache
def _distance(n: int) -> float:
    """Noncentrality at which the one-sided t test of n values has the power, in standard errors."""
    from scipy.special import nctdtrinc, stdtrit

    return float(nctdtrinc(n - 1, 1 - POWER, stdtrit(n - 1, 1 - ALPHA)))


@cache
def _tie(n: int) -> float:
    """Margin, in standard errors, at which TOST of n values has the power when there is no effect.

    With u the ratio of the estimated to the true standard error, both tests pass with probability
    ``2 Phi(c - t u) - 1`` (if positive); the power is its mean over u, here over a fine grid of quantiles.
    """
    import numpy as np
    from scipy import optimize, special

    t = special.stdtrit(n - 1, 1 - ALPHA)
    shares = (np.arange(10_000) + 0.5) / 10_000
    u = np.sqrt(special.chdtri(n - 1, shares) / (n - 1))

    def lacking(c: float) -> float:
        return np.mean(np.maximum(2 * special.ndtr(c - t * u) - 1, 0)) - POWER

    return float(optimize.brentq(lacking, 0, 4 * (t + 1)))
