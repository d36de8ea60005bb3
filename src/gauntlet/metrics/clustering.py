"""Clustering inference and its scores. The scores ignore the names of clusters and of classes."""

from __future__ import annotations

import faiss
import numpy as np
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

from gauntlet.core.errors import GauntletError
from gauntlet.metrics import arrays

#: Both reference libraries run 20 iterations.
ITERATIONS, SEED = 20, 0
#: With another seed of k-means, scores of the best of 5 runs still moved by up to 0.1, those of the best of
#: 50 by 0.01 or less (180 attacked embeddings of trained networks).
RUNS = 50


def kmeans(embeddings, k: int, runs: int = RUNS) -> np.ndarray:
    """(n,) clusters 0..k-1 of (n, D) unit-norm embeddings: Lloyd's k-means on all points.

    20 iterations, best of ``runs`` from a fixed seed; the same input gives the same clusters at the same
    number of faiss threads.

    Raises:
        GauntletError: fewer embeddings than clusters, or not finite.
    """
    embeddings = arrays.embeddings(embeddings)
    n, dimension = embeddings.shape
    if not 1 <= k <= n:
        raise GauntletError(f"{n} embeddings cannot form {k} clusters", remedy="use more test images")
    model = faiss.Kmeans(
        dimension,
        k,
        niter=ITERATIONS,
        nredo=runs,
        seed=SEED,
        spherical=False,
        min_points_per_centroid=1,
        max_points_per_centroid=n,  # faiss would subsample to 256 per centroid
    )
    model.train(embeddings)
    return model.index.search(embeddings, 1)[1][:, 0]


def nmi(labels, clusters) -> float:
    """Normalised mutual information ``2 I(Y;C) / (H(Y) + H(C))``, in [0, 1]."""
    return float(normalized_mutual_info_score(*_pair(labels, clusters)))


def ami(labels, clusters) -> float:
    """Mutual information adjusted for chance: 0 for unrelated partitions, 1 for equal ones."""
    return float(adjusted_mutual_info_score(*_pair(labels, clusters)))


def pairwise_f1(labels, clusters) -> float:
    """F1 over all pairs of images, "same cluster" predicting "same class", in [0, 1].

    Counted from class sizes, cluster sizes and their overlaps, not from pairs; 0 when no pair shares
    both.
    """
    labels, clusters = _pair(labels, clusters)
    _, classes = np.unique(labels, return_inverse=True)
    _, groups = np.unique(clusters, return_inverse=True)
    both = _pairs(classes * (groups.max() + 1) + groups)
    total = _pairs(classes) + _pairs(groups)
    return 2 * both / total if total else 0.0


def scores(labels, clusters) -> dict[str, float]:
    """All three, under their names in the measurement tables."""
    return {
        "nmi": nmi(labels, clusters),
        "ami": ami(labels, clusters),
        "f1": pairwise_f1(labels, clusters),
    }


def _pair(labels, clusters) -> tuple[np.ndarray, np.ndarray]:
    n = len(labels)
    if not n:
        raise GauntletError("nothing to score: no labels", remedy="use at least one test image")
    return arrays.labels(labels, n), arrays.labels(clusters, n)


def _pairs(groups: np.ndarray) -> int:
    """How many pairs share a group."""
    counts = np.unique(groups, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())
