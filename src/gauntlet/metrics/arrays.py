"""What every score checks of its input first."""

from __future__ import annotations

import numpy as np

from gauntlet.core.errors import GauntletError


def embeddings(values) -> np.ndarray:
    """A tensor or array (n, D) as contiguous float32 on the CPU.

    Raises:
        GauntletError: not two-dimensional, empty, or not finite.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    values = np.ascontiguousarray(values, dtype=np.float32)
    if values.ndim != 2 or not values.size:
        raise GauntletError(
            f"embeddings must have the shape (n, D), not {values.shape}", remedy="check the model's output"
        )
    if not np.isfinite(values).all():
        raise GauntletError("embeddings are not finite", remedy="the training diverged; lower its rate")
    return values


def labels(values, n: int) -> np.ndarray:
    """A tensor or array of ``n`` integer labels as int64 on the CPU. Raises GauntletError otherwise."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    values = np.asarray(values)
    if values.shape != (n,) or values.dtype.kind not in "iub":
        raise GauntletError(
            f"expected {n} integer labels, got {values.dtype} of shape {values.shape}",
            remedy="give one label per embedding",
        )
    return values.astype(np.int64)
