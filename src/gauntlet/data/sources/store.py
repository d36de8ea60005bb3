"""A folder that the user names in ``GAUNTLET_DATA``: prepared sets, or the publishers' files.

It is only read, so it may be shared. A set is looked for in ``<folder>/<name>`` first, then
anywhere below the folder.
"""

from __future__ import annotations

from pathlib import Path

from gauntlet.data.prepared import verify
from gauntlet.data.raw import locate
from gauntlet.data.registry import Entry
from gauntlet.data.sources import Found, Unavailable


def obtain(store: Path, entry: Entry, scratch: Path) -> Found:
    """The prepared set when the folder has it, else the files that the reader reads."""
    if not store.is_dir():
        raise Unavailable("there is no such folder")
    for folder in (store / entry.name, store / entry.folder):
        if entry.prepared and folder.is_dir() and verify(folder, entry.prepared) is None:
            return Found(prepared=folder)
    return Found(files=locate(entry.files, root(store, entry), scratch))


def root(store: Path, entry: Entry) -> Path:
    """Where in the user's folder the files of a set are looked for: the folder of its name, or everywhere."""
    return store / entry.name if (store / entry.name).is_dir() else store
