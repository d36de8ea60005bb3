"""Another form of a set, with a reader of its own, in the folder that the user names in ``GAUNTLET_DATA``.

Its files may be many, so ``listings/`` has a file with their sizes and hashes, which is read only here:
every job reads the registry.
"""

from __future__ import annotations

import os
from pathlib import Path

from gauntlet.core.config import Strict, load_yaml, parse
from gauntlet.data.raw import locate
from gauntlet.data.registry import LISTINGS, Content, Entry, FileName, Folder, RawFile
from gauntlet.data.sources import Found, Unavailable, store


class Listing(Strict):
    """The files of one form, by name."""

    files: dict[FileName, Content]


def obtain(source: Folder, entry: Entry, scratch: Path) -> Found:
    """All files of the listing, by their own names."""
    given = os.environ.get("GAUNTLET_DATA")
    if not given:
        raise Unavailable("GAUNTLET_DATA is not set")
    return Found(files=locate(listing(source), store.root(Path(given), entry), scratch), reader=source.reader)


def listing(source: Folder) -> dict[str, RawFile]:
    """Every file of this form. Raises GauntletError naming the listing and the key at fault."""
    path = LISTINGS / source.listing
    files = parse(Listing, load_yaml(path), file=path).files
    return {name: RawFile(name=name, **file.model_dump()) for name, file in files.items()}
