"""How far candidate gradients are from the observed ones: one number per row.

lam weighs the tensors of a network (``layer_weights``); g is the candidate and g* the observed gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError, did_you_mean


class Distance:
    """Base of both.

    Args:
        observed: g*, tensors (rows, ...), one per parameter.
        weights: lam, (rows, tensors) or (1, tensors), not negative.
    """

    #: Whether it changes when the candidates are scaled.
    scaled: bool

    def __init__(self, observed: list[Tensor], weights: Tensor):
        self.observed, self.weights = [value.flatten(1) for value in observed], weights

    def __call__(self, gradients: list[Tensor]) -> Tensor:
        """(rows,) distances, from tensors like ``observed``."""
        raise NotImplementedError

    def weighted(self, per_tensor) -> Tensor:
        """(rows,): the sum over tensors of lam times a list of (rows,)."""
        return (self.weights * torch.stack(list(per_tensor), dim=1)).sum(1)


class L2(Distance):
    """``sum_l lam_l ||g_l - g*_l||^2`` (Zhu et al. 2019)."""

    scaled = True

    def __call__(self, gradients):
        pairs = zip(gradients, self.observed, strict=True)
        return self.weighted((g.flatten(1) - seen).square().sum(1) for g, seen in pairs)


class Cosine(Distance):
    """``1 - <g, g*> / (|g| |g*|)`` with ``<a, b> = sum_l lam_l <a_l, b_l>`` in both norms too; in [0, 2].

    One cosine over all parameters (Geiping et al. 2020, equation 4), not a mean of one per layer. Where the
    candidates have no gradient at all it is 1.
    """

    scaled = False

    def __init__(self, observed, weights):
        super().__init__(observed, weights)
        self.length = self._root(self.weighted(dot(seen, seen) for seen in self.observed))

    def __call__(self, gradients):
        flat = [g.flatten(1) for g in gradients]
        along = self.weighted(dot(g, seen) for g, seen in zip(flat, self.observed, strict=True))
        return 1 - along / (self._root(self.weighted(dot(g, g) for g in flat)) * self.length)

    @staticmethod
    def _root(squared: Tensor) -> Tensor:
        """At 0 the slope of a root would be infinite."""
        return squared.clamp(min=torch.finfo(squared.dtype).tiny).sqrt()


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of the rows of two (rows, p)."""
    return torch.linalg.vecdot(a, b)


DISTANCES: dict[str, type[Distance]] = {"cosine": Cosine, "l2": L2}


def distance(name: str) -> type[Distance]:
    """Raises GauntletError when there is none of this name."""
    if name not in DISTANCES:
        raise GauntletError(f"unknown distance {name!r}", remedy=did_you_mean(name, DISTANCES))
    return DISTANCES[name]
