"""UTKFace (susanqq.github.io/UTKFace), the aligned and cropped faces, in their tar archive.

What is known of a photo is in its name, ``<age>_<gender>_<race>_<date and time>.jpg.chip.jpg``, with gender 0
for male and 1 for female. A few names lack a part; these photos are left out.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path, PurePosixPath

import numpy as np

from gauntlet.core.registry import register
from gauntlet.data.extract import member_names
from gauntlet.data.packed import Album, Listed
from gauntlet.data.readers.order import TEST_EVERY
from gauntlet.data.registry import PhotoEntry

NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+\.jpg\.chip\.jpg")
RACES = ["White", "Black", "Asian", "Indian", "Others"]


@register("reader", "utkface")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """Of each class, a race, every fifth photo in the order of the names is for testing, from the first on.

    The attribute is the gender, the value the age in years. Names that are malformed are printed.
    """
    archive = files["archive"]
    known, malformed = [], []
    for member in sorted(member_names(archive)):
        name = PurePosixPath(member).name
        if match := NAME.fullmatch(name):
            known.append((member, *map(int, match.groups())))
        elif name.endswith(".jpg") and not name.startswith("."):
            malformed.append(name)
    if malformed:
        print(
            f"{entry.name}: left out, for their names are malformed: {', '.join(malformed)}", file=sys.stderr
        )
    splits: dict[str, list[Listed]] = {"train": [], "test": []}
    attributes, values = {"train": [], "test": []}, {"train": [], "test": []}
    seen = [0] * len(RACES)
    for member, age, female, race in known:
        split = "train" if seen[race] % TEST_EVERY else "test"
        seen[race] += 1
        splits[split].append(Listed(archive, member, race))
        attributes[split].append([female])
        values[split].append([age])
    return Album(
        RACES,
        splits,
        {split: np.array(rows, np.uint8).reshape(-1, 1) for split, rows in attributes.items()},
        {split: np.array(rows, np.float32).reshape(-1, 1) for split, rows in values.items()},
    )
