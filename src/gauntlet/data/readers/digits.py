"""scikit-learn's ``digits.csv``: 64 pixels (0 to 16) and the label per line."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.registry import Entry

#: Of each class, every ``TEST_EVERY``-th image from the first on is for testing (the file has no split).
TEST_EVERY = 5


@register("reader", "digits")
def read(files: dict[str, Path], entry: Entry) -> dict[str, np.ndarray]:
    """Images (n, 1, 8, 8) and labels, in the file's order within each split."""
    try:
        table = np.loadtxt(files["table"], delimiter=",", dtype=np.uint8, ndmin=2)
        images, labels = table[:, :64].reshape(-1, 1, 8, 8), table[:, 64]
    except (ValueError, IndexError) as error:
        raise GauntletError(
            f"not the digits table ({error})", file=files["table"], remedy="fetch the file again"
        ) from error
    test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        test[np.flatnonzero(labels == label)[::TEST_EVERY]] = True
    return {
        "train_images": images[~test],
        "train_labels": labels[~test],
        "test_images": images[test],
        "test_labels": labels[test],
    }
