"""The likelihood ratio attack with shadow models that know the candidates (Carlini et al. 2022, arXiv
2112.03570, algorithm 1)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gauntlet.core.registry import register
from gauntlet.membership.base import Evidence, Membership
from gauntlet.membership.gaussians import fit, log_density
from gauntlet.membership.posteriors import scaled


@register("membership", "lira_online")
class LiraOnline(Membership):
    """``log N(phi; mean_in, var_in) - log N(phi; mean_out, var_out)``, phi the logit-scaled confidence of the
    label; normal distributions over the shadow models with and without the candidate. Of several queries the
    mean, which ranks as the product of their likelihood ratios.

    Args:
        variance: see ``gaussians.fit``. A global one is over all candidates' distances to their own means.
    """

    needs = ("logits", "shadows")

    def __init__(self, variance: Literal["auto", "global", "each"] = "auto"):
        self.variance = variance

    def _scores(self, evidence: Evidence) -> np.ndarray:
        phi = scaled(evidence.queries, evidence.labels)
        shadows, inside = scaled(evidence.shadow_queries, evidence.labels), evidence.shadows.inside
        known = log_density(phi, *fit(shadows, inside, self.variance))
        unknown = log_density(phi, *fit(shadows, ~inside, self.variance))
        return (known - unknown).mean(axis=0)
