"""The binary version of CIFAR-10 (cs.toronto.edu/~kriz/cifar.html), in its tar archive.

A record is a byte for the label, then the red, the green and the blue plane, each row by row. The
pickled version is not read.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.extract import read_members
from gauntlet.data.readers.order import canonical
from gauntlet.data.registry import Entry

BATCHES = {"train": [f"data_batch_{number}.bin" for number in range(1, 6)], "test": ["test_batch.bin"]}


@register("reader", "cifar")
def read(files: dict[str, Path], entry: Entry) -> dict[str, np.ndarray]:
    """Images uint8 (n, C, H, W) and labels (n,), in canonical order: not every source has the batches'.

    Raises:
        GauntletError: a batch is missing, too large, or not a whole number of records.
    """
    record = 1 + math.prod(entry.shape)
    batches = read_members(
        files["archive"],
        [name for names in BATCHES.values() for name in names],
        limit=record * sum(sum(entry.per_class(split)) for split in BATCHES),
    )
    arrays = {}
    for split, names in BATCHES.items():
        found = np.concatenate([records(batches[name], record, files["archive"], name) for name in names])
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = canonical(
            found[:, 1:].reshape(-1, *entry.shape), found[:, 0]
        )
    return arrays


def records(content: bytes, size: int, archive: Path, name: str) -> np.ndarray:
    """uint8 (n, size): the records of a batch. Raises GauntletError when the last one is not whole."""
    if len(content) % size:
        raise GauntletError(
            f"{len(content)} bytes are not whole records of {size}",
            file=archive,
            key=name,
            remedy="fetch the file again",
        )
    return np.frombuffer(content, np.uint8).reshape(-1, size)
