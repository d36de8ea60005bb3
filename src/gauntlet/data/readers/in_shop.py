"""In-Shop Clothes Retrieval of DeepFashion (mmlab.ie.cuhk.edu.hk/projects/DeepFashion).

``list_eval_partition.txt`` has the number of images, a header, and lines of path, item and status: train,
query or gallery. The paths begin with ``img/``, as those in ``img.zip``.
"""

from __future__ import annotations

from pathlib import Path

from gauntlet.core.registry import register
from gauntlet.data.packed import Album, Listed
from gauntlet.data.readers.rows import not_a_list, numbers, rows
from gauntlet.data.registry import PhotoEntry

HEADER = ["image_name", "item_id", "evaluation_status"]
SPLITS = {"train": "train", "query": "test", "gallery": "gallery"}


@register("reader", "in_shop")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """The official partition in the order of its file, queries as ``test``; a class is an item.

    Raises:
        GauntletError: no such partition; its first line has another number of images.
    """
    path = files["partition"]

    def refuse(problem: str):
        return not_a_list(path, "", f"not the partition of {entry.name}: {problem}")

    count, _, rest = path.read_bytes().partition(b"\n")
    header, *lines = rows(rest, path, "", len(HEADER)) or [[]]
    if header != HEADER:
        raise refuse(f"its second line is not {' '.join(HEADER)}")
    if numbers([count.decode(errors="replace")], path, "") != [len(lines)]:
        raise refuse(f"it has {len(lines)} images, and its first line says {count.decode(errors='replace')}")
    if unknown := {status for *_, status in lines} - set(SPLITS):
        raise refuse(f"the status {min(unknown)!r} is unknown")
    items = sorted({item for _, item, _ in lines})
    label = {item: place for place, item in enumerate(items)}
    splits: dict[str, list[Listed]] = {split: [] for split in SPLITS.values()}
    for name, item, status in lines:
        splits[SPLITS[status]].append(Listed(files["images"], name, label[item]))
    return Album(items, splits)
