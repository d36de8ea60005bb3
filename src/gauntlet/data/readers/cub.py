"""CUB-200-2011 (vision.caltech.edu/datasets/cub_200_2011), in its tar archive.

``images.txt``, ``image_class_labels.txt`` and ``classes.txt`` are lines of a number, from 1 on, and what it
has: a path below ``images/``, a class, a name. The first half of the classes is for training; the bounding
boxes, the parts and the split for classification are left alone.
"""

from __future__ import annotations

from pathlib import Path

from gauntlet.core.registry import register
from gauntlet.data.extract import stream_members
from gauntlet.data.packed import Album, Listed
from gauntlet.data.readers.rows import not_a_list, numbers, rows
from gauntlet.data.registry import PhotoEntry

TOP = "CUB_200_2011"
LISTS = ("images.txt", "image_class_labels.txt", "classes.txt")


@register("reader", "cub")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """The classes up to ``counts.train.classes`` train, the others test; in the order of ``images.txt``.

    Raises:
        GauntletError: a list is missing, is no such list, or does not have a label for every image.
    """
    archive = files["archive"]
    names = [f"{TOP}/{name}" for name in LISTS]
    # A pass of its own: the lists may lie behind the photos.
    found = dict(stream_members(archive, names, limit=4 * archive.stat().st_size))
    images, labels, classes = (dict(rows(found[name], archive, name, 2)) for name in names)
    if set(images) != set(labels):
        problem = f"{len(labels)} labels that are not those of {len(images)} images"
        raise not_a_list(archive, names[1], problem)
    order = sorted(images, key=lambda number: numbers([number], archive, names[0]))
    splits: dict[str, list[Listed]] = {"train": [], "test": []}
    for number in order:
        if labels[number] not in classes:
            raise not_a_list(archive, names[1], f"image {number} has the unknown class {labels[number]}")
        (label,) = numbers([labels[number]], archive, names[1])
        split = "train" if label <= entry.counts.train.classes else "test"
        splits[split].append(Listed(archive, f"{TOP}/images/{images[number]}", label - 1))
    ascending = [str(number) for number in range(1, len(classes) + 1)]
    if set(classes) != set(ascending):
        raise not_a_list(archive, names[2], f"classes are not numbered from 1 to {len(classes)}")
    return Album([classes[number] for number in ascending], splits)
