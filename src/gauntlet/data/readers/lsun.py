"""A scene of LSUN (yf.io/p/lsun): for each split a zip archive with a database of WebP or JPEG files.

The databases' keys are the names of the photos. Of the official split, validation is for testing here: the
photos of LSUN's own test set are of all scenes, without labels.
"""

from __future__ import annotations

from pathlib import Path

from gauntlet.core.registry import register
from gauntlet.data.extract import member_names
from gauntlet.data.packed import Album, Listed
from gauntlet.data.registry import PhotoEntry


@register("reader", "lsun")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """All photos in the order of their keys; the one class is the scene.

    Raises:
        GauntletError: a database that is none, or cut short.
    """
    splits = {
        split: [Listed(files[split], key, 0) for key in member_names(files[split])] for split in entry.splits
    }
    return Album([entry.name.removeprefix("lsun-")], splits)
