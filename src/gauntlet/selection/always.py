"""The reference policy that picks every Maverick in every round."""

from __future__ import annotations

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.selection.base import Federation, Probe, Selection, sample


@register("selection", "always")
class Always(Selection):
    """All Mavericks, and uniformly drawn others (FedEMD, figure 6, "mav-always")."""

    def begin(self, federation: Federation) -> None:
        super().begin(federation)
        if len(federation.mavericks) > federation.selected:
            raise GauntletError(
                f"{len(federation.mavericks)} Mavericks do not fit into rounds of {federation.selected}",
                key="train.selected",
                remedy="select more clients per round",
            )

    def select(self, round: int, uniforms: np.ndarray, probe: Probe) -> np.ndarray:
        federation = self.federation
        others = np.ones(federation.clients)
        others[list(federation.mavericks)] = 0
        rest = sample(others, federation.selected - len(federation.mavericks), uniforms[0])
        return np.sort(np.concatenate([rest, np.array(federation.mavericks, dtype=np.int64)]))
