"""KADID-10k (database.mmsp-kn.de/kadid-10k-database.html), in its zip archive.

``dmos.csv`` has lines of ``I<scene>_<type>_<level>.png``, its reference and its score; ``images`` has both.
"""

from __future__ import annotations

import re
from pathlib import Path

from gauntlet.core.registry import register
from gauntlet.data.packed import Album
from gauntlet.data.readers.rated import Members, Rated, album, score
from gauntlet.data.readers.rows import not_a_list, records
from gauntlet.data.registry import PhotoEntry

SCORES = "dmos.csv"
NAME = re.compile(r"I\d\d_(\d\d)_(\d\d)\.png")


@register("reader", "kadid10k")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """The distorted photos in the order of the list, with what is called DMOS, higher is better, and level.

    Raises:
        GauntletError: no such list; a photo is missing.
    """
    archive = files["archive"]
    members = Members(archive)
    (scores,) = members.read(SCORES)
    rated = []
    for line in records(scores, archive, SCORES, ["dist_img", "ref_img", "dmos"]):
        name, reference = line["dist_img"], line["ref_img"]
        if not (match := NAME.fullmatch(name)):
            raise not_a_list(archive, SCORES, f"{name} is no name of a distorted photo")
        values = [score(line["dmos"], archive, SCORES), int(match[2])]
        rated.append(Rated(f"images/{name}", f"images/{reference}", int(match[1]) - 1, values))
    return album(members, rated, entry)
