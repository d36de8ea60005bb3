"""Rows of the tables that attack jobs write (``core.tables``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor


def score(
    seed: int,
    attack: str,
    metric: str,
    value: float,
    *,
    suite: str = "main",
    eps: float = 0.0,
    steps: int = 0,
    fraction: float = 0.0,
    view: str = "ensemble",
    detail: str = "",
) -> dict[str, Any]:
    """One row of ``scores``."""
    return {
        "seed": seed,
        "suite": suite,
        "attack": attack,
        "eps": float(eps),
        "steps": int(steps),
        "fraction": float(fraction),
        "view": view,
        "detail": detail,
        "metric": metric,
        "value": value,
    }


def predictions(
    seed: int,
    attack: str,
    index: Iterable[int],
    labels: Tensor,
    logits: Tensor,
    clean: Tensor,
    found: Tensor | None = None,
) -> list[dict[str, Any]]:
    """Rows of ``predictions``: one per image.

    Args:
        index: the images' rows in the dataset's test split.
        labels: (n,) their classes.
        logits: (n, K) what the network makes of ``found``.
        clean: (n, C, H, W) the images.
        found: what an attack made of them; ``clean`` when None. ``distance`` is L2, pixel range 1.
    """
    confidence, predicted = logits.double().softmax(1).max(1)
    distance = ((clean if found is None else found) - clean).flatten(1).norm(dim=1)
    columns = (column.tolist() for column in (labels, predicted, confidence, distance))
    return [
        {
            "seed": seed,
            "attack": attack,
            "index": int(image),
            "label": label,
            "predicted": guess,
            "confidence": sure,
            "distance": far,
        }
        for image, label, guess, sure, far in zip(index, *columns, strict=True)
    ]
