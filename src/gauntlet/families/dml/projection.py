"""Two-dimensional maps of embeddings, for looking at: t-SNE (van der Maaten & Hinton 2008)."""

from __future__ import annotations

import numpy as np


def tsne(*groups: np.ndarray) -> list[np.ndarray]:
    """One map of all groups of embeddings ((n_i, D) each) together, as (n_i, 2) coordinates per group.

    scikit-learn's defaults with perplexity 30 (less for fewer than 91 points) and a fixed seed; the same
    input gives the same bytes at one thread.
    """
    from sklearn.manifold import TSNE

    points = np.concatenate(groups).astype(np.float32)
    spread = np.ptp(points, axis=0).max() > 0  # a collapsed network has no principal components
    model = TSNE(
        perplexity=min(30.0, (len(points) - 1) / 3),
        init="pca" if spread else "random",
        random_state=0,
        n_jobs=1,
    )
    return np.split(model.fit_transform(points), np.cumsum([len(group) for group in groups])[:-1])
