"""MNIST-C (zenodo.org/records/3239543): the images of MNIST under corruptions, in its zip archive.

``<corruption>/test_images.npy`` is uint8 (n, 28, 28, 1) and ``<corruption>/test_labels.npy`` (n,). The
corrupted training images are left in the archive: the set is for testing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gauntlet.core.registry import register
from gauntlet.data.extract import stream_members
from gauntlet.data.readers.npy import array
from gauntlet.data.registry import Entry

FOLDER = "mnist_c"
UNPACKED = 8  # what the archive may unpack to, in times its own size


@register("reader", "mnist_c")
def read(files: dict[str, Path], entry: Entry) -> dict[str, np.ndarray]:
    """Images uint8 (n, C, H, W) and labels (n,), in the order of the entry's conditions.

    Raises:
        GauntletError: a file is missing, or not such an array.
    """
    archive, (channels, height, width) = files["archive"], entry.shape
    count = entry.examples("test") // len(entry.conditions)
    images = np.empty((len(entry.conditions), count, *entry.shape), np.uint8)
    labels = np.empty((len(entry.conditions), count), np.int64)
    wanted = {
        f"{FOLDER}/{condition}/test_{kind}.npy": (place, kind)
        for place, condition in enumerate(entry.conditions)
        for kind in ("images", "labels")
    }
    for name, content in stream_members(archive, wanted, limit=UNPACKED * archive.stat().st_size):
        place, kind = wanted[name]
        if kind == "images":
            part = array(content, archive, name, (count, height, width, channels), np.uint8)
            images[place] = part.transpose(0, 3, 1, 2)
        else:
            labels[place] = array(content, archive, name, (count,), np.integer)
    return {"test_images": images.reshape(-1, *entry.shape), "test_labels": labels.reshape(-1)}
