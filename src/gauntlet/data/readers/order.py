"""An order of images that does not depend on how a source arranges them."""

from __future__ import annotations

import hashlib

import numpy as np


def canonical(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, ...) and labels (n,), sorted by label and then by the SHA-256 of an image's pixels."""
    digests = [hashlib.sha256(np.ascontiguousarray(image)).digest() for image in images]
    keys = labels.tolist()
    order = sorted(range(len(keys)), key=lambda index: (keys[index], digests[index]))
    return images[order], labels[order]
