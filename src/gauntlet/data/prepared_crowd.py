"""The prepared form of crowdsourced labels; see ``gauntlet.data.crowd``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gauntlet.data.crowd import UNKNOWN
from gauntlet.data.prepared import refused
from gauntlet.data.registry import CrowdEntry


@dataclass(frozen=True)
class Crowd:
    """What a reader of crowdsourced labels returns.

    Attributes:
        items, workers: what the publisher calls them.
        labels: integers (n, 3): item, worker, class; in the publisher's order.
        truth: integers (items,), a class or ``UNKNOWN``.
    """

    items: list[str]
    workers: list[str]
    labels: np.ndarray
    truth: np.ndarray


def check(found: Crowd, entry: CrowdEntry) -> None:
    """Compare what a reader returned with the registry: items, workers, labels and truth, by class.

    Raises:
        GauntletError: the first difference; a class that is none; two labels of a worker for an item.
    """

    classes = len(entry.classes)
    for kind in ("items", "workers"):
        if (count := len(getattr(found, kind))) != (expected := getattr(entry.counts, kind)):
            raise refused(entry, f"there are {count} {kind}, not {expected}")
    given, known = found.labels[:, 2], found.truth[found.truth != UNKNOWN]
    for kind, values in (("labels", given), ("truth", known)):
        if values.size and not (values.min() >= 0 and values.max() < classes):
            raise refused(entry, f"{kind}: a class is outside 0 to {classes - 1}")
        expected = getattr(entry.counts, kind)
        count = np.bincount(values, minlength=classes).tolist() if isinstance(expected, list) else len(values)
        if count != expected:
            raise refused(entry, f"{kind}: there are {count}, not {expected}")
    pairs, counts = np.unique(found.labels[:, :2], axis=0, return_counts=True)
    if (counts > 1).any():
        item, worker = pairs[counts.argmax()]
        raise refused(
            entry, f"worker {found.workers[worker]} labels the item {found.items[item]} {counts.max()} times"
        )


def write(found: Crowd, entry: CrowdEntry, folder: Path) -> None:
    """Write the prepared form into the new folder ``folder``. Raises GauntletError as ``check``."""
    check(found, entry)
    folder.mkdir()
    np.save(folder / "labels.npy", found.labels.astype(np.int32), allow_pickle=False)
    np.save(folder / "truth.npy", found.truth.astype(np.int32), allow_pickle=False)
    for kind in ("items", "workers"):
        text = "".join(f"{name}\n" for name in getattr(found, kind))
        (folder / f"{kind}.txt").write_bytes(text.encode())
    facts = {
        "name": entry.name,
        "form": entry.form,
        "classes": entry.classes,
        **entry.counts.model_dump(),
    }
    (folder / "dataset.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
