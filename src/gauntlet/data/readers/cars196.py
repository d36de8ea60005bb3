"""Cars196 (Stanford Cars), as published for classification: the photos of its two splits in an archive each.

``car_devkit.tgz`` has ``cars_train_annos.mat`` and ``cars_meta.mat`` (the names of the classes); the labels
of the test photos came later, in ``cars_test_annos_withlabels.mat``.
"""

from __future__ import annotations

from pathlib import Path

from gauntlet.core.registry import register
from gauntlet.data.extract import stream_members
from gauntlet.data.packed import Album, Listed
from gauntlet.data.readers.structs import cells, structs
from gauntlet.data.registry import PhotoEntry

TRAIN, META = "devkit/cars_train_annos.mat", "devkit/cars_meta.mat"
KIT = 1 << 26  # bytes that the devkit may unpack to


@register("reader", "cars196")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """Both splits together; see ``album``.

    Raises:
        GauntletError: annotations are missing, or are no such annotations.
    """
    kit = dict(stream_members(files["devkit"], [TRAIN, META], limit=KIT))
    annotations = {
        "cars_train": (files["train"], kit[TRAIN], files["devkit"]),
        "cars_test": (files["test"], files["test_labels"].read_bytes(), files["test_labels"]),
    }
    photos = []
    for folder, (archive, content, file) in annotations.items():
        found = structs(content, file, "annotations", ("fname", "class"))
        for name, number in zip(found["fname"].tolist(), found["class"].tolist(), strict=True):
            photos.append(Listed(archive, f"{folder}/{name}", number - 1))
    return album(photos, cells(kit[META], files["devkit"], "class_names"), entry)


def album(photos: list[Listed], classes: list[str], entry: PhotoEntry) -> Album:
    """The split of metric learning: the classes up to ``counts.train.classes`` train, the others test.

    In the order of the photos' bytes, because the publications number the photos differently.
    """
    first = entry.counts.train.classes
    splits = {
        "train": [photo for photo in photos if photo.label < first],
        "test": [photo for photo in photos if photo.label >= first],
    }
    return Album(classes, splits, by_content=True)
