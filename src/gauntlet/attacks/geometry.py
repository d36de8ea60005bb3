"""Distances and exact neighbours of embeddings on their own device, in memory linear in n."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: Rows per block of similarities: a block has BLOCK x n entries.
BLOCK = 1024
#: Squared distances below this count as this: the square root has no gradient at 0.
TINY = 1e-12

#: (b, 1) and (n,) classes -> (b, n) bool, who may be a neighbour: ``torch.eq`` the same class,
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


def nearest(embeddings: Tensor, labels: Tensor, among: Among) -> Tensor:
    """(n,) index of each row's nearest other row among those allowed, by inner product; -1 where there is
    none."""
    found = []
    for rows in torch.arange(len(labels), device=labels.device).split(BLOCK):
        similarity = _similarity(embeddings, labels, rows, among)
        best, index = similarity.max(1)
        found.append(torch.where(best == float("-inf"), -1, index))
    return torch.cat(found)


def ranked(embeddings: Tensor, labels: Tensor, places: Tensor) -> Tensor:
    """(n,) index of each row's neighbour at place ``places`` (n,), 0 the nearest other row."""
    deepest = int(places.max()) + 1
    found = []
    for rows in torch.arange(len(labels), device=labels.device).split(BLOCK):
        order = _similarity(embeddings, labels, rows, everyone).topk(deepest, dim=1).indices
        found.append(order.gather(1, places[rows, None])[:, 0])
    return torch.cat(found)


def _similarity(embeddings: Tensor, labels: Tensor, rows: Tensor, among: Among) -> Tensor:
    """(b, n) inner products, -inf at the rows themselves and where not allowed."""
    allowed = among(labels[rows, None], labels).scatter_(1, rows[:, None], False)
    return (embeddings[rows] @ embeddings.T).masked_fill_(~allowed, float("-inf"))
