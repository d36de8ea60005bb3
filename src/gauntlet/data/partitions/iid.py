"""Every client owns the same mix of classes."""

from __future__ import annotations

import numpy as np

from gauntlet.core.registry import register
from gauntlet.data.partitions.base import Partition, checked, deal, grouped


@register("partition", "iid")
def iid(labels: np.ndarray, clients: int, generator: np.random.Generator) -> Partition:
    """Deal every class round-robin, in random order: class counts differ by one image at most."""
    rows = np.arange(len(labels))
    return checked(Partition(grouped(rows, deal(rows, labels, clients, generator), clients)))
