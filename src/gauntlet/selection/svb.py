"""Selection by Shapley value."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.selection.base import Federation, Probe, Report, Selection, sample


@register("selection", "svb")
class ShapleyBased(Selection):
    """Weighted sampling by relative Shapley value: the FedEMD paper's baseline "SVB".

    A client's relative value in a round is ``max(c_k, 0) / sum_j max(c_j, 0)`` over the round's clients; its
    weight is a running mean ``r_k <- (1 - rate) r_k + rate * value``, from 1/K, never below ``floor``.

    Args:
        rate: of the running mean, in (0, 1].
        floor: least weight, above 0, so that nobody is lost for good.
        svb_mode: ``online`` as above; ``released``: the constants of the authors' code, which computes
            no Shapley values: 0.0201 + 0.001 u for others, u ~ U(0, 1) in every round, and 0.015 for
            Mavericks.
    """

    needs = frozenset({"shapley"})

    def __init__(
        self, rate: float = 0.5, floor: float = 0.01, svb_mode: Literal["online", "released"] = "online"
    ):
        if not 0 < rate <= 1:
            raise GauntletError(f"rate must be in (0, 1] (got {rate})", key="method.options.rate")
        if not floor > 0:
            raise GauntletError(f"floor must be above 0 (got {floor})", key="method.options.floor")
        self.rate, self.floor, self.svb_mode = rate, floor, svb_mode
        if svb_mode == "released":
            self.needs = frozenset()

    def begin(self, federation: Federation) -> None:
        super().begin(federation)
        self.relative = np.full(federation.clients, 1 / federation.selected)

    def weights(self, round: int) -> np.ndarray:
        return np.maximum(self.relative, self.floor)

    def select(self, round: int, uniforms: np.ndarray, probe: Probe) -> np.ndarray:
        if self.svb_mode == "online":
            return super().select(round, uniforms, probe)
        self.drawn = 0.0201 + 0.001 * uniforms[1]
        self.drawn[list(self.federation.mavericks)] = 0.015
        return sample(self.drawn, self.federation.selected, uniforms[0])

    def observe(self, report: Report) -> None:
        if report.shapley is None:
            return
        gain = np.maximum(report.shapley, 0)
        if gain.sum() > 0:  # a round in which nobody helped says nothing about shares
            shares = gain / gain.sum()
            self.relative[report.clients] += self.rate * (shares - self.relative[report.clients])

    def state(self) -> dict[str, Any]:
        return {"relative": self.relative.tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        self.relative = np.array(state["relative"])
