"""Query attack, up (QA+): perturb a query so that a candidate drawn at random tops its list.

Zhou et al. 2020 (arXiv 2002.11293, section 3), with the pairs of RobRank: the other image is drawn
uniformly from all others.
"""

from __future__ import annotations

from gauntlet.attacks.ranking.base import TOP, Query
from gauntlet.core.registry import register


@register("attack", "qa_plus")
class QaPlus(Query):
    """See ``ranking.base``."""

    up = True
    goal = TOP
