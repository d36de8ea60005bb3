"""Query attack, down (QA-): perturb a query so that a candidate near to it ends its list.

Zhou et al. 2020 (arXiv 2002.11293, section 3), with the pairs of RobRank: the other image is drawn
from the perturbed image's nearest 1%.
"""

from __future__ import annotations

from gauntlet.attacks.ranking.base import BOTTOM, Query
from gauntlet.core.registry import register


@register("attack", "qa_minus")
class QaMinus(Query):
    """See ``ranking.base``."""

    up = False
    goal = BOTTOM
