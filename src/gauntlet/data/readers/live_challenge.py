"""LIVE In the Wild Image Quality Challenge (live.ece.utexas.edu/research/ChallengeDB), in its zip archive.

``AllImages_release.mat`` has the names of the photos in ``Images``, and ``AllMOS_release.mat`` their scores.
The first seven, in a folder of their own, were for training the raters.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gauntlet.core.registry import register
from gauntlet.data.packed import Album, Listed
from gauntlet.data.readers.rated import Members
from gauntlet.data.readers.rows import not_a_list
from gauntlet.data.readers.structs import cells, vector
from gauntlet.data.registry import PhotoEntry

FIRST = 7
NAMES, SCORES = "AllImages_release.mat", "AllMOS_release.mat"


@register("reader", "live_challenge")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """All photos but the raters', in the order of the list, with MOS, higher is better; there is one class.

    Raises:
        GauntletError: the lists are of different lengths; a photo is missing.
    """
    archive = files["archive"]
    members = Members(archive)
    names, scores = members.read(NAMES, SCORES)
    listed, mos = cells(names, archive, "AllImages_release"), vector(scores, archive, "AllMOS_release")
    if len(listed) != len(mos):
        raise not_a_list(archive, SCORES, f"{len(mos)} scores of {len(listed)} photos")
    photos = [Listed(archive, members.find(f"Images/{name}"), 0) for name in listed[FIRST:]]
    values = mos[FIRST:, None].astype(np.float32)
    return Album(["photo"], {"train": photos}, values={"train": values})
