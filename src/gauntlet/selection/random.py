"""Uniform selection."""

from __future__ import annotations

import numpy as np

from gauntlet.core.registry import register
from gauntlet.selection.base import Selection


@register("selection", "random")
class Random(Selection):
    """K of N clients, uniformly without replacement (McMahan et al. 2017)."""

    uniform = True

    def weights(self, round: int) -> np.ndarray:
        return np.full(self.federation.clients, 1 / self.federation.clients)
