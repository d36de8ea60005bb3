"""TID2013 (ponomarenko.info/tid2013.htm), in an archive of its folder.

``mos_with_names.txt`` has lines of a score and ``I<scene>_<type>_<level>.bmp``, a file of
``distorted_images``. ``reference_images`` has ``I<scene>.BMP``.
"""

from __future__ import annotations

import re
from pathlib import Path

from gauntlet.core.registry import register
from gauntlet.data.packed import Album
from gauntlet.data.readers.rated import Members, Rated, album, score
from gauntlet.data.readers.rows import not_a_list, rows
from gauntlet.data.registry import PhotoEntry

SCORES = "mos_with_names.txt"
NAME = re.compile(r"(i\d\d)_(\d\d)_(\d)\.bmp", re.IGNORECASE)


@register("reader", "tid2013")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """The distorted photos in the order of the list, with MOS, higher is better, and level.

    Raises:
        GauntletError: no such list; a photo is missing.
    """
    archive = files["archive"]
    members = Members(archive)
    (scores,) = members.read(SCORES)
    rated = []
    for mos, name in rows(scores, archive, SCORES, 2):
        if not (match := NAME.fullmatch(name)):
            raise not_a_list(archive, SCORES, f"{name} is no name of a distorted photo")
        scene, kind, level = match.groups()
        values = [score(mos, archive, SCORES), int(level)]
        rated.append(
            Rated(f"distorted_images/{name}", f"reference_images/{scene}.bmp", int(kind) - 1, values)
        )
    return album(members, rated, entry)
