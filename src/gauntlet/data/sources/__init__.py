"""Where a dataset can come from, one file per kind of source.

Each kind has a function ``obtain(source, entry, scratch) -> Found``, which may use the empty folder
``scratch`` as it likes, and raises ``Unavailable`` with the reason when it cannot serve the set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


class Unavailable(Exception):
    """This source cannot serve the dataset, for the reason given; the next one is tried."""


@dataclass(frozen=True)
class Found:
    """What a source delivers: a prepared set (not yet verified), or the reader's files (verified).

    ``reader`` is the one that reads ``files``; the entry's when None. ``origin`` says where they are from,
    where the source's label does not.
    """

    prepared: Path | None = None
    files: dict[str, Path] = field(default_factory=dict)
    reader: str | None = None
    origin: str | None = None
