"""LIVE, release 2 (live.ece.utexas.edu/research/quality), in an archive of its folder.

``refnames_all.mat`` and ``dmos_realigned.mat`` have the reference and the score of every photo, folder by
folder in the order of ``FOLDERS`` and there ``img1.bmp`` and so on; ``orgs`` is 1 for a copy of the reference
itself.
"""

from __future__ import annotations

from pathlib import Path

from gauntlet.core.registry import register
from gauntlet.data.packed import Album
from gauntlet.data.readers.rated import Members, Rated, album, score
from gauntlet.data.readers.rows import not_a_list
from gauntlet.data.readers.structs import cells, vector
from gauntlet.data.registry import PhotoEntry

#: Photos in every folder.
FOLDERS = {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}
NAMES, SCORES = "refnames_all.mat", "dmos_realigned.mat"


@register("reader", "live")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """The distorted photos, folder by folder, with the realigned DMOS: lower is better.

    Raises:
        GauntletError: the lists are of other numbers of photos; a photo is missing.
    """
    archive = files["archive"]
    members = Members(archive)
    names, scores = members.read(NAMES, SCORES)
    references = cells(names, archive, "refnames_all")
    found, originals = (vector(scores, archive, name) for name in ("dmos_new", "orgs"))
    photos = [
        (place, f"{folder}/img{number}.bmp")
        for place, (folder, count) in enumerate(FOLDERS.items())
        for number in range(1, count + 1)
    ]
    if not len(references) == len(found) == len(originals) == len(photos):
        problem = f"{len(references)} references and {len(found)} scores of {len(photos)} photos"
        raise not_a_list(archive, SCORES, problem)
    rated = [
        Rated(path, f"refimgs/{reference}", place, [score(value, archive, SCORES)])
        for (place, path), reference, value, original in zip(
            photos, references, found, originals, strict=True
        )
        if not original
    ]
    return album(members, rated, entry)
