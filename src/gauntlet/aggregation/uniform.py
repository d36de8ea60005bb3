"""The plain mean of the local models."""

from __future__ import annotations

import numpy as np

from gauntlet.core.registry import register


@register("aggregation", "uniform")
def uniform(samples: np.ndarray) -> np.ndarray:
    """``w_{t+1} = sum_k w_k / K``, whatever the clients' sizes; what the FedEMD paper calls "FedSGD"."""
    return np.full(len(samples), 1 / len(samples))
