"""The unlabelled images of STL-10 (cs.stanford.edu/~acoates/stl10), in its tar archive."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from gauntlet.core.registry import register
from gauntlet.data.extract import read_members
from gauntlet.data.readers.stl10 import planes
from gauntlet.data.registry import Entry

NAME = "unlabeled_X.bin"


@register("reader", "stl10_unlabelled")
def read(files: dict[str, Path], entry: Entry) -> dict[str, np.ndarray]:
    """Images uint8 (n, C, H, W), in the publisher's order; all have the one label 0.

    Raises:
        GauntletError: they are missing, too large, or the last one is not whole.
    """
    limit = math.prod(entry.shape) * entry.examples("train")
    content = read_members(files["archive"], [NAME], limit=limit)[NAME]
    images = planes(content, entry, files["archive"], NAME)
    return {"train_images": images, "train_labels": np.zeros(len(images), np.uint8)}
