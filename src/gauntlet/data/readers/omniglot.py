"""Omniglot (github.com/brendenlake/omniglot): handwritten characters of many alphabets, in zip archives.

A file is ``<archive>/<alphabet>/<character>/<number of the character>_<drawer>.png``; black ink on white,
105 x 105. A class is named ``<alphabet>/<character>``. The same people drew all characters of an alphabet.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.extract import extract
from gauntlet.data.registry import Entry

SIDE = 105  # pixels
UNPACKED = 8  # times the size of an archive: the drawings take less room than their names in it


@register("reader", "omniglot")
def read(files: dict[str, Path], entry: Entry) -> dict[str, np.ndarray]:
    """Images uint8 (n, 1, H, H), white ink on black, and labels (n,), sorted by class and drawer.

    Of a class, the first drawers are for training and the last for testing, as many as the registry counts.
    A class that several archives have is taken from the first of them.

    Raises:
        GauntletError: a hostile or damaged archive; a class is missing, or has more or fewer drawings than
            the registry says; a drawing is not a PNG of 105 x 105.
    """
    images = {"train": [], "test": []}
    shares = _shares(entry.shape[-1])
    with tempfile.TemporaryDirectory() as scratch:
        roots = []
        for role, archive in files.items():
            (root := Path(scratch, role)).mkdir()
            extract(archive, root, limit=UNPACKED * archive.stat().st_size)
            roots.append(root)
        counts = zip(entry.classes, entry.per_class("train"), entry.per_class("test"), strict=True)
        for name, train, test in counts:
            found = [path for root in roots for path in sorted(root.glob("*/" + name)) if path.is_dir()]
            drawings = sorted(found[0].glob("*.png")) if found else []
            if len(drawings) != train + test:
                raise GauntletError(
                    f"{len(drawings)} drawings of {name}, not {train + test}",
                    file=" and ".join(map(str, files.values())),
                    remedy="fetch the file again",
                )
            drawn = [_drawing(path, shares, files, Path(scratch)) for path in drawings]
            images["train"] += drawn[:train]
            images["test"] += drawn[train:]
    arrays = {}
    for split, drawn in images.items():
        arrays[f"{split}_images"] = np.stack(drawn)[:, None]
        arrays[f"{split}_labels"] = np.repeat(np.arange(len(entry.classes)), entry.per_class(split))
    return arrays


def _shares(size: int) -> np.ndarray:
    """int64 (size, SIDE): how many ``size``-ths of a small pixel (column) lie in a large one (row)."""
    return np.repeat(np.eye(size, dtype=np.int64), SIDE, axis=1).reshape(size, SIDE, size).sum(2)


def _drawing(path: Path, shares: np.ndarray, files: dict[str, Path], scratch: Path) -> np.ndarray:
    """uint8 (size, size): the share of a pixel's area that is inked, 255 for all of it."""
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            ink = np.asarray(image.convert("L")) < 128
        if ink.shape != (SIDE, SIDE):
            raise ValueError(f"{ink.shape[1]} x {ink.shape[0]} pixels")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        role, *member = path.relative_to(scratch).parts
        raise GauntletError(
            f"not a PNG of {SIDE} x {SIDE} ({error})",
            file=files[role],
            key="/".join(member),
            remedy="fetch the file again",
        ) from error
    area = SIDE * SIDE
    return ((shares @ ink @ shares.T * 255 + area // 2) // area).astype(np.uint8)
