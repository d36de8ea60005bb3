"""PRADA: queries that are not distributed like a user's (Juuti et al. 2019, arXiv 1805.02628, section 5)."""

from __future__ import annotations

import sys
from typing import Any

import torch
from scipy.stats import shapiro
from torch import Tensor

from gauntlet.blackbox.defenses.base import OracleDefense
from gauntlet.core.registry import register

#: Distances that a test needs at least, and takes at most (the newest; scipy's p-values end there).
LEAST, MOST = 100, 5000


@register("oracle_defense", "prada")
class Prada(OracleDefense):
    """Watches the distance of every query to the nearest earlier one of its class: of a user's queries these
    are about normal. Answers are left as they are; ``detected_at`` says when the alarm was raised.

    Per class there is a growing set of queries and a threshold, the mean less the standard deviation of
    their distances; a query further from the set than the threshold joins it. Over all classes, distances
    beyond three deviations are left out; a Shapiro-Wilk statistic below ``delta`` is an alarm. The test is
    done after every batch of queries, not after every query.

    Args:
        delta: the threshold of the test.
    """

    def __init__(self, delta: float = 0.95):
        self.delta = delta
        self.queries, self.detected_at = 0, None
        self.kept: dict[int, Tensor] = {}  # class -> (m, pixels) growing set
        self.own: dict[int, list[float]] = {}  # class -> distances of the queries that joined
        self.threshold: dict[int, float] = {}
        self.distances: list[float] = []

    def answer(self, images: Tensor, probabilities: Tensor) -> Tensor:
        flat = images.flatten(1).float().cpu()
        for row, label in zip(flat, probabilities.argmax(1).tolist(), strict=True):
            self._watch(row, label)
        self.queries += len(images)
        if self.detected_at is None and self.statistic() < self.delta:
            self.detected_at = self.queries
            print(f"PRADA: alarm after {self.queries} queries", file=sys.stderr)
        return probabilities

    def _watch(self, row: Tensor, label: int) -> None:
        kept = self.kept.get(label)
        if kept is None:
            self.kept[label], self.own[label], self.threshold[label] = row[None].clone(), [], 0.0
            return
        distance = float((kept - row).square().sum(1).min().sqrt())
        self.distances.append(distance)
        if distance > self.threshold[label]:
            self.kept[label] = torch.cat([kept, row[None]])
            own = self.own[label]
            own.append(distance)
            values = torch.tensor(own, dtype=torch.float64)
            spread = float(values.mean() - values.std(correction=0))
            self.threshold[label] = max(self.threshold[label], spread)

    def statistic(self) -> float:
        """Shapiro-Wilk of the distances so far, 1 for a normal distribution; 1 while there are too few."""
        values = torch.tensor(self.distances[-MOST:], dtype=torch.float64)
        if len(values) >= LEAST:
            mean, deviation = values.mean(), values.std(correction=0)
            values = values[(values - mean).abs() < 3 * deviation]
        if len(values) < LEAST:
            return 1.0
        return float(shapiro(values.numpy()).statistic)

    def state(self) -> dict[str, Any]:
        return {
            "queries": self.queries,
            "detected_at": self.detected_at,
            "kept": {str(label): kept for label, kept in self.kept.items()},
            "own": {str(label): own for label, own in self.own.items()},
            "threshold": {str(label): value for label, value in self.threshold.items()},
            "distances": self.distances,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.queries, self.detected_at = state["queries"], state["detected_at"]
        for name in ("kept", "own", "threshold"):
            setattr(self, name, {int(label): value for label, value in state[name].items()})
        self.distances = list(state["distances"])
