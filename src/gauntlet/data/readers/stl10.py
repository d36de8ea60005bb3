"""The binary version of STL-10 (cs.stanford.edu/~acoates/stl10), in its tar archive.

An image is three planes, each column by column. Labels start at 1. The unlabelled images, which
``stl10_unlabelled`` reads, and the folds are left in the archive.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.extract import read_members
from gauntlet.data.registry import Entry

SPLITS = ("train", "test")


@register("reader", "stl10")
def read(files: dict[str, Path], entry: Entry) -> dict[str, np.ndarray]:
    """Images uint8 (n, C, H, W) and labels (n,) from 0 on, in the publisher's order.

    Raises:
        GauntletError: a file is missing, too large, or does not have an image for each label.
    """
    members = read_members(
        files["archive"],
        [f"{split}_{kind}.bin" for split in SPLITS for kind in "Xy"],
        limit=(math.prod(entry.shape) + 1) * sum(sum(entry.per_class(split)) for split in SPLITS),
    )
    arrays = {}
    for split in SPLITS:
        images = planes(members[f"{split}_X.bin"], entry, files["archive"], f"{split}_X.bin")
        labels = np.frombuffer(members[f"{split}_y.bin"], np.uint8)
        if len(images) != len(labels):
            raise GauntletError(
                f"{len(images)} images for {len(labels)} labels",
                file=files["archive"],
                key=f"{split}_X.bin",
                remedy="fetch the file again",
            )
        arrays[f"{split}_images"] = images
        arrays[f"{split}_labels"] = labels.astype(np.int16) - 1
    return arrays


def planes(content: bytes, entry: Entry, archive: Path, name: str) -> np.ndarray:
    """uint8 (n, C, H, W). Raises GauntletError when the last image of ``name`` is not whole."""
    channels, height, width = entry.shape
    if len(content) % math.prod(entry.shape):
        raise GauntletError(
            f"{len(content)} bytes are not whole images of {math.prod(entry.shape)}",
            file=archive,
            key=name,
            remedy="fetch the file again",
        )
    return np.frombuffer(content, np.uint8).reshape(-1, channels, width, height).swapaxes(2, 3)
