"""Items and workers by number, from what a publisher calls them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gauntlet.data.crowd import UNKNOWN
from gauntlet.data.prepared_crowd import Crowd
from gauntlet.data.readers.rows import not_a_list


def crowd(
    labels: Iterable[tuple[str, str, int]], truth: Iterable[tuple[str, int]], file: Path, key: str = ""
) -> Crowd:
    """Number items and workers: in the order of their names if all are numbers, otherwise as they first come.

    Args:
        labels: item, worker and class of each label.
        truth: item and true class, perhaps repeated.
        file, key: what they were read from, for messages.

    Raises:
        GauntletError: an item has two true classes.
    """
    labels, known = list(labels), list(dict.fromkeys(truth))
    items = _numbered([item for item, _, _ in labels] + [item for item, _ in known])
    workers = _numbered([worker for _, worker, _ in labels])
    if len(known) > len({item for item, _ in known}):
        raise not_a_list(file, key, "an item has two true classes")
    rows = [(items[item], workers[worker], label) for item, worker, label in labels]
    classes = np.full(len(items), UNKNOWN, np.int64)
    for item, label in known:
        classes[items[item]] = label
    return Crowd(list(items), list(workers), np.array(rows, np.int64).reshape(-1, 3), classes)


def _numbered(names: list[str]) -> dict[str, int]:
    distinct = dict.fromkeys(names)
    ordered = sorted(distinct, key=int) if all(name.isdecimal() for name in distinct) else distinct
    return {name: number for number, name in enumerate(ordered)}
