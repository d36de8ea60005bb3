"""Shadow models and an attack classifier (Shokri et al. 2017, arXiv 1610.05820)."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.membership.base import Evidence, Membership
from gauntlet.membership.posteriors import log_p


@register("membership", "shadow")
class Shadow(Membership):
    """Per class a logistic regression from sorted posteriors to membership, learned on the shadow models'
    answers about the candidates of that class; its log-odds are the score.

    Args:
        top: how many of the largest posteriors it sees (3 in Salem et al. 2019); all of them when None.
        per_class: False learns one classifier for all classes.

    Raises:
        GauntletError: a class without members, or with nothing but members, among the shadow models.
    """

    needs = ("logits", "shadows")

    def __init__(self, top: int | None = None, per_class: bool = True):
        self.top, self.per_class = top, per_class

    def _scores(self, evidence: Evidence) -> np.ndarray:
        labels = evidence.labels if self.per_class else np.zeros_like(evidence.labels)
        target, shadows = self._features(evidence.plain), self._features(evidence.shadow_plain)
        found = np.empty(len(labels))
        for label in np.unique(labels):
            own = labels == label
            truth = evidence.shadows.inside[:, own].ravel()
            if truth.all() or not truth.any():
                raise GauntletError(
                    f"class {label}: the shadow models have seen all or none of its candidates",
                    key="evaluate.attacks",
                    remedy="set per_class: false, or train them on random halves",
                )
            classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            classifier.fit(shadows[:, own].reshape(len(truth), -1), truth)
            found[own] = classifier.decision_function(target[own])
        return found

    def _features(self, logits: np.ndarray) -> np.ndarray:
        """Posteriors by falling value."""
        return -np.sort(-np.exp(log_p(logits)), axis=-1)[..., : self.top]
