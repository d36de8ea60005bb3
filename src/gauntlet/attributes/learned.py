"""Attacks that learn the attribute from auxiliary rows."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gauntlet.attributes.base import AttributeInference, Evidence, Rows
from gauntlet.core.errors import GauntletError


class Learned(AttributeInference):
    """Base: a classifier from what is known of a row to its attribute; probabilities are the scores.

    Labels and public features are always among what is known: an attack that ignores them could fall behind
    imputation, and a leak would be missed.
    """

    #: Whether it reads what leaked.
    leaked = True

    def classifier(self, seed: int) -> ClassifierMixin:
        """A scikit-learn classifier with probabilities."""
        raise NotImplementedError

    def _scores(self, evidence: Evidence) -> np.ndarray:
        known, sought = _columns(evidence.auxiliary, evidence.targets, self.leaked)
        model = make_pipeline(StandardScaler(), self.classifier(evidence.seed))
        model.fit(known, evidence.attributes)
        found = np.zeros((len(sought), int(evidence.attributes.max()) + 1))
        found[:, model.classes_] = model.predict_proba(sought)
        return found


def _columns(auxiliary: Rows, targets: Rows, leaked: bool) -> tuple[np.ndarray, np.ndarray]:
    """(m, d) and (n, d): labels one-hot, public features, and what leaked.

    Raises:
        GauntletError: one of the two has what the other lacks, or nothing at all is known.
    """
    known, sought = [], []
    for name in ("labels", "public", *["features"] * leaked):
        a, b = getattr(auxiliary, name), getattr(targets, name)
        if (a is None) != (b is None) or (a is None and name == "features"):
            raise GauntletError(
                f"{name} of the auxiliary rows and of the targets are needed", key="evaluate.attacks"
            )
        if a is None:
            continue
        if name == "labels":
            classes = np.union1d(a, b)
            a, b = (np.asarray(rows)[:, None] == classes for rows in (a, b))
        known.append(np.asarray(a, dtype=np.float64))
        sought.append(np.asarray(b, dtype=np.float64))
    if not known:
        raise GauntletError("nothing is known of the rows", remedy="give their labels")
    return np.concatenate(known, axis=1), np.concatenate(sought, axis=1)
