"""Crowdsourced labels.

``labels.npy``, int32 (n, 3), has a row per label: item, worker, class. ``truth.npy``, int32 (items,), has the
true class of each item, ``UNKNOWN`` where it is not known. ``items.txt`` and ``workers.txt`` have what the
publisher calls each item and worker, a line each; ``dataset.json`` has the class names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from gauntlet.core.files import read_json

#: The true class of an item of which it is not known.
UNKNOWN = -1


@dataclass(frozen=True)
class CrowdSet:
    """A prepared set of crowdsourced labels.

    Attributes:
        name: its name in the registry.
        class_names: one per class.
        items, workers: what the publisher calls each of them.
        labels: int64 (n, 3): item, worker, class.
        truth: int64 (items,), a class or ``UNKNOWN``.
        form: see ``registry.FORMS``.
    """

    name: str
    class_names: tuple[str, ...]
    items: tuple[str, ...]
    workers: tuple[str, ...]
    labels: np.ndarray
    truth: np.ndarray
    form: ClassVar[str] = "labels"


def open_set(name: str, folder: Path) -> CrowdSet:
    """The set in a folder whose files have been verified."""
    facts = read_json(folder / "dataset.json")
    lists = ((folder / f"{kind}.txt").read_bytes().decode() for kind in ("items", "workers"))
    items, workers = (tuple(text.split("\n")[:-1]) for text in lists)
    arrays = (np.load(folder / f"{kind}.npy", allow_pickle=False) for kind in ("labels", "truth"))
    labels, truth = (array.astype(np.int64) for array in arrays)
    return CrowdSet(name, tuple(facts["classes"]), items, workers, labels, truth)
