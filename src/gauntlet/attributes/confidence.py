"""The value of the attribute that makes the model surest (Fredrikson et al. 2014, model inversion)."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax

from gauntlet.attributes.base import AttributeInference, Evidence
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register


@register("attribute_inference", "confidence")
class Confidence(AttributeInference):
    """``log p(y | x with value a) + log P(a)``: the adversary knows the rest of x and its label, tries every
    value of the attribute and keeps the one that agrees best with the label.

    Args:
        prior: weigh by the shares P(a) of the values among the auxiliary rows; False takes them as equal.
    """

    needs = ("answers",)

    def __init__(self, prior: bool = True):
        self.prior = prior
        self.needs = (*self.needs, *["attributes"] * prior)

    def _scores(self, evidence: Evidence) -> np.ndarray:
        labels, answers = evidence.targets.labels, np.asarray(evidence.answers, dtype=np.float64)
        if labels is None or answers.ndim != 3 or answers.shape[1] != len(labels):
            raise GauntletError(
                f"expected the targets' labels and answers (A, n, K), got {answers.shape}",
                key="evaluate.attacks",
            )
        found = log_softmax(answers, axis=2)[:, np.arange(len(labels)), labels].T
        if not self.prior:
            return found
        counts = np.bincount(evidence.attributes, minlength=len(answers)).astype(np.float64)
        if len(counts) != len(answers) or not counts.all():
            raise GauntletError(
                "the auxiliary rows lack a value of the attribute, or have one that was not asked about",
                key="evaluate.attacks",
                remedy="set prior: false",
            )
        return found + np.log(counts / counts.sum())
