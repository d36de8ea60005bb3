"""Quantity skew: the same mix of classes, unequal amounts."""

from __future__ import annotations

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.partitions.base import Partition, checked, positive, split_by_shares


@register("partition", "quantity")
def quantity(
    labels: np.ndarray, clients: int, generator: np.random.Generator, *, alpha: float = 0.5, least: int = 1
) -> Partition:
    """Client sizes ~ Dir(alpha, ..., alpha) (NIID-Bench, "quantity skew"), images at random.

    Args:
        alpha: concentration; small values give few large clients.
        least: images that every client has at least, before the skewed rest is dealt.

    Raises:
        GauntletError: alpha is not positive, or there are fewer images than clients x ``least``.
    """
    positive(alpha, "alpha")
    if (start := clients * least) > len(labels):
        raise GauntletError(
            f"{len(labels)} images cannot give {clients} clients {least} each",
            key="data.options.least",
            remedy="lower it, or choose fewer clients",
        )
    shuffled = generator.permutation(len(labels))
    shares = generator.dirichlet(np.full(clients, alpha))
    pieces = split_by_shares(shuffled[start:], shares)
    floors = np.array_split(shuffled[:start], clients)
    return checked(Partition([np.concatenate(parts) for parts in zip(floors, pieces, strict=True)]))
