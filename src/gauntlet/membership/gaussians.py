"""Normal distributions of a candidate's confidence over shadow models, as LiRA fits them."""

from __future__ import annotations

import math

import numpy as np

from gauntlet.core.errors import GauntletError

#: Shadow models below which all candidates share one variance (Carlini et al. 2022).
FEW = 64


def fit(values: np.ndarray, used: np.ndarray, variance: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, each (q, n), of (m, q, n) ``values`` over the models of ``used`` (m, n).

    Args:
        variance: ``each``: of every candidate alone; ``global``: one for all candidates (per query), from
            their distances to their own means; ``auto``: ``global`` where there are fewer than 64 models.

    Raises:
        GauntletError: a candidate with too few models to fit, or values that do not vary at all.
    """
    if variance == "auto":
        variance = "global" if len(values) < FEW else "each"
    count = used.sum(axis=0)
    least = 2 if variance == "each" else 1
    if (count < least).any():
        raise _few(f"a candidate has {count.min()} shadow models of a kind; {least} are needed")
    mask = used[:, None]
    mean = np.where(mask, values, 0).sum(axis=0) / count
    squares = np.where(mask, (values - mean) ** 2, 0).sum(axis=0)
    if variance == "global":
        freedom = count.sum() - len(count)  # a mean was fitted per candidate
        if not freedom:
            raise _few("one shadow model of a kind per candidate leaves no variance to fit")
        squares = np.broadcast_to(squares.sum(axis=1, keepdims=True) / freedom, squares.shape)
    else:
        squares = squares / (count - 1)
    if not (squares > 0).all():
        raise GauntletError(
            "shadow models that all answer alike have no variance", remedy="train them from different seeds"
        )
    return mean, np.sqrt(squares)


def log_density(values: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """``log N(values; mean, deviation^2)``. Importing scipy's takes half as long as importing torch."""
    return -(((values - mean) / deviation) ** 2) / 2 - np.log(deviation) - math.log(2 * math.pi) / 2


def _few(problem: str) -> GauntletError:
    return GauntletError(problem, key="evaluate.attacks", remedy="train more shadow models, on random halves")
