"""Candidate attack, down (CA-): bring a perturbed image to the bottom of the list of a query near to it.

Zhou et al. 2020 (arXiv 2002.11293, section 3), with the pairs of RobRank: the other image is drawn
from the perturbed image's nearest 1%.
"""

from __future__ import annotations

from gauntlet.attacks.ranking.base import BOTTOM, Candidate
from gauntlet.core.registry import register


@register("attack", "ca_minus")
class CaMinus(Candidate):
    """See ``ranking.base``."""

    up = False
    goal = BOTTOM
