"""The binary version of CIFAR-100 (cs.toronto.edu/~kriz/cifar.html), in its tar archive.

A record is a byte for the coarse label, one for the fine label, then the red, the green and the blue plane,
each row by row. The pickled version is not read.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from gauntlet.core.registry import register
from gauntlet.data.extract import read_members
from gauntlet.data.readers.cifar import records
from gauntlet.data.readers.rows import not_a_list
from gauntlet.data.registry import Entry

SPLITS = ("train", "test")
NAMES = "fine_label_names.txt"
ROOM = 4096  # bytes that the names may have


@register("reader", "cifar100")
def read(files: dict[str, Path], entry: Entry) -> dict[str, np.ndarray]:
    """Images uint8 (n, C, H, W) and fine labels (n,), in the publisher's order.

    Raises:
        GauntletError: a file is missing, too large, or not a whole number of records; the fine labels have
            other names than the registry's classes.
    """
    archive, size = files["archive"], 2 + math.prod(entry.shape)
    found = read_members(
        archive,
        [NAMES, *(f"{split}.bin" for split in SPLITS)],
        limit=ROOM + size * sum(entry.examples(split) for split in SPLITS),
    )
    names = found[NAMES].decode(errors="replace").split()
    if names != entry.classes:
        raise not_a_list(archive, NAMES, f"its names are not the classes of {entry.name} in the registry")
    arrays = {}
    for split in SPLITS:
        batch = records(found[f"{split}.bin"], size, archive, f"{split}.bin")
        arrays[f"{split}_images"] = batch[:, 2:].reshape(-1, *entry.shape)
        arrays[f"{split}_labels"] = batch[:, 1]
    return arrays
