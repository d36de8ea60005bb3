"""RobRank's empirical robustness score of a trial, where its nine attacks are among the headline's."""

from __future__ import annotations

from collections.abc import Mapping

from gauntlet.families.dml.settings import Evaluate
from gauntlet.metrics.robustness import robustness_score

#: Component -> (objective of the attack that it comes from, its measure, factor to the published unit).
#: ``gtt``: RobRank's text asks whether the first image stays among the first four.
COMPONENTS = {
    "ca_plus": ("ca_plus", "rank", 100),
    "ca_minus": ("ca_minus", "rank", 100),
    "qa_plus": ("qa_plus", "rank", 100),
    "qa_minus": ("qa_minus", "rank", 100),
    "tma": ("tma", "cosine", 1),
    "es_d": ("shift", "shift", 1),
    "es_r": ("shift", "recall@1", 100),
    "ltm": ("triplet", "recall@1", 100),
    "gtm": ("gtm", "recall@1", 100),
    "gtt": ("gtt", "retained@4", 100),
}


def score(settings: Evaluate, measured: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """``ers`` in [0, 1] and the mean distance ``shift`` in [0, 2] that it needs; {} where an attack lacks.

    Args:
        measured: label -> {metric: value}: ``recall@1``, ``shift`` and the measures of the attack's own. Of
            several attacks with one objective, the first counts.
    """
    found: dict[str, Mapping[str, float]] = {}
    for label in settings.headline():
        found.setdefault(settings.attack(label).objective, measured[label])
    if not {objective for objective, _, _ in COMPONENTS.values()} <= set(found):
        return {}
    components = {name: factor * found[of][metric] for name, (of, metric, factor) in COMPONENTS.items()}
    return {"ers": robustness_score(components) / 100, "shift": components["es_d"]}
