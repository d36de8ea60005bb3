"""FedEMD: selection by distances between label histograms."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy.special import softmax

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.selection.base import Federation, Probe, Selection


@register("selection", "fedemd")
class FedEMD(Selection):
    """Huang et al., "Maverick Matters" (PAKDD 2023; arXiv 2106.10734), Algorithm 1.

    In round t client i has the probability ``softmax_i(alpha * emd_g[i] - t * beta * emd_c[i])``, where
    ``emd_g`` is its distance to the global histogram and ``emd_c`` the one to what has been selected so
    far; K clients are drawn by weighted reservoir sampling. A Maverick, far from both, is favoured until
    round alpha / beta and avoided after it.

    Args:
        alpha, beta: coefficients, above 0.
        emd_kind: ``values``: W1 of the two histograms taken as samples, ``mean |u_(j) - v_(j)|`` over the
            sorted entries, which the published alpha and beta belong to (the release hands the histograms
            to scipy's ``wasserstein_distance`` as values); ``l1``: ``sum_c |p(c) - q(c)|`` of class
            proportions (Zhao et al. 2018, the paper's motivation); ``ordinal``: W1 of the proportions over
            the class numbers.
        normalisation: how ``values`` scales histograms. ``balanced``: so that a balanced one is all ones: a
            client's by the clients' mean count of a class that no Maverick owns, the global and the current
            one by their own count of it. ``literal``: all three by the clients' mean count, as the paper's
            formula reads; the current histogram then grows without bound. ``released``: as in the authors'
            code, where the current histogram is not scaled at all and starts at ones, with N at the Maverick
            class; picks of the Maverick then grow instead of falling.

    Raises:
        GauntletError: a coefficient is not positive.
    """

    def __init__(
        self,
        alpha: float = 0.15,
        beta: float = 0.0015,
        emd_kind: Literal["values", "l1", "ordinal"] = "values",
        normalisation: Literal["balanced", "literal", "released"] = "balanced",
    ):
        for name, value in {"alpha": alpha, "beta": beta}.items():
            if not value > 0:
                raise GauntletError(f"{name} must be above 0 (got {value})", key=f"method.options.{name}")
        self.alpha, self.beta = alpha, beta
        self.emd_kind, self.normalisation = emd_kind, normalisation

    def begin(self, federation: Federation) -> None:
        super().begin(federation)
        histograms = federation.histograms.astype(np.float64)
        self.common = common_class(federation.histograms)
        self.unit = histograms[:, self.common].mean()
        self.clients = self._prepared(histograms, self.unit)
        overall = histograms.sum(axis=0)
        self.emd_g = self._distances(overall, self._unit_of(overall))
        self.current = np.zeros(histograms.shape[1])
        if self.normalisation == "released":
            self.emd_g = self._distances(np.ones_like(overall), 1.0)
            self.current[:] = 1
            others = np.delete(histograms, list(federation.mavericks), axis=0)
            self.current[~others.any(axis=0)] = federation.clients

    def weights(self, round: int) -> np.ndarray:
        if self.current.any():
            emd_c = self._distances(self.current, self._unit_of(self.current))
        else:  # nothing has been selected yet: the global distance alone
            emd_c = np.zeros(self.federation.clients)
        return softmax(self.alpha * self.emd_g - round * self.beta * emd_c)

    def select(self, round: int, uniforms: np.ndarray, probe: Probe) -> np.ndarray:
        chosen = super().select(round, uniforms, probe)
        self.current = self.current + self.federation.histograms[chosen].sum(axis=0)
        return chosen

    def _unit_of(self, histogram: np.ndarray) -> float:
        if self.normalisation == "balanced":
            return histogram[self.common] or self.unit  # none yet: the clients' mean
        return self.unit if self.normalisation == "literal" else 1.0

    def _prepared(self, histograms: np.ndarray, unit) -> np.ndarray:
        """The form in which a distance is a mean of absolute differences: sorted, or proportions."""
        if self.emd_kind == "values":
            return np.sort(histograms / unit, axis=-1)
        return histograms / histograms.sum(axis=-1, keepdims=True)

    def _distances(self, histogram: np.ndarray, unit: float) -> np.ndarray:
        """(N,) distance of every client to a histogram."""
        difference = self.clients - self._prepared(histogram, unit)
        if self.emd_kind == "values":
            return np.abs(difference).mean(axis=1)
        if self.emd_kind == "l1":
            return np.abs(difference).sum(axis=1)
        return np.abs(np.cumsum(difference, axis=1)).sum(axis=1)

    def state(self) -> dict[str, Any]:
        return {"current": self.current.tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        self.current = np.array(state["current"])


def common_class(histograms: np.ndarray) -> int:
    """A class that no Maverick owns: the one whose count varies least, relative to its mean.

    Raises:
        GauntletError: there are no images.
    """
    mean = histograms.mean(axis=0)
    if not (mean > 0).any():
        raise GauntletError("the clients own no images", key="data.clients")
    spread = np.full(len(mean), np.inf)
    np.divide(histograms.std(axis=0), mean, out=spread, where=mean > 0)
    return int(spread.argmin())
