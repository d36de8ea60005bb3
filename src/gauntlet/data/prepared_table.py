"""The prepared form of tables; see ``gauntlet.data.tables``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gauntlet.data.prepared import check_labels, refused, write_splits
from gauntlet.data.registry import TableEntry


def check(arrays: Mapping[str, np.ndarray], entry: TableEntry) -> None:
    """Compare what a reader returned with the registry: shapes, finite values, rows per class.

    Raises:
        GauntletError: the first difference.
    """

    for split in entry.splits:
        features = arrays[f"{split}_features"]
        shape = (entry.examples(split), len(entry.features))
        if features.dtype != np.float64 or features.shape != shape:
            raise refused(
                entry, f"{split} features are {features.dtype} {features.shape}, not float64 {shape}"
            )
        if not np.isfinite(features).all():
            raise refused(entry, f"a {split} value is {features[~np.isfinite(features)][0]}")
        check_labels(arrays[f"{split}_labels"], entry, split, "row")


def write(arrays: Mapping[str, np.ndarray], entry: TableEntry, folder: Path) -> None:
    """Write the prepared form into the new folder ``folder``. Raises GauntletError as ``check``."""
    check(arrays, entry)
    facts = {
        "name": entry.name,
        "form": entry.form,
        "classes": entry.classes,
        "features": entry.features,
        **{split: entry.per_class(split) for split in entry.splits},
    }
    write_splits(arrays, "features", entry, facts, folder)
