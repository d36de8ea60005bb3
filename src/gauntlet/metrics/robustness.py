"""RobRank's empirical robustness score: one number for ten attacks on retrieval.

Zhou and Patel 2021 (arXiv 2106.03614). The normalisation is reconstructed: it reproduces the published rows
of Zhou and Patel 2022 (CVPR, arXiv 2203.01439).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from gauntlet.core.errors import GauntletError

#: Component, in the units of the published tables -> its score, 0 broken and 100 intact.
NORMALISED: dict[str, Callable[[float], float]] = {
    "ca_plus": lambda rank: 2 * rank,  # a candidate drawn at random ranks at 50% before the attack
    "ca_minus": lambda rank: 100 - rank,
    "qa_plus": lambda rank: 2 * rank,
    "qa_minus": lambda rank: 100 - rank,
    "tma": lambda cosine: 100 * (1 - cosine),
    "es_d": lambda distance: 100 * (1 - distance / 2),
    "es_r": lambda recall: recall,
    "ltm": lambda recall: recall,
    "gtm": lambda recall: recall,
    "gtt": lambda retained: retained,
}


def robustness_score(components: Mapping[str, float]) -> float:
    """The mean of the ten normalised components; about 0 where every attack succeeds, higher is better.

    Args:
        components: ``ca_plus``, ``ca_minus``, ``qa_plus``, ``qa_minus`` mean ranks of the attacked candidates
            in percent (0 the top); ``tma`` mean cosine, in [-1, 1]; ``es_d`` mean shift of the embedding, in
            [0, 2]; ``es_r``, ``ltm``, ``gtm`` recall@1 in percent under these attacks; ``gtt`` percent of
            queries that keep their first image.

    Raises:
        GauntletError: a component is missing, unknown, or not finite.
    """
    if wrong := sorted(set(NORMALISED) ^ set(components)):
        raise GauntletError(
            f"the score is over ten attacks; missing or unknown: {', '.join(wrong)}",
            remedy=f"give {', '.join(NORMALISED)}",
        )
    if bad := [name for name, value in components.items() if not math.isfinite(value)]:
        raise GauntletError(f"not finite: {', '.join(bad)}", remedy="check the attack that it comes from")
    return sum(score(components[name]) for name, score in NORMALISED.items()) / len(NORMALISED)
