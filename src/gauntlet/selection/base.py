"""What a selection method is: it chooses the clients of a round, and learns what became of them.

All methods of a seed are given the same uniform numbers in the same round (common random numbers): two
methods with the same weights choose the same clients, so that a paired comparison sees the methods and
not the luck of the draw.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gauntlet.core.errors import GauntletError


@dataclass(frozen=True)
class Federation:
    """What a method knows before the first round.

    Attributes:
        histograms: (N, C) images per client and class, reported once.
        selected: clients per round, K.
        rounds: rounds in all, R.
        mavericks: for the reference policies and the released constants alone; no real server knows them.
    """

    histograms: np.ndarray
    selected: int
    rounds: int
    mavericks: tuple[int, ...] = ()

    @property
    def clients(self) -> int:
        return len(self.histograms)

    @property
    def samples(self) -> np.ndarray:
        """(N,) images per client."""
        return self.histograms.sum(axis=1)


@dataclass(frozen=True)
class Report:
    """What the server learns from a round. Arrays are (k,), in the order of ``clients``.

    Attributes:
        round: from 1.
        clients: the picked clients whose update was used, ascending.
        losses: mean training loss of each.
        accuracies: accuracy of each local model, in [0, 1]; None unless ``needs`` has "accuracies".
        shapley: Shapley value of each; None unless ``needs`` has "shapley".
    """

    round: int
    clients: np.ndarray
    losses: np.ndarray
    accuracies: np.ndarray | None = None
    shapley: np.ndarray | None = None


#: (clients, images or None for all) -> the global model's mean loss on each client's images.
Probe = Callable[[np.ndarray, int | None], np.ndarray]


class Selection:
    """Base of all methods.

    Attributes:
        needs: the costly parts of a report that the method wants.
        drawn: (N,) the weights that the last round was drawn by; None where there are none.
        uniform: whether every client has the same chance in every round, whatever its data.
    """

    needs: frozenset[str] = frozenset()
    drawn: np.ndarray | None = None
    uniform: bool = False

    def begin(self, federation: Federation) -> None:
        """Called once, before the first round."""
        self.federation = federation

    def weights(self, round: int) -> np.ndarray:
        """(N,) sampling weights of this round; a method that does not sample by weights has its own
        ``select`` instead."""
        raise NotImplementedError

    def select(self, round: int, uniforms: np.ndarray, probe: Probe) -> np.ndarray:
        """The round's clients, ascending.

        Args:
            round: from 1.
            uniforms: (2, N) in (0, 1]: the round's common random numbers. The first row is for choosing
                clients, the second for whatever else a method draws.
            probe: evaluates the global model on clients' data.
        """
        self.drawn = self.weights(round)
        return sample(self.drawn, self.federation.selected, uniforms[0])

    def observe(self, report: Report) -> None:
        """Called after every round."""

    def state(self) -> dict[str, Any]:
        """What the method has learned: arrays, numbers and lists, for resuming."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state()``."""


def sample(weights: np.ndarray, k: int, uniforms: np.ndarray) -> np.ndarray:
    """Weighted sampling without replacement: the ``k`` largest keys ``u_i^(1/w_i)``, ascending.

    Efraimidis & Spirakis (2006), A-Res; compared as ``log(u_i) / w_i``. Clients of weight 0 are never
    chosen. Only the ratios of the weights matter.

    Raises:
        GauntletError: a weight is negative or not finite, or fewer than ``k`` are above 0.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise GauntletError("selection weights must be finite and not negative", key="method.options")
    able = np.flatnonzero(weights > 0)
    if len(able) < k:
        raise GauntletError(
            f"only {len(able)} of {len(weights)} clients have a probability above 0; {k} are needed",
            key="method.options",
            remedy="check the method's coefficients",
        )
    keys = np.log(uniforms[able]) / weights[able]
    return np.sort(able[np.argsort(-keys, kind="stable")[:k]])
