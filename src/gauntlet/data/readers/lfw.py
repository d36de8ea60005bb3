"""Labeled Faces in the Wild (vis-www.cs.umass.edu/lfw), the funneled faces, and their attributes.

``peopleDevTrain.txt`` and ``peopleDevTest.txt`` have the number of people, and lines of a person and the
number of photos. A photo is ``<person>/<person>_<number>.jpg``, from 0001 on. ``lfw_attributes.txt``
(cs.columbia.edu/CAVE/databases/pubfig; Kumar, Berg, Belhumeur, Nayar: Attribute and Simile Classifiers for
Face Verification, 2009) has a comment, a line with the names, and lines of a person (with blanks), the number
of a photo, and the value of a classifier for each attribute, positive for true. A few photos have no line.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gauntlet.core.registry import register
from gauntlet.data.packed import Album, Listed
from gauntlet.data.photos import UNKNOWN
from gauntlet.data.readers.rows import not_a_list, numbers, rows
from gauntlet.data.registry import PhotoEntry

FOLDER = "lfw_funneled"
SPLITS = ("train", "test")
COLUMNS = ["person", "imagenum"]


@register("reader", "lfw")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """The official split of people (View 1), in the order of its lists; a class is a person.

    Raises:
        GauntletError: a list is no such list, or has other numbers of people or photos; attributes that are
            not the registry's, of a photo that is not listed, or twice of one.
    """
    people = {split: _people(files[split], entry.splits[split].images) for split in SPLITS}
    classes = sorted({name for split in SPLITS for name, _ in people[split]})
    label = {name: place for place, name in enumerate(classes)}
    splits = {
        split: [
            Listed(files["archive"], _member(name, number), label[name])
            for name, count in people[split]
            for number in range(1, count + 1)
        ]
        for split in SPLITS
    }
    known = _attributes(files["attributes"], entry)
    if strange := set(known) - {photo.member for photos in splits.values() for photo in photos}:
        raise not_a_list(files["attributes"], "", f"it has attributes of {min(strange)}, which no list has")
    unknown = np.full(len(entry.attributes), UNKNOWN, np.uint8)
    attributes = {
        split: np.array([known.get(photo.member, unknown) for photo in photos], np.uint8)
        for split, photos in splits.items()
    }
    return Album(classes, splits, attributes)


def _member(name: str, number: int) -> str:
    return f"{FOLDER}/{name}/{name}_{number:04}.jpg"


def _people(path: Path, photos: int) -> list[tuple[str, int]]:
    """(name, number of photos) of each person, who have ``photos`` together."""
    count, _, rest = path.read_bytes().partition(b"\n")
    lines = rows(rest, path, "", 2)
    if numbers([count.decode(errors="replace")], path, "") != [len(lines)]:
        said = count.decode(errors="replace").strip()
        raise not_a_list(path, "", f"it has {len(lines)} people, and its first line says {said}")
    counts = numbers([number for _, number in lines], path, "")
    if min(counts, default=1) < 1 or sum(counts) != photos:
        raise not_a_list(path, "", f"its people have {sum(counts)} photos, not {photos}")
    return [(name, number) for (name, _), number in zip(lines, counts, strict=True)]


def _attributes(path: Path, entry: PhotoEntry) -> dict[str, np.ndarray]:
    """Path of a photo -> uint8 (A,), 1 where the classifier's value is above 0."""

    def refuse(problem: str):
        return not_a_list(path, "", problem)

    try:
        _, header, *lines = path.read_text(encoding="utf-8").splitlines()
    except (UnicodeDecodeError, ValueError) as error:
        raise refuse(f"not a table of attributes ({error})") from error
    if _fields(header)[1:] != COLUMNS + entry.attributes:
        raise refuse(f"its second line is not the attributes of {entry.name} in the registry")
    found: dict[str, np.ndarray] = {}
    for number, line in enumerate(lines, 3):
        fields = _fields(line)
        if len(fields) != len(COLUMNS) + len(entry.attributes):
            raise refuse(f"line {number} has {len(fields)} fields, not a photo and {len(entry.attributes)}")
        person, image, *values = fields
        member = _member(person.replace(" ", "_"), *numbers([image], path, ""))
        if member in found:
            raise refuse(f"line {number} is the second of {member}")
        try:
            scores = np.array(values, np.float64)
        except ValueError as error:
            raise refuse(f"line {number}: {error}") from error
        if not np.isfinite(scores).all():
            raise refuse(f"line {number} has a value that is not finite")
        found[member] = (scores > 0).astype(np.uint8)
    return found


def _fields(line: str) -> list[str]:
    return [field.strip() for field in line.strip().split("\t")]
