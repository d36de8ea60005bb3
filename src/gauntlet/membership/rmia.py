"""The robust attack (Zarifzadeh et al. 2024, arXiv 2312.03262)."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import logsumexp

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.membership.base import Evidence, Membership
from gauntlet.membership.posteriors import log_p, of_label


@register("membership", "rmia")
class Rmia(Membership):
    """The share of the population z with ``LR(x, z) >= gamma``, ``LR = (p(x|f) / p(x)) / (p(z|f) / p(z))``,
    p(x|f) the target's probability of the label.

    ``p(x) = (P_in + P_out) / 2``, the mean over shadow models with and without x. Where none has x, for the
    population always, ``P_in = a P_out + 1 - a``.

    Args:
        gamma: above 0.
        a: in [0, 1]; 1 says that training changes nothing.
        offline: never use the shadow models that have trained on x.

    Raises:
        GauntletError: gamma or a is out of range, or all shadow models have trained on some candidate.
    """

    needs = ("logits", "shadows", "population")

    def __init__(self, gamma: float = 1.0, a: float = 0.3, offline: bool = False):
        if not gamma > 0:
            raise GauntletError(f"gamma must be above 0, not {gamma}", key="options.gamma")
        if not 0 <= a <= 1:
            raise GauntletError(f"a must be in [0, 1], not {a}", key="options.a")
        self.gamma, self.a, self.offline = gamma, a, offline

    def _scores(self, evidence: Evidence) -> np.ndarray:
        inside, z = evidence.shadows.inside, evidence.population
        if inside.all(axis=0).any():
            raise GauntletError(
                "every shadow model has trained on some candidate",
                key="evaluate.attacks",
                remedy="train them on random halves",
            )
        ratios = self._ratios(evidence.plain, evidence.shadow_plain, inside, evidence.labels)
        nobody = np.zeros((len(inside), len(z.labels)), dtype=bool)
        others = np.sort(self._ratios(z.logits, z.shadow_logits, nobody, z.labels))
        return np.searchsorted(others, ratios - math.log(self.gamma), side="right") / len(others)

    def _ratios(self, target, shadows, inside, labels) -> np.ndarray:
        """(n,) ``log(p(x|f) / p(x))`` of (n, K) and (m, n, K) logits."""
        log = of_label(log_p(shadows), labels)
        without = _log_mean(log, ~inside)
        with np.errstate(divide="ignore"):
            with_it = np.logaddexp(np.log(self.a) + without, np.log1p(-self.a))
        if not self.offline:
            with_it = np.where(inside.any(axis=0), _log_mean(log, inside), with_it)
        return of_label(log_p(target), labels) - (np.logaddexp(with_it, without) - math.log(2))


def _log_mean(log: np.ndarray, used: np.ndarray) -> np.ndarray:
    """(n,) log of the mean over the models of ``used`` (m, n) of probabilities, from their (m, n) logs; -inf
    where there are none."""
    total = logsumexp(np.where(used, log, -np.inf), axis=0)
    return total - np.log(np.maximum(used.sum(axis=0), 1))
