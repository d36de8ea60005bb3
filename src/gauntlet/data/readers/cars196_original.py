"""Cars196 as first published: ``car_ims.tgz`` and ``cars_annos.mat``, or both in ``CARS196.zip``."""

from __future__ import annotations

from pathlib import Path

from gauntlet.core.registry import register
from gauntlet.data.extract import stream_members
from gauntlet.data.packed import Album, Listed
from gauntlet.data.readers.cars196 import album
from gauntlet.data.readers.structs import cells, structs
from gauntlet.data.registry import PhotoEntry

ANNOTATIONS = "cars_annos.mat"
ARCHIVES = ("car_ims.tgz", "CARS196.zip")


@register("reader", "cars196_original")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """All photos, without regard to the split for classification; see ``cars196.album``.

    Raises:
        GauntletError: annotations are missing, or are no such annotations.
    """
    archive = next(files[name] for name in ARCHIVES if name in files)
    file = files.get(ANNOTATIONS, archive)
    if file == archive:
        ((_, content),) = stream_members(archive, [ANNOTATIONS], limit=4 * archive.stat().st_size)
    else:
        content = file.read_bytes()
    found = structs(content, file, "annotations", ("relative_im_path", "class"))
    pairs = zip(found["relative_im_path"].tolist(), found["class"].tolist(), strict=True)
    photos = [Listed(archive, path, number - 1) for path, number in pairs]
    return album(photos, cells(content, file, "class_names"), entry)
