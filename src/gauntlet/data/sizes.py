"""How many images a trial takes, and of which form, from the registry alone.

Imports no NumPy: a plan asks before any dataset is here.
"""

from __future__ import annotations

from typing import Any

from gauntlet.core.errors import GauntletError
from gauntlet.data.registry import Common, Entry, PhotoEntry, entry


def taken(
    dataset: str,
    split: str,
    per_class: int | None = None,
    classes: int | None = None,
    held_out: int = 0,
    task: str | None = None,
) -> float:
    """Images (or rows, files) of a split, at most ``per_class`` of each class, without ``held_out`` of each.

    Args:
        classes: so many of the split's classes, drawn at random: the mean over all draws. All when None.
        task: an attribute that is the class: as if half of the photos had it.
    """
    found = entry(dataset)
    if found.form == "photos":
        total = found.splits.get(split)
        counts = []
        if total:
            kinds = 2 if task else total.classes
            counts = [total.images / kinds] * kinds
    else:
        counts = [count for count in found.per_class(split) if count]
    left = [max(count - held_out, 0) for count in counts]
    total = sum(left if per_class is None else (min(count, per_class) for count in left))
    return total if classes is None or not counts else total * classes / len(counts)


def class_count(dataset: str, task: str | None = None) -> int:
    """Classes that a network tells apart: the dataset's, or two where an attribute is the task."""
    return 2 if task else entry(dataset).class_count


def network(dataset: str, data: dict[str, Any], train: dict[str, Any]) -> tuple[int, int, int]:
    """Channels, height and width of an image, and outputs, of the network that a cell trains.

    Args:
        data, train: parts of its identity.
    """
    channels, pixels = form(dataset, data.get("photo_size", 224))
    return channels, pixels, train.get("embedding") or class_count(dataset, data.get("task"))


def form(dataset: str, photo_size: int = 224) -> tuple[int, int]:
    """Channels, and height and width in pixels, of the images that networks see.

    Raises:
        GauntletError: a set that has no images.
    """
    found = entry(dataset)
    if not isinstance(found, Entry | PhotoEntry):
        raise GauntletError(
            f"{dataset!r} has no images (its form is {found.form})", remedy="choose another dataset"
        )
    return (3, photo_size) if found.form == "photos" else (found.shape[0], found.shape[1])


def prepared_bytes(found: Common) -> int | None:
    """Bytes of the prepared set; where it is not arrays those of the publisher's files, None if not known."""
    if found.form == "arrays":
        pixels = found.shape[0] * found.shape[1] * found.shape[2]
        return sum(map(found.examples, found.splits)) * pixels
    sizes = [file.size for file in found.files.values()]
    return None if None in sizes else sum(sizes)
