"""Sets of photos whose quality people have rated, some of them made by distorting a few references.

A class is a reference, so that a study splits by scene as it splits by class; the attributes say which
distortion it is, and the first value is the score. All photos are in ``train``: these sets have no official
split.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from gauntlet.data.extract import member_names, stream_members
from gauntlet.data.packed import Album, Listed
from gauntlet.data.readers.rows import not_a_list
from gauntlet.data.registry import PhotoEntry

UNPACKED = 4  # what an archive may unpack to, in times its own size


class Rated(NamedTuple):
    """A distorted photo: its path and that of its reference, the distortion's place, and the values."""

    path: str
    reference: str
    distortion: int
    values: list[float]


class Members:
    """The files of an archive, by the ends of their paths, in whatever case: TID2013 has both I25 and i25."""

    def __init__(self, archive: Path):
        self.archive = archive
        self._named = defaultdict(list)
        for member in member_names(archive):
            self._named[PurePosixPath(member).name.casefold()].append(member)

    def find(self, path: str) -> str:
        """The one file whose path ends with ``path``. Raises GauntletError when there is none, or another."""
        end = f"/{path}".casefold()
        found = [
            member
            for member in self._named[PurePosixPath(path).name.casefold()]
            if f"/{member}".casefold().endswith(end)
        ]
        if len(found) != 1:
            raise not_a_list(self.archive, path, f"it has {len(found)} such files, not one")
        return found[0]

    def read(self, *paths: str) -> list[bytes]:
        """What is in these files."""
        names = [self.find(path) for path in paths]
        found = dict(stream_members(self.archive, names, limit=UNPACKED * self.archive.stat().st_size))
        return [found[name] for name in names]


def album(members: Members, rated: Iterable[Rated], entry: PhotoEntry) -> Album:
    """The photos in the given order, and a reference of every class.

    Raises:
        GauntletError: one is not in the archive, or of a distortion that the registry does not have.
    """
    rated = list(rated)
    references = sorted({members.find(photo.reference) for photo in rated})
    label = {member: place for place, member in enumerate(references)}
    archive, count = members.archive, len(entry.attributes)
    bits = np.zeros((len(rated), count), np.uint8)
    train = []
    for row, photo in enumerate(rated):
        if not 0 <= photo.distortion < count:
            raise not_a_list(
                archive, photo.path, f"distortion {photo.distortion + 1}, and the registry has {count}"
            )
        bits[row, photo.distortion] = 1
        train.append(Listed(archive, members.find(photo.path), label[members.find(photo.reference)]))
    return Album(
        [PurePosixPath(member).stem for member in references],
        {"train": train, "reference": [Listed(archive, member, label[member]) for member in references]},
        {"train": bits},
        {"train": np.array([photo.values for photo in rated], np.float32).reshape(-1, len(entry.values))},
    )


def score(text: object, file: Path, key: str) -> float:
    """A finite number. Raises GauntletError for anything else."""
    try:
        found = float(text)
    except (TypeError, ValueError) as error:
        raise not_a_list(file, key, str(error)) from error
    if not math.isfinite(found):
        raise not_a_list(file, key, f"a score is {text}")
    return found
