"""The prepared form of tables; see ``gauntlet.data.tables``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.data.registry import TableEntry


def check(arrays: Mapping[str, np.ndarray], entry: TableEntry) -> None:
    """Compare what a reader returned with the registry: shapes, finite values, rows per class.

    Raises:
        GauntletError: the first difference.
    """

    def refuse(problem: str) -> None:
        raise GauntletError(
            f"{entry.name}: {problem}", remedy=f"correct the reader {entry.reader!r}, or the registry"
        )

    for split in entry.splits:
        features, labels = arrays[f"{split}_features"], arrays[f"{split}_labels"]
        expected = entry.per_class(split)
        shape = (sum(expected), len(entry.features))
        if features.dtype != np.float64 or features.shape != shape:
            refuse(f"{split} features are {features.dtype} {features.shape}, not float64 {shape}")
        if not np.isfinite(features).all():
            refuse(f"a {split} value is {features[~np.isfinite(features)][0]}")
        if labels.shape != shape[:1] or labels.dtype.kind not in "iu":
            refuse(f"{split} labels are {labels.dtype} {labels.shape}, not one integer per row")
        if labels.min() < 0 or labels.max() >= len(expected):
            refuse(f"{split} labels are outside 0 to {len(expected) - 1}")
        if (found := np.bincount(labels, minlength=len(expected)).tolist()) != expected:
            refuse(f"{split} rows per class are {found}, not {expected}")


def write(arrays: Mapping[str, np.ndarray], entry: TableEntry, folder: Path) -> None:
    """Write the prepared form into the new folder ``folder``. Raises GauntletError as ``check``."""
    check(arrays, entry)
    folder.mkdir()
    label = np.min_scalar_type(len(entry.classes) - 1)
    for split in entry.splits:
        features = np.ascontiguousarray(arrays[f"{split}_features"])
        np.save(folder / f"{split}_features.npy", features, allow_pickle=False)
        np.save(folder / f"{split}_labels.npy", arrays[f"{split}_labels"].astype(label), allow_pickle=False)
    facts = {
        "name": entry.name,
        "form": entry.form,
        "classes": entry.classes,
        "features": entry.features,
        **{split: entry.per_class(split) for split in entry.splits},
    }
    (folder / "dataset.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
