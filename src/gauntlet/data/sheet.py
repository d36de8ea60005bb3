"""A sheet of samples of a prepared dataset: training images, a column per class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import atomic
from gauntlet.data import registry
from gauntlet.data.dataset import Dataset, Split, load
from gauntlet.data.photos import Photos, PhotoSet, open_image

#: Pixels of a sample and of the space between two; columns and rows of a sheet.
TILE, SPACE, COLUMNS, ROWS = 64, 4, 12, 4


def draw(name: str, out: str | Path) -> Path:
    """Write the sheet as WebP, after comparing the set with the registry's hashes.

    Raises:
        GauntletError: as ``gauntlet.data.dataset.load``; a set without images; a photo that does not decode.
    """
    if name in registry.names() and name not in registry.illustrated():
        raise GauntletError(f"{name!r} has no images to show", remedy="choose a dataset of images")
    drawn = sheet(load(name, splits=()))
    with atomic(Path(out)) as temporary:
        drawn.save(temporary, format="WEBP", quality=80, method=4)
    return Path(out)


def sheet(dataset: Dataset | PhotoSet) -> Image.Image:
    """The first ``ROWS`` images for training (for testing, where there are none) of every class, of at most
    ``COLUMNS`` classes evenly over all; a class with fewer leaves places empty. RGB, white between."""
    split = dataset.train or dataset.test
    labels = np.asarray(split.labels)
    classes = np.unique(labels)
    chosen = classes[np.linspace(0, len(classes) - 1, min(COLUMNS, len(classes))).round().astype(int)]
    columns = [np.flatnonzero(labels == label)[:ROWS] for label in chosen]
    step = TILE + SPACE
    size = (len(columns) * step - SPACE, max(map(len, columns)) * step - SPACE)
    drawn = Image.new("RGB", size, "white")
    for x, column in enumerate(columns):
        for y, row in enumerate(column):
            tile = _tile(dataset, split, int(row))
            corner = (x * step + (TILE - tile.width) // 2, y * step + (TILE - tile.height) // 2)
            drawn.paste(tile, corner)
    return drawn


def _tile(dataset: Dataset | PhotoSet, split: Split | Photos, row: int) -> Image.Image:
    """One image, at most ``TILE`` high and wide; small ones grow by a whole factor."""
    if dataset.form == "photos":
        return split.view(row, _fit)
    pixels = split.images[row].astype(np.uint16) * 255 // dataset.peak
    pixels = np.moveaxis(pixels.astype(np.uint8), 0, -1)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    longest = max(image.size)
    if longest > TILE:
        return ImageOps.contain(image, (TILE, TILE))
    return image.resize([side * (TILE // longest) for side in image.size], Image.Resampling.NEAREST)


def _fit(encoded: bytes, _uniforms=None) -> Image.Image:
    """The middle of a photo, as large as a tile."""
    with open_image(encoded) as image:
        return ImageOps.fit(image.convert("RGB"), (TILE, TILE))
