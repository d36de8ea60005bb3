"""The target's confidence (Song and Mittal 2021, arXiv 2003.10595; Salem et al. 2019, arXiv
1806.01246, adversary 3)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gauntlet.core.registry import register
from gauntlet.membership.posteriors import log_p, of_label
from gauntlet.membership.threshold import Threshold


@register("membership", "confidence")
class Confidence(Threshold):
    """The probability of one class: members have a large one.

    Args:
        of: ``label``: of the true class, which ranks candidates as their loss does; ``largest``: of the
            predicted class, for an adversary without labels.
        per_class: see ``Threshold``.
    """

    def __init__(self, of: Literal["label", "largest"] = "label", per_class: bool = False):
        super().__init__(per_class)
        self.of = of

    def statistic(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        p = np.exp(log_p(logits))
        return p.max(axis=-1) if self.of == "largest" else of_label(p, labels)
