"""Retrieval margin: bring a query nearer to some image of another class than to any of its own.

Maximises ``t log sum_{y_j != y} exp(s_j / t) - t log sum_{y_j = y} exp(s_j / t)``, s the cosines to the clean
gallery without the query itself: a smooth form of "nearest wrong minus nearest right", whose sign is the
outcome of recall@1. Attacks that only move an embedding far (shift, centre) can leave it nearest to its own
class. Memory is linear in the gallery per perturbed image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.attacks.base import Attack
from gauntlet.attacks.clean import Clean
from gauntlet.core.registry import register

#: t: small enough that the nearest images count, large enough that those behind them have gradients.
TEMPERATURE = 0.05


@register("attack", "margin")
class Margin(Attack):
    """Args: ``clean``, whose gallery is looked at as a whole."""

    def __init__(self, clean: Clean):
        self.clean = clean

    def objective(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """(b,) margins of perturbed ``embeddings`` (b, D) of ``rows`` (b,), in cosines; a side without an
        image counts as a cosine of 0."""
        clean = self.clean
        right = clean.labels[rows, None] == clean.gallery_labels
        similarity, wrong = embeddings @ clean.gallery.T / TEMPERATURE, ~right
        right = clean.without_itself(right, rows)
        return TEMPERATURE * (_soft_max(similarity, wrong) - _soft_max(similarity, right))


def _soft_max(values: Tensor, chosen: Tensor) -> Tensor:
    """(b,) log-sum-exp of the chosen (b, n) values; 0 where none is, with a gradient of 0."""
    some = chosen.any(1)
    filled = values.masked_fill(~(chosen | ~some[:, None]), float("-inf"))
    return torch.where(some, filled.logsumexp(1), 0.0)
