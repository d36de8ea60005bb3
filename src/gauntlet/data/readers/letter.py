"""UCI's Letter Recognition: a line has a capital letter and 16 integers of 0 to 15."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gauntlet.core.registry import register
from gauntlet.data.readers.rows import labels, not_a_list
from gauntlet.data.registry import TableEntry

TRAIN = 16_000  # the publisher's split: the first so many rows are for training


@register("reader", "letter")
def read(files: dict[str, Path], entry: TableEntry) -> dict[str, np.ndarray]:
    """Features float64 (n, 16) and labels (n,), in the file's order.

    Raises:
        GauntletError: a line is not a class of the registry and an integer for each feature.
    """
    path = files["table"]
    try:
        table = np.loadtxt(path, delimiter=",", dtype=str, ndmin=2, encoding="utf-8")
        features = table[:, 1:].astype(np.int64).astype(np.float64)
    except ValueError as error:
        raise not_a_list(path, "", str(error)) from error
    found = np.array(labels(table[:, 0].tolist(), entry.classes, path, ""), np.int64)
    return {
        "train_features": features[:TRAIN],
        "train_labels": found[:TRAIN],
        "test_features": features[TRAIN:],
        "test_labels": found[TRAIN:],
    }
