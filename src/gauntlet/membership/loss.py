"""The loss of the target (Yeom et al. 2018, arXiv 1709.01604)."""

from __future__ import annotations

import numpy as np

from gauntlet.core.registry import register
from gauntlet.membership.posteriors import log_p, of_label
from gauntlet.membership.threshold import Threshold


@register("membership", "loss")
class Loss(Threshold):
    """``log p_y``: members have a small cross-entropy."""

    def statistic(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return of_label(log_p(logits), labels)
