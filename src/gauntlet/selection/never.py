"""The reference policy that never picks a Maverick."""

from __future__ import annotations

import numpy as np

from gauntlet.core.registry import register
from gauntlet.selection.base import Selection


@register("selection", "never")
class Never(Selection):
    """Uniform among the other clients (FedEMD, figure 6, "mav-never")."""

    def weights(self, round: int) -> np.ndarray:
        weights = np.ones(self.federation.clients)
        weights[list(self.federation.mavericks)] = 0
        return weights / weights.sum()
