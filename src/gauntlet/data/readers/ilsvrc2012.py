"""Photos of the ILSVRC2012 validation set (image-net.org), in its tar archive, by the entry's listing.

The development kit has ``ILSVRC2012_validation_ground_truth.txt``, the class of every photo by number, and
``meta.mat``, the WordNet number and the words of every class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from gauntlet.core.config import Strict, load_yaml, parse
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.extract import stream_members
from gauntlet.data.packed import Album, Listed
from gauntlet.data.readers.order import TEST_EVERY
from gauntlet.data.readers.rows import not_a_list, numbers, rows
from gauntlet.data.readers.structs import structs
from gauntlet.data.registry import LISTINGS, PhotoEntry, Positive

DATA = "ILSVRC2012_devkit_t12/data"
TRUTH, META = f"{DATA}/ILSVRC2012_validation_ground_truth.txt", f"{DATA}/meta.mat"
KIT = 1 << 26  # bytes that the development kit may unpack to


class Listing(Strict):
    """The photos that are taken: the numbers of their files, by the WordNet number of their class."""

    classes: dict[
        Annotated[str, Field(pattern=r"^n\d{8}$")], Annotated[list[Positive], Field(min_length=1)]
    ] = Field(min_length=1)


@register("reader", "ilsvrc2012")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """Every fifth photo of a class in the listing is for testing, from the first on, the others for training.

    Classes are in the order of their WordNet numbers, as in the field: with a listing of all 1000, label i is
    output i of a network trained on ImageNet.

    Raises:
        GauntletError: no listing, or none that is valid; the kit has no such lists, or another class for a
            listed photo.
    """
    kit = files["devkit"]
    truth, synsets = development_kit(kit)
    classes: list[str] = []
    splits: dict[str, list[Listed]] = {"train": [], "test": []}
    for label, (wnid, taken) in enumerate(sorted(listing(entry).items())):
        if wnid not in synsets:
            raise not_a_list(kit, META, f"it has no class {wnid}")
        number, words = synsets[wnid]
        classes.append(f"{wnid} {words}")
        for place, photo in enumerate(taken):
            if photo > len(truth) or truth[photo - 1] != number:
                problem = f"photo {photo} is not of the class {wnid}, as {entry.listing} says"
                raise not_a_list(kit, TRUTH, problem)
            split = "train" if place % TEST_EVERY else "test"
            splits[split].append(Listed(files["images"], photo_name(photo), label))
    return Album(classes, splits)


def development_kit(kit: Path) -> tuple[list[int], dict[str, tuple[int, str]]]:
    """The class of every photo for validation, by number; number and words of a class by its WordNet number.

    Classes that others are below of have numbers too, above those of the photos. Raises GauntletError when
    the kit has no such lists.
    """
    found = dict(stream_members(kit, [TRUTH, META], limit=KIT))
    truth = numbers([line for (line,) in rows(found[TRUTH], kit, TRUTH, 1)], kit, TRUTH)
    columns = structs(found[META], kit, "synsets", ("WNID", "ILSVRC2012_ID", "words"))
    lines = zip(*map(np.ndarray.tolist, columns.values()), strict=True)
    return truth, {wnid: (number, words) for wnid, number, words in lines}


def photo_name(number: int) -> str:
    """The name of a photo for validation."""
    return f"ILSVRC2012_val_{number:08}.JPEG"


def listing(entry: PhotoEntry) -> dict[str, list[int]]:
    """WordNet number of a class -> numbers of its photos. Raises GauntletError naming listing and key."""
    if not entry.listing:
        raise GauntletError("the entry names no listing", key=f"{entry.name}.listing", remedy="add one")
    path = LISTINGS / entry.listing
    return parse(Listing, load_yaml(path), file=path).classes
