"""How far embeddings are apart: what shows that a network has collapsed."""

from __future__ import annotations

import math

import numpy as np

from gauntlet.metrics import arrays


def between_classes(embeddings, classes) -> float:
    """Root mean square Euclidean distance over all pairs of images of different classes, in [0, 2].

    For unit vectors the sums of cosines over pairs are squared norms of sums: linear in n.

    Args:
        embeddings: (n, D) unit norm.
        classes: (n,) of at least two kinds.

    Raises:
        GauntletError: embeddings are not finite.
    """
    embeddings = arrays.embeddings(embeddings).astype(np.float64)
    _, classes, counts = np.unique(np.asarray(classes), return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), embeddings.shape[1]))
    np.add.at(sums, classes, embeddings)
    cosines = np.square(sums.sum(0)).sum() - np.square(sums).sum()
    pairs = len(classes) ** 2 - np.square(counts).sum()
    return math.sqrt(max(0.0, 2 - 2 * cosines / pairs)) if pairs else 0.0
