"""Federated averaging."""

from __future__ import annotations

import numpy as np

from gauntlet.core.registry import register


@register("aggregation", "fedavg")
def fedavg(samples: np.ndarray) -> np.ndarray:
    """``w_{t+1} = sum_k n_k w_k / sum_k n_k`` (McMahan et al. 2017, Algorithm 1)."""
    return samples / samples.sum()
