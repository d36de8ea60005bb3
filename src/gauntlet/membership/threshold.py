"""Attacks that compare one number per candidate with a threshold."""

from __future__ import annotations

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.membership.base import Evidence, Membership
from gauntlet.metrics.membership import best_threshold


class Threshold(Membership):
    """Base of threshold attacks: the number itself is the score.

    Args:
        per_class: subtract the threshold of the candidate's class, which is the best one on shadow models
            (Song and Mittal 2021), so that 0 is the threshold of every class.
    """

    def __init__(self, per_class: bool = False):
        self.per_class = per_class
        self.needs = (*self.needs, "shadows") if per_class else self.needs

    def statistic(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(..., n, K) logits and (n,) classes -> (..., n), the higher, the more likely a member."""
        raise NotImplementedError

    def of_target(self, evidence: Evidence) -> np.ndarray:
        """(n,) the number for the target."""
        return self.statistic(evidence.plain, evidence.labels)

    def of_shadows(self, evidence: Evidence) -> np.ndarray:
        """(m, n) the number for every shadow model."""
        return self.statistic(evidence.shadow_plain, evidence.labels)

    def _scores(self, evidence: Evidence) -> np.ndarray:
        values = self.of_target(evidence)
        if not self.per_class:
            return values
        return values - class_thresholds(self.of_shadows(evidence), evidence.shadows.inside, evidence.labels)


def class_thresholds(values: np.ndarray, inside: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n,) per candidate the best threshold of its class, on (m, n) values with the truth (m, n).

    Raises:
        GauntletError: a class has no members, or nothing but members, among the shadow models.
    """
    found = np.empty(len(labels))
    for label in np.unique(labels):
        own = labels == label
        try:
            found[own] = best_threshold(values[:, own].ravel(), inside[:, own].ravel())
        except GauntletError as error:
            raise GauntletError(
                f"no threshold for class {label}: {error.problem}",
                key="evaluate.attacks",
                remedy="set per_class: false, or train shadow models with and without its examples",
            ) from error
    return found
