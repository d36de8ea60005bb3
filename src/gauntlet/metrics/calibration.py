"""How far a classifier's probabilities are from frequencies, and temperature scaling (Guo et al. 2017,
arXiv 1706.04599)."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from gauntlet.core.errors import GauntletError
from gauntlet.metrics.arrays import labels as checked_labels

#: Equally wide bins of confidence (section 2 of the paper).
BINS = 15


def scores(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """``accuracy``, ``nll`` (nats), ``brier`` (sum over classes) and ``ece`` of logits (n, K).

    Raises:
        GauntletError: logits that are not finite or not (n, K), or labels that do not fit.
    """
    logits, labels = _checked(logits, labels)
    log_p = log_softmax(logits, axis=1)
    p = np.exp(log_p)
    rows = np.arange(len(labels))
    hits = p.argmax(axis=1) == labels
    target = np.zeros_like(p)
    target[rows, labels] = 1
    return {
        "accuracy": float(hits.mean()),
        "nll": float(-log_p[rows, labels].mean()),
        "brier": float(((p - target) ** 2).sum(axis=1).mean()),
        "ece": expected_calibration_error(p.max(axis=1), hits),
    }


def expected_calibration_error(confidence: np.ndarray, hits: np.ndarray, bins: int = BINS) -> float:
    """Mean distance of accuracy from confidence over bins (i / bins, (i + 1) / bins], weighted by their size
    (equation 3)."""
    at = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    size = np.bincount(at, minlength=bins)
    gap = np.bincount(at, weights=hits - confidence, minlength=bins)
    return float(np.abs(gap).sum() / size.sum())


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """T > 0 that minimises the negative log-likelihood of ``logits / T`` (section 4.2), within [0.01, 100].

    Raises:
        GauntletError: see ``scores``.
    """
    logits, labels = _checked(logits, labels)
    rows = np.arange(len(labels))

    def nll(log_t: float) -> float:
        return -log_softmax(logits / np.exp(log_t), axis=1)[rows, labels].mean()

    found = minimize_scalar(
        nll, bounds=(np.log(0.01), np.log(100)), method="bounded", options={"xatol": 1e-8}
    )
    return float(np.exp(found.x))


def _checked(logits, labels) -> tuple[np.ndarray, np.ndarray]:
    logits = np.asarray(logits, dtype=np.float64)
    if logits.ndim != 2 or not logits.size:
        raise GauntletError(
            f"logits must have the shape (n, K), not {logits.shape}", remedy="check the model"
        )
    if not np.isfinite(logits).all():
        raise GauntletError("logits are not finite", remedy="the training diverged; lower its rate")
    labels = checked_labels(labels, len(logits))
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise GauntletError(
            f"labels must be in 0..{logits.shape[1] - 1}, not {labels.min()}..{labels.max()}",
            remedy="give the network as many outputs as there are classes",
        )
    return logits, labels
