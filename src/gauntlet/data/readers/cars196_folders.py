"""Cars196 in a folder per class, as jutrera/stanford-car-dataset-by-classes-folder on Kaggle has it.

``names.csv`` has a class per line; ``anno_train.csv`` and ``anno_test.csv`` have lines of file, two corners
of a box, and class, from 1 on. A photo is ``car_data/car_data/<train or test>/<class>/<file>``.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path, PurePosixPath

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.extract import member_names, stream_members
from gauntlet.data.packed import Album, Listed
from gauntlet.data.readers.cars196 import album
from gauntlet.data.readers.rows import not_a_list, numbers
from gauntlet.data.registry import PhotoEntry

ARCHIVE = "stanford-car-dataset-by-classes-folder.zip"
CLASSES = "names.csv"
LISTS = {"train": "anno_train.csv", "test": "anno_test.csv"}


@register("reader", "cars196_folders")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """Both splits together; see ``cars196.album``.

    Raises:
        GauntletError: a list is missing, or is no such list; a photo is not in the archive, or lies among
            those of another class.
    """
    archive = files[ARCHIVE]
    wanted = [CLASSES, *LISTS.values()]
    found = dict(stream_members(archive, wanted, limit=4 * archive.stat().st_size))
    classes = [",".join(line).strip() for line in _lines(found[CLASSES], archive, CLASSES)]
    members = _photos(archive)
    photos, folders = [], defaultdict(set)
    for split, name in LISTS.items():
        lines = _lines(found[name], archive, name)
        labels = numbers([line[-1] for line in lines], archive, name)
        for (file, *_), number in zip(lines, labels, strict=True):
            if (split, file) not in members:
                raise GauntletError(f"it has no {split}/*/{file}", file=archive, remedy="get it again")
            member = members[split, file]
            folders[number].add(PurePosixPath(member).parent.name)
            photos.append(Listed(archive, member, number - 1))
    for number, names in folders.items():
        if len(names) > 1:
            raise not_a_list(archive, name, f"class {number} is in {len(names)} folders: {sorted(names)}")
    return album(photos, classes, entry)


def _lines(content: bytes, archive: Path, name: str) -> list[list[str]]:
    try:
        return [line for line in csv.reader(content.decode().splitlines()) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise not_a_list(archive, name, f"not a table ({error})") from error


def _photos(archive: Path) -> dict[tuple[str, str], str]:
    """(split, file) -> its path in the archive. The folders' names differ from the classes' (no slashes)."""
    found = {}
    for member in member_names(archive):
        parts = PurePosixPath(member).parts
        if len(parts) >= 3 and parts[-3] in LISTS:
            found[parts[-3], parts[-1]] = "/".join(parts)
    return found
