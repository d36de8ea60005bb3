"""Distances and exact neighbours of embeddings on their own device, in memory linear in n."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gauntlet.attacks.clean import Clean

#: Queries per block of similarities: a block has BLOCK x m entries for a gallery of m.
BLOCK = 1024
#: Squared distances below this count as this: the square root has no gradient at 0.
TINY = 1e-12

#: (b, 1) and (m,) classes -> (b, m) bool, who may be a neighbour: ``torch.eq`` the same class,
#: ``torch.ne`` the other classes, ``everyone``.
Among = Callable[[Tensor, Tensor], Tensor]


def distance(a: Tensor, b: Tensor) -> Tensor:
    """(...,) Euclidean distances of (..., D) from (..., D), with a gradient everywhere."""
    return (a - b).square().sum(-1).clamp(min=TINY).sqrt()


def distances(points: Tensor, others: Tensor) -> Tensor:
    """(b, n) Euclidean distances of unit vectors (b, D) from unit vectors (n, D)."""
    return (2 - 2 * points @ others.T).clamp(min=TINY).sqrt()


def everyone(own: Tensor, classes: Tensor) -> Tensor:
    return torch.ones_like(own == classes)


def nearest(clean: Clean, among: Among) -> Tensor:
    """(n,) index of each query's nearest other image in the gallery among those allowed, by inner product; -1
    where there is none."""
    found = []
    for rows in torch.arange(len(clean.labels), device=clean.labels.device).split(BLOCK):
        allowed = clean.without_itself(among(clean.labels[rows, None], clean.gallery_labels), rows)
        similarity = (clean.queries[rows] @ clean.gallery.T).masked_fill_(~allowed, float("-inf"))
        best, index = similarity.max(1)
        found.append(torch.where(best == float("-inf"), -1, index))
    return torch.cat(found)
