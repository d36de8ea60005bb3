"""The entropy of the target's answer (Song and Mittal 2021, arXiv 2003.10595)."""

from __future__ import annotations

import numpy as np

from gauntlet.core.registry import register
from gauntlet.membership.posteriors import log_p
from gauntlet.membership.threshold import Threshold


@register("membership", "entropy")
class Entropy(Threshold):
    """``sum_k p_k log p_k``, in [-log K, 0]: members have a small entropy, whatever their class."""

    def statistic(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        log = log_p(logits)
        return (np.exp(log) * log).sum(axis=-1)
