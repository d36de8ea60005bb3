"""CelebA (mmlab.ie.cuhk.edu.hk/projects/CelebA.html): aligned faces in their zip archive, and three lists.

``list_eval_partition.txt`` and ``identity_CelebA.txt`` are lines of a file and its part (0 for training, 1
for validation, 2 for testing) or its person. ``list_attr_celeba.txt`` has the number of files, the names of
the attributes, and lines of a file and 1 or -1 for each attribute.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gauntlet.core.registry import register
from gauntlet.data.packed import Album, Listed
from gauntlet.data.readers.rows import not_a_list, numbers, rows
from gauntlet.data.registry import PhotoEntry

FOLDER = "img_align_celeba"
PARTS = {"0": "train", "1": "validation", "2": "test"}


@register("reader", "celeba")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """The official partition in the order of its file; a class is a person, called by the number.

    Raises:
        GauntletError: a list is no such list, has a file twice, or other files than the partition; the
            attributes are not the registry's.
    """
    partition, people = (_values(files[role]) for role in ("partition", "people"))
    attributes = _attributes(files["attributes"], entry)
    for role, found in (("people", people), ("attributes", attributes)):
        if set(found) != set(partition):
            problem = f"its {len(found)} files are not the {len(partition)} of {files['partition'].name}"
            raise not_a_list(files[role], "", problem)
    if unknown := set(partition.values()) - set(PARTS):
        raise not_a_list(files["partition"], "", f"the part {min(unknown)!r} is unknown")
    person = dict(zip(people, numbers(list(people.values()), files["people"], ""), strict=True))
    classes = sorted(set(person.values()))
    label = {number: place for place, number in enumerate(classes)}
    splits: dict[str, list[Listed]] = {}
    bits = {}
    for split in entry.splits:
        names = [name for name, part in partition.items() if PARTS[part] == split]
        splits[split] = [Listed(files["images"], f"{FOLDER}/{name}", label[person[name]]) for name in names]
        bits[split] = np.array([attributes[name] for name in names], np.uint8)
    return Album([str(number) for number in classes], splits, bits)


def _values(path: Path) -> dict[str, str]:
    """File -> what its line says."""
    lines = rows(path.read_bytes(), path, "", 2)
    return _once(dict(lines), len(lines), path)


def _attributes(path: Path, entry: PhotoEntry) -> dict[str, np.ndarray]:
    """File -> uint8 (A,), 1 for true."""
    count, _, rest = path.read_bytes().partition(b"\n")
    header, _, rest = rest.partition(b"\n")
    if header.decode(errors="replace").split() != entry.attributes:
        raise not_a_list(path, "", f"its second line is not the attributes of {entry.name} in the registry")
    lines = rows(rest, path, "", 1 + len(entry.attributes))
    if numbers([count.decode(errors="replace")], path, "") != [len(lines)]:
        said = count.decode(errors="replace").strip()
        raise not_a_list(path, "", f"it has {len(lines)} lines of attributes, and its first line says {said}")
    signs = np.array([values for _, *values in lines])
    true = signs == "1"
    if not (true | (signs == "-1")).all():
        raise not_a_list(path, "", "an attribute is neither 1 nor -1")
    found = dict(zip([name for name, *_ in lines], true.astype(np.uint8), strict=True))
    return _once(found, len(lines), path)


def _once(found: dict, lines: int, path: Path) -> dict:
    """``found``, by file. Raises GauntletError when it has less entries than there were lines."""
    if len(found) < lines:
        raise not_a_list(
            path, "", f"{lines - len(found)} of its {lines} lines are of a file that has another"
        )
    return found
