"""All of ILSVRC2012 (image-net.org): the archives for training and validation, and the development kit.

The archive for training has an archive of each class, ``<class>.tar`` with ``<class>_<number>.JPEG``.
"""

from __future__ import annotations

import re
from pathlib import Path

from gauntlet.core.registry import register
from gauntlet.data.extract import member_names
from gauntlet.data.packed import Album, Listed
from gauntlet.data.readers.ilsvrc2012 import META, TRUTH, development_kit, photo_name
from gauntlet.data.readers.rows import not_a_list
from gauntlet.data.registry import PhotoEntry

TRAINING = re.compile(r"(n\d{8})\.tar/\1_\d+\.JPEG")


@register("reader", "imagenet")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """Photos for training in the order of their archives; those for validation, by number, are for testing.

    Classes are in the order of their WordNet numbers, as in the field: label i is output i of a network.

    Raises:
        GauntletError: the kit has no such lists; a photo of another name, or of a class that the kit has not.
    """
    kit = files["devkit"]
    truth, synsets = development_kit(kit)
    numbered = {number: wnid for wnid, (number, _) in synsets.items() if number <= entry.counts.train.classes}
    wnids = sorted(numbered.values())
    label = {wnid: place for place, wnid in enumerate(wnids)}
    splits: dict[str, list[Listed]] = {"train": [], "test": []}
    for member in member_names(files["train"]):
        match = TRAINING.fullmatch(member)
        if not match:
            raise not_a_list(files["train"], member, "not a photo in the archive of its class")
        if match[1] not in label:
            raise not_a_list(kit, META, f"it has no class {match[1]}")
        splits["train"].append(Listed(files["train"], member, label[match[1]]))
    for photo, number in enumerate(truth, 1):
        if number not in numbered:
            raise not_a_list(kit, TRUTH, f"line {photo} is of the class {number}, which no photos have")
        splits["test"].append(Listed(files["images"], photo_name(photo), label[numbered[number]]))
    return Album([f"{wnid} {synsets[wnid][1]}" for wnid in wnids], splits)
