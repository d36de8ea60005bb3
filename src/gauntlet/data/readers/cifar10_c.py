"""CIFAR-10-C (zenodo.org/records/2535967): the test images of CIFAR-10 under corruptions, in its tar archive.

``<corruption>.npy`` is uint8 (n, 32, 32, 3), all images at the first severity, then all at the second, and so
on; ``labels.npy`` has their labels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gauntlet.core.registry import register
from gauntlet.data.extract import stream_members
from gauntlet.data.readers.npy import array
from gauntlet.data.registry import Entry

FOLDER = "CIFAR-10-C"
LABELS = f"{FOLDER}/labels.npy"
HEADER = 1 << 12  # bytes that the header of an array may have


@register("reader", "cifar10_c")
def read(files: dict[str, Path], entry: Entry) -> dict[str, np.ndarray]:
    """Images uint8 (n, C, H, W) and labels (n,) by the entry's conditions, ``<corruption>/<severity>``.

    Raises:
        GauntletError: a file is missing, too large, or not such an array.
    """
    archive, (channels, height, width) = files["archive"], entry.shape
    corruptions = list(dict.fromkeys(condition.split("/")[0] for condition in entry.conditions))
    count = entry.examples("test") // len(corruptions)  # of one corruption, at all severities
    images = np.empty((len(corruptions) * count, *entry.shape), np.uint8)
    places = {f"{FOLDER}/{name}.npy": place * count for place, name in enumerate(corruptions)}
    size = count * height * width * channels + HEADER
    labels = None
    for name, content in stream_members(
        archive, [*places, LABELS], limit=2 * archive.stat().st_size, member_limit=size
    ):
        if name == LABELS:
            labels = array(content, archive, name, (count,), np.integer)
        else:
            part = array(content, archive, name, (count, height, width, channels), np.uint8)
            images[places[name] : places[name] + count] = part.transpose(0, 3, 1, 2)
    return {"test_images": images, "test_labels": np.tile(labels, len(corruptions))}
