"""Learning rates that fall with the budget."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gauntlet.blackbox.oracle import Oracle


def spent(oracle: Oracle) -> float:
    """Share of the budget that is used up, 0 to 1; 0 without a budget."""
    return oracle.queries / oracle.budget if oracle.budget else 0.0


def falls(oracle: Oracle, at: Sequence[float], decay: float) -> float:
    """``decay`` to the power of how many of the shares ``at`` of the budget are used up."""
    return decay ** sum(spent(oracle) >= share for share in at)


def cosine(oracle: Oracle) -> float:
    """From 1 down to 0 at the end of the budget."""
    return (1 + math.cos(math.pi * spent(oracle))) / 2
