"""Images as the tiles of lossless WebP mosaics: ``<split>-<number>.webp`` and ``<split>-labels.txt``.

The tiles of a mosaic go row by row, and the mosaics of a split in the order of their names; line i
of the labels belongs to tile i.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.readers.order import canonical
from gauntlet.data.registry import Entry


@register("reader", "mosaics")
def read(files: dict[str, Path], entry: Entry) -> dict[str, np.ndarray]:
    """Images uint8 (n, 3, H, W) and labels (n,), in canonical order: the publisher's is not kept.

    Raises:
        GauntletError: a mosaic is not an RGB image of whole tiles; a label is not an integer of 0 to
            255; there are more or fewer tiles than labels.
    """
    arrays = {}
    for split in ("train", "test"):
        named = files[f"{split}-labels.txt"]
        mosaics = sorted(name for name in files if name.startswith(f"{split}-") and name.endswith(".webp"))
        labels = _labels(named)
        tiles = [_tiles(files[name], *entry.shape) for name in mosaics]
        if (count := sum(map(len, tiles))) != len(labels):
            raise _refuse(named)(f"{len(labels)} labels for {count} tiles")
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = canonical(np.concatenate(tiles), labels)
    return arrays


def _refuse(path: Path) -> Callable[[object], GauntletError]:
    return lambda problem: GauntletError(
        f"cannot read it ({problem})", file=path, remedy="get the file again from where you have it"
    )


def _labels(path: Path) -> np.ndarray:
    try:
        return np.loadtxt(path, dtype=np.uint8, ndmin=1)
    except ValueError as error:
        raise _refuse(path)(error) from error


def _tiles(path: Path, channels: int, height: int, width: int) -> np.ndarray:
    """The tiles (n, C, H, W) of one mosaic."""
    from PIL import Image

    try:
        with Image.open(path, formats=["WEBP"]) as image:
            pixels = np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _refuse(path)(error) from error
    if pixels.ndim != 3 or pixels.shape[2] != channels or pixels.shape[0] % height or pixels.shape[1] % width:
        raise _refuse(path)(f"its shape {pixels.shape} is not one of {height}x{width} tiles")
    rows, columns = pixels.shape[0] // height, pixels.shape[1] // width
    grid = pixels.reshape(rows, height, columns, width, channels)
    return grid.transpose(0, 2, 4, 1, 3).reshape(-1, channels, height, width)
