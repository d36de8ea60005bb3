"""Greedy selection by Shapley value."""

from __future__ import annotations

from typing import Any

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.selection.base import Federation, Probe, Report, Selection


@register("selection", "greedyfed")
class GreedyFed(Selection):
    """Singhal et al. (2024): every client takes part once, in random order; then always the K clients with
    the largest running Shapley value.

    Args:
        memory: None averages all values of a client; a number in [0, 1) weighs them exponentially,
            ``v <- memory * v + (1 - memory) * new``.
    """

    needs = frozenset({"shapley"})

    def __init__(self, memory: float | None = None):
        if memory is not None and not 0 <= memory < 1:
            raise GauntletError(f"memory must be in [0, 1) (got {memory})", key="method.options.memory")
        self.memory = memory

    def begin(self, federation: Federation) -> None:
        super().begin(federation)
        self.value = np.zeros(federation.clients)
        self.seen = np.zeros(federation.clients, dtype=np.int64)
        self.picked = np.zeros(federation.clients, dtype=bool)

    def select(self, round: int, uniforms: np.ndarray, probe: Probe) -> np.ndarray:
        # New clients first, in random order; then by value, ties at random.
        order = np.lexsort((-uniforms[0], np.where(self.picked, -self.value, 0), self.picked))
        chosen = np.sort(order[: self.federation.selected])
        self.picked[chosen] = True
        return chosen

    def observe(self, report: Report) -> None:
        if report.shapley is None:
            return
        for client, value in zip(report.clients, report.shapley, strict=True):
            self.seen[client] += 1
            if self.seen[client] == 1:
                self.value[client] = value
            else:
                keep = 1 - 1 / self.seen[client] if self.memory is None else self.memory
                self.value[client] = keep * self.value[client] + (1 - keep) * value

    def state(self) -> dict[str, Any]:
        return {"value": self.value.tolist(), "seen": self.seen.tolist(), "picked": self.picked.tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        self.value = np.array(state["value"])
        self.seen = np.array(state["seen"], dtype=np.int64)
        self.picked = np.array(state["picked"], dtype=bool)
