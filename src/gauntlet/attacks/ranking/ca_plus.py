"""Candidate attack, up (CA+): bring a perturbed image to the top of the list of a query drawn at random.

Zhou et al. 2020 (arXiv 2002.11293, section 3), with the pairs of RobRank: the other image is drawn
uniformly from all others.
"""

from __future__ import annotations

from gauntlet.attacks.ranking.base import TOP, Candidate
from gauntlet.core.registry import register


@register("attack", "ca_plus")
class CaPlus(Candidate):
    """See ``ranking.base``."""

    up = True
    goal = TOP
