"""Tiny ImageNet (cs231n.stanford.edu), in its zip archive: 64x64 JPEG files of 200 classes of ImageNet.

``wnids.txt`` has the WordNet numbers of the classes. A training image is
``train/<class>/images/<class>_<number>.JPEG``; ``val/val_annotations.txt`` has lines of an image of
``val/images``, its class and a box. The images of ``test`` have no published labels.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.extract import member_names, stream_members
from gauntlet.data.photos import open_image
from gauntlet.data.readers.rows import not_a_list, rows
from gauntlet.data.registry import Entry

FOLDER = "tiny-imagenet-200"
CLASSES, VALIDATION = f"{FOLDER}/wnids.txt", f"{FOLDER}/val/val_annotations.txt"
TRAINING = re.compile(rf"{FOLDER}/train/(n\d{{8}})/images/\1_(\d{{1,9}})\.JPEG")
UNPACKED = 4  # what the archive may unpack to, in times its own size


@register("reader", "tiny_imagenet")
def read(files: dict[str, Path], entry: Entry) -> dict[str, np.ndarray]:
    """Training images by class and number; those for validation, in the order of their list, for testing.

    Images uint8 (n, 3, H, W), grey files in three equal channels; classes in the order of the entry.

    Raises:
        GauntletError: other classes than the registry's; an image is missing, does not decode or has another
            size.
    """
    archive = files["archive"]
    limit = UNPACKED * archive.stat().st_size
    lists = dict(stream_members(archive, [CLASSES, VALIDATION], limit=limit))
    label = {name: place for place, name in enumerate(entry.classes)}
    if {name for (name,) in rows(lists[CLASSES], archive, CLASSES, 1)} != set(label):
        raise not_a_list(archive, CLASSES, f"its classes are not those of {entry.name} in the registry")
    trained = sorted(
        (match[1], int(match[2]), match[0])
        for match in map(TRAINING.fullmatch, member_names(archive))
        if match
    )
    listed = [(name, kind) for name, kind, _ in rows(lists[VALIDATION], archive, VALIDATION, 3)]
    parts = {
        "train": [(member, kind) for kind, _, member in trained],
        "test": [(f"{FOLDER}/val/images/{name}", kind) for name, kind in listed],
    }
    arrays, places = {}, {}
    for split, images in parts.items():
        if unknown := {kind for _, kind in images} - set(label):
            raise not_a_list(archive, VALIDATION, f"{min(unknown)} is none of the classes")
        if len(images) != entry.examples(split):
            raise not_a_list(archive, "", f"it has {len(images)} {split} images, not {entry.examples(split)}")
        arrays[f"{split}_images"] = np.empty((len(images), *entry.shape), np.uint8)
        arrays[f"{split}_labels"] = np.array([label[kind] for _, kind in images])
        places.update({member: (split, row) for row, (member, _) in enumerate(images)})
    for member, content in stream_members(archive, places, limit=limit):
        split, row = places[member]
        arrays[f"{split}_images"][row] = _pixels(content, entry, archive, member)
    return arrays


def _pixels(content: bytes, entry: Entry, archive: Path, member: str) -> np.ndarray:
    """uint8 (3, H, W)."""
    _, height, width = entry.shape
    try:
        with open_image(content) as image:
            if image.size != (width, height):
                raise ValueError(f"it is {image.width}x{image.height}, not {width}x{height}")
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged file makes the decoder raise
        raise GauntletError(
            f"it does not decode ({error})", file=archive, key=member, remedy="fetch the archive again"
        ) from error
