"""Probabilities from logits, exact where they are next to 0 or 1."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax, logsumexp


def log_p(logits: np.ndarray) -> np.ndarray:
    """(..., K) logits -> log probabilities, float64."""
    return log_softmax(np.asarray(logits, dtype=np.float64), axis=-1)


def log_rest(logits: np.ndarray) -> np.ndarray:
    """(..., K) logits -> ``log(1 - p_k)``, float64: finite for the likely class too."""
    found = log_p(logits)
    top = found.argmax(axis=-1, keepdims=True)
    others = found.copy()
    np.put_along_axis(others, top, -np.inf, axis=-1)
    np.put_along_axis(found, top, -np.inf, axis=-1)  # the rest are at most 1/2: no cancellation
    rest = np.log1p(-np.exp(found))
    np.put_along_axis(rest, top, logsumexp(others, axis=-1, keepdims=True), axis=-1)
    return rest


def of_label(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(..., n, K) values -> (..., n), those of the (n,) labels."""
    return values[..., np.arange(len(labels)), labels]


def scaled(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(..., n) ``log(p / (1 - p))`` of the label's probability p (Carlini et al. 2022): about
    normal over models."""
    return of_label(log_p(logits), labels) - of_label(log_rest(logits), labels)
