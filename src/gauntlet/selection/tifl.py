"""Selection in favour of clients whose models do badly."""

from __future__ import annotations

from typing import Any

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.selection.base import Federation, Report, Selection


@register("selection", "tifl")
class TiFL(Selection):
    """The selection part of TiFL (Chai et al. 2020), as the FedEMD paper compares with it.

    After a client has trained, its model is tested on the client's own images; later rounds sample with
    weight ``1 / accuracy``: lower accuracy is favoured. A client not yet tested counts as accuracy
    ``unknown``. (The release samples with keys ``u^(-1/accuracy)`` and tests on the global test set.)

    Args:
        unknown: accuracy assumed before the first test, in (0, 1].
        floor: accuracies below it count as it, above 0.
    """

    needs = frozenset({"accuracies"})

    def __init__(self, unknown: float = 0.1, floor: float = 0.05):
        for name, value in {"unknown": unknown, "floor": floor}.items():
            if not 0 < value <= 1:
                raise GauntletError(f"{name} must be in (0, 1] (got {value})", key=f"method.options.{name}")
        self.unknown, self.floor = unknown, floor

    def begin(self, federation: Federation) -> None:
        super().begin(federation)
        self.accuracy = np.full(federation.clients, self.unknown)

    def weights(self, round: int) -> np.ndarray:
        weights = 1 / np.maximum(self.accuracy, self.floor)
        return weights / weights.sum()

    def observe(self, report: Report) -> None:
        if report.accuracies is not None:
            self.accuracy[report.clients] = report.accuracies

    def state(self) -> dict[str, Any]:
        return {"accuracy": self.accuracy.tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        self.accuracy = np.array(state["accuracy"])
