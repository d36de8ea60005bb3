"""The distance to what was released, for synthetic data that are shared in place of a model."""

from __future__ import annotations

from typing import Literal

import faiss
import numpy as np
import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.membership.base import Evidence, Membership
from gauntlet.metrics import arrays

#: Images per forward pass.
BATCH = 256


@register("membership", "distilled_distance")
class DistilledDistance(Membership):
    """``-min_s ||f(x) - f(s)||_2`` over the released samples s: members are near to what was made of them
    (Chen et al. 2020, arXiv 1909.03935, on generators).

    Args:
        space: ``pixels``, or ``features``: what enters the last layer of the net (an ``nn.Sequential``).
        same_class: only over released samples of the candidate's class.

    Raises:
        GauntletError: a class of which nothing was released, or features of a net that is no sequence.
    """

    needs = ("images", "released")

    def __init__(self, space: Literal["pixels", "features"] = "pixels", same_class: bool = False):
        self.space, self.same_class = space, same_class
        self.needs = (*self.needs, *["net"] * (space == "features"), *["released_labels"] * same_class)

    def _scores(self, evidence: Evidence) -> np.ndarray:
        queries, gallery = (self._points(evidence.net, x) for x in (evidence.images, evidence.released))
        if not self.same_class:
            return -nearest(queries, gallery)
        found, classes = np.empty(len(queries)), np.asarray(evidence.released_labels)
        for label in np.unique(evidence.labels):
            if not (classes == label).any():
                raise GauntletError(
                    f"no sample of class {label} was released",
                    key="evaluate.attacks",
                    remedy="set same_class: false",
                )
            own = evidence.labels == label
            found[own] = -nearest(queries[own], gallery[classes == label])
        return found

    def _points(self, net: nn.Module | None, images: Tensor) -> np.ndarray:
        """(n, D)."""
        if self.space == "features":
            if not isinstance(net, nn.Sequential):
                raise GauntletError(
                    f"no features of a {type(net).__name__}",
                    key="evaluate.attacks",
                    remedy="set space: pixels",
                )
            body = nn.Sequential(*list(net)[:-1]).eval()
            with torch.no_grad():
                images = torch.cat([body(part) for part in images.split(BATCH)])
        return arrays.embeddings(images.flatten(1))


def nearest(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """(n,) Euclidean distance of each query (n, D) to the nearest of the gallery (r, D), exact search.

    The distance is computed again from the neighbour that faiss found: expanded squares cancel near 0.
    """
    index = faiss.IndexFlatL2(gallery.shape[1])
    index.add(gallery)
    ids = index.search(queries, 1)[1][:, 0]
    return np.linalg.norm(queries.astype(np.float64) - gallery[ids], axis=1)
