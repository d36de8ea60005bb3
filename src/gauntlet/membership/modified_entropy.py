"""Entropy that knows the label (Song and Mittal 2021, arXiv 2003.10595)."""

from __future__ import annotations

import numpy as np

from gauntlet.core.registry import register
from gauntlet.membership.posteriors import log_p, log_rest, of_label
from gauntlet.membership.threshold import Threshold


@register("membership", "modified_entropy")
class ModifiedEntropy(Threshold):
    """``(1 - p_y) log p_y + sum_{k != y} p_k log(1 - p_k)``, at most 0: members are near 0.

    Unlike the entropy it is far from 0 for a confident answer that is wrong.
    """

    def statistic(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        log, rest = log_p(logits), log_rest(logits)
        terms = np.exp(log) * rest
        own = of_label(terms, labels)
        return np.exp(of_label(rest, labels)) * of_label(log, labels) + terms.sum(axis=-1) - own
