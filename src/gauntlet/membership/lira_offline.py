"""The likelihood ratio attack with shadow models that never saw the candidates (Carlini et al. 2022, arXiv
2112.03570)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gauntlet.core.registry import register
from gauntlet.membership.base import Evidence, Membership
from gauntlet.membership.gaussians import fit
from gauntlet.membership.posteriors import scaled


@register("membership", "lira_offline")
class LiraOffline(Membership):
    """``(phi - mean_out) / std_out``, phi the logit-scaled confidence of the label; over the shadow models
    without the candidate. Of several queries the mean.

    Its normal distribution function is the paper's one-sided test ``1 - Pr[N(mean_out, var_out) > phi]``
    which would be 1 to the last digit, and so a tie, for the surest members.

    Args:
        variance: see ``gaussians.fit``.
    """

    needs = ("logits", "shadows")

    def __init__(self, variance: Literal["auto", "global", "each"] = "auto"):
        self.variance = variance

    def _scores(self, evidence: Evidence) -> np.ndarray:
        shadows = scaled(evidence.shadow_queries, evidence.labels)
        mean, deviation = fit(shadows, ~evidence.shadows.inside, self.variance)
        return ((scaled(evidence.queries, evidence.labels) - mean) / deviation).mean(axis=0)
