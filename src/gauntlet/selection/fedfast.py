"""Selection of one client from every cluster of similar clients."""

from __future__ import annotations

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.metrics.clustering import kmeans
from gauntlet.selection.base import Federation, Probe, Selection


@register("selection", "fedfast")
class FedFast(Selection):
    """The selection part of FedFast (Muhammad et al. 2020), as the FedEMD paper compares with it.

    K-means with k = K on the label histograms, one uniformly drawn client per cluster: a Maverick forms a
    cluster of its own and takes part in every round. Histograms are reported once, so the clusters are made
    once; where fewer histograms than K differ, the rest of a round is drawn uniformly.

    Args:
        runs: random starts of k-means; the best is kept.

    Raises:
        GauntletError: there are no runs.
    """

    def __init__(self, runs: int = 10):
        if runs < 1:
            raise GauntletError(f"runs must be at least 1 (got {runs})", key="method.options.runs")
        self.runs = runs

    def begin(self, federation: Federation) -> None:
        super().begin(federation)
        histograms = federation.histograms.astype(np.float32)
        k = min(federation.selected, len(np.unique(histograms, axis=0)))
        self.clusters = kmeans(histograms, k, self.runs)

    def select(self, round: int, uniforms: np.ndarray, probe: Probe) -> np.ndarray:
        order = np.argsort(-uniforms[0], kind="stable")
        _, first = np.unique(self.clusters[order], return_index=True)  # of each cluster, in this order
        rest = np.delete(order, first)[: self.federation.selected - len(first)]
        return np.sort(np.concatenate([order[first], rest]))
