"""miniImageNet in the split of Ravi and Larochelle (2017), as three pickles (zenodo.org/records/7978538).

Each is a dictionary of ``image_data``, uint8 (n, 84, 84, 3), and ``class_dict``, the rows of the images of
every class by its WordNet number.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gauntlet.core.registry import register
from gauntlet.data.readers.pickles import byte_array, load_pickle, refuse
from gauntlet.data.registry import Entry


@register("reader", "mini_imagenet")
def read(files: dict[str, Path], entry: Entry) -> dict[str, np.ndarray]:
    """Images uint8 (n, 3, H, W) in the publisher's order, labels (n,) in the order of the entry's classes.

    Raises:
        GauntletError: a pickle is refused, or holds anything else; a class is not the registry's; a row is of
            no class or of two.
    """
    arrays = {}
    for split in entry.splits:
        path = files[split]
        found = load_pickle(path)
        if not isinstance(found, dict) or not {"image_data", "class_dict"} <= set(found):
            raise refuse(path, "no image_data and class_dict")
        images = byte_array(found["image_data"], path)
        arrays[f"{split}_images"] = images.transpose(0, 3, 1, 2) if images.ndim == 4 else images
        arrays[f"{split}_labels"] = _labels(found["class_dict"], len(images), entry, path)
    return arrays


def _labels(classes: object, count: int, entry: Entry, path: Path) -> np.ndarray:
    """int64 (count,)."""
    label = {name: place for place, name in enumerate(entry.classes)}
    labels = np.full(count, -1)
    try:
        rows = {name: np.array(listed, np.int64).reshape(-1) for name, listed in classes.items()}
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise refuse(path, f"class_dict has no rows: {error}") from error
    for name, taken in rows.items():
        if name not in label:
            raise refuse(path, f"{name!r} is no class of {entry.name}")
        if len(taken) and (taken.min() < 0 or taken.max() >= count):
            raise refuse(path, f"{name} has a row outside of {count}")
        if (labels[taken] >= 0).any() or len(set(taken.tolist())) < len(taken):
            raise refuse(path, f"{name} has a row that is there twice")
        labels[taken] = label[name]
    if (labels < 0).any():
        raise refuse(path, f"row {int(np.argmin(labels))} is of no class")
    return labels
