"""Stanford Online Products (cvgl.stanford.edu/projects/lifted_struct), in its zip archive.

``Ebay_train.txt`` and ``Ebay_test.txt`` have a header and lines of image, class, super-class and path.
"""

from __future__ import annotations

from pathlib import Path

from gauntlet.core.registry import register
from gauntlet.data.extract import stream_members
from gauntlet.data.packed import Album, Listed
from gauntlet.data.readers.rows import not_a_list, numbers, rows
from gauntlet.data.registry import PhotoEntry

TOP = "Stanford_Online_Products"
LISTS = {"train": f"{TOP}/Ebay_train.txt", "test": f"{TOP}/Ebay_test.txt"}
HEADER = ["image_id", "class_id", "super_class_id", "path"]


@register("reader", "sop")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """The official split, in the order of its two files; a class is called by its number.

    Raises:
        GauntletError: a list is missing, or is no such list.
    """
    archive = files["archive"]
    found = dict(stream_members(archive, LISTS.values(), limit=4 * archive.stat().st_size))
    listed = {}
    for split, name in LISTS.items():
        header, *lines = rows(found[name], archive, name, len(HEADER)) or [[]]
        if header != HEADER:
            raise not_a_list(archive, name, f"its first line is not {' '.join(HEADER)}")
        listed[split] = (numbers([line[1] for line in lines], archive, name), [line[3] for line in lines])
    classes = sorted({number for numbers_, _ in listed.values() for number in numbers_})
    label = {number: place for place, number in enumerate(classes)}
    splits = {
        split: [
            Listed(archive, f"{TOP}/{path}", label[number]) for number, path in zip(found, paths, strict=True)
        ]
        for split, (found, paths) in listed.items()
    }
    return Album([str(number) for number in classes], splits)
