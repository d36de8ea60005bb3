"""Tables of numbers with a class per row.

A split is ``<split>_features.npy``, float64 (n, d), as published, and ``<split>_labels.npy``, unsigned (n,),
indices into the classes. ``dataset.json`` has the names of the classes and of the columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from gauntlet.core.files import read_json


@dataclass(frozen=True)
class Rows:
    """One part of the split.

    Attributes:
        features: float64 (n, d), memory-mapped and read-only, columns as in the set's ``feature_names``.
        labels: int64 (n,), indices into the set's ``class_names``.
    """

    features: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class TableSet:
    """A prepared table.

    Attributes:
        name: its name in the registry.
        class_names: one per label.
        feature_names: one per column.
        train, test, validation: the split; None for a part that the set does not have.
        form: see ``registry.FORMS``.
    """

    name: str
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    train: Rows | None = None
    test: Rows | None = None
    validation: Rows | None = None
    form: ClassVar[str] = "table"


def open_set(name: str, folder: Path) -> TableSet:
    """The set in a folder whose files have been verified."""
    facts = read_json(folder / "dataset.json")
    splits = {}
    for split in ("train", "test", "validation"):
        if split in facts:
            features = np.load(folder / f"{split}_features.npy", mmap_mode="r", allow_pickle=False)
            labels = np.load(folder / f"{split}_labels.npy", allow_pickle=False)
            splits[split] = Rows(features, labels.astype(np.int64))
    return TableSet(
        name=name, class_names=tuple(facts["classes"]), feature_names=tuple(facts["features"]), **splits
    )
