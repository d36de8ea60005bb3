"""The cropped digits of SVHN (ufldl.stanford.edu/housenumbers), in MATLAB's format 5.

``X`` is (height, width, channels, n), ``y`` (n, 1) with 10 for the digit 0. Only these two are read.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.readers import matlab
from gauntlet.data.registry import Entry

#: Element types that the labels may have; images are uint8.
NUMBERS = {"uint8", "int16", "int32", "float64", "float32"}


@register("reader", "svhn")
def read(files: dict[str, Path], entry: Entry) -> dict[str, np.ndarray]:
    """Images uint8 (n, C, H, W) and labels (n,) from 0 on, the digits themselves; a file for every split.

    Raises:
        GauntletError: not such a file, or arrays of other shapes or types.
    """
    arrays = {}
    for split in entry.splits:
        found = _arrays(files[split], split, entry)
        arrays[f"{split}_images"] = found["X"].transpose(3, 2, 0, 1)
        labels = found["y"].reshape(-1)
        arrays[f"{split}_labels"] = np.where(labels == 10, 0, labels).astype(np.int16)
        if not np.isin(labels, np.arange(1, 11)).all():
            raise GauntletError("labels outside 1 to 10", file=files[split], key="y", remedy="fetch it again")
    return arrays


def _arrays(path: Path, split: str, entry: Entry) -> dict[str, np.ndarray]:
    channels, height, width = entry.shape
    count = sum(entry.per_class(split))
    wanted = {"X": ((height, width, channels, count), {"uint8"}), "y": ((count, 1), NUMBERS)}
    content, found = path.read_bytes(), {}
    for name, (shape, kinds) in wanted.items():
        array = matlab.load(content, path, name, limit=matlab.HEAD + 8 * math.prod(shape))
        if array is None:
            raise GauntletError(f"it has no {name}", file=path, remedy="fetch the file again")
        facts = (array.shape, str(array.dtype)) if isinstance(array, np.ndarray) else ((), "no numbers")
        if facts[0] != shape or facts[1] not in kinds:
            raise GauntletError(
                f"{name} is {facts[1]} {facts[0]}, not {' or '.join(sorted(kinds))} {shape}",
                file=path,
                key=name,
                remedy="fetch the file again",
            )
        found[name] = array
    return found
