"""Rounded probabilities (Tramer et al. 2016, arXiv 1609.02943, section 7)."""

from __future__ import annotations

from torch import Tensor

from gauntlet.blackbox.defenses.base import OracleDefense
from gauntlet.core.registry import register


@register("oracle_defense", "rounding")
class Rounding(OracleDefense):
    """Answers with ``decimals`` decimals. Their sum may be off 1.

    Args:
        decimals: digits after the point.
    """

    def __init__(self, decimals: int = 2):
        self.decimals = decimals

    def answer(self, images: Tensor, probabilities: Tensor) -> Tensor:
        return probabilities.round(decimals=self.decimals)
