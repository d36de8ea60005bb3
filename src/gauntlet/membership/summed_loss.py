"""Losses over the rounds of a federation, for an adversary who sees every released model."""

from __future__ import annotations

import numpy as np

from gauntlet.core.registry import register
from gauntlet.membership.base import Evidence, Membership
from gauntlet.membership.posteriors import log_p, of_label


@register("membership", "summed_loss")
class SummedLoss(Membership):
    """``sum_t log p_y(x; w_t)`` over the models w_t that were released: what was trained on is learned sooner
    and better."""

    needs = ("history",)

    def _scores(self, evidence: Evidence) -> np.ndarray:
        return of_label(log_p(evidence.history), evidence.labels).sum(axis=0)
