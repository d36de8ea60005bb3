"""The gap attack (Yeom et al. 2018, arXiv 1709.01604): what is classified right is a member."""

from __future__ import annotations

import numpy as np

from gauntlet.core.registry import register
from gauntlet.membership.threshold import Threshold


@register("membership", "gap")
class Gap(Threshold):
    """1 where the prediction is the label, else 0.

    Its balanced accuracy is 1/2 and half the difference of the accuracies on members and on others.
    """

    def statistic(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return (np.asarray(logits).argmax(axis=-1) == labels).astype(np.float64)
