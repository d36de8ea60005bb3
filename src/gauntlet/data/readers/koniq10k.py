"""KonIQ-10k (database.mmsp-kn.de/koniq-10k-database.html): its zip archive, and the official split.

``koniq10k_distributions_sets.csv`` (github.com/subpic/koniq) has for every photo its name, score and part.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gauntlet.core.registry import register
from gauntlet.data.packed import Album, Listed
from gauntlet.data.readers.rated import Members, score
from gauntlet.data.readers.rows import not_a_list, records
from gauntlet.data.registry import PhotoEntry

PARTS = {"train": "training", "test": "test", "validation": "validation"}


@register("reader", "koniq10k")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """The official split in the order of its file, with MOS, 1 to 100, higher is better; there is one class.

    Raises:
        GauntletError: no such list; an unknown part; a photo is missing.
    """
    path, members = files["scores"], Members(files["images"])
    lines = records(path.read_bytes(), path, "", ["image_name", "MOS", "set"])
    if unknown := {line["set"] for line in lines} - set(PARTS.values()):
        raise not_a_list(path, "", f"the part {min(unknown)!r} is unknown")
    splits, values = {}, {}
    for split in entry.splits:
        taken = [line for line in lines if line["set"] == PARTS[split]]
        photos = [members.find(f"1024x768/{line['image_name']}") for line in taken]
        splits[split] = [Listed(members.archive, photo, 0) for photo in photos]
        values[split] = np.array([score(line["MOS"], path, "") for line in taken], np.float32)[:, None]
    return Album(["photo"], splits, values=values)
