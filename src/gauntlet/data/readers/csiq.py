"""CSIQ (s2.smu.edu/~eclarson/csiq.html), in an archive of its folders and the workbook with the scores.

The sheet ``all_by_image`` of ``csiq.DMOS.xlsx`` has a line for every photo,
``dst_imgs/<type>/<image>.<TYPE>.<level>.png``.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.packed import Album
from gauntlet.data.readers.rated import Members, Rated, album, score
from gauntlet.data.readers.rows import not_a_list
from gauntlet.data.registry import PhotoEntry

WORKBOOK, SHEET = "csiq.DMOS.xlsx", "all_by_image"
COLUMNS = ("image", "dst_type", "dst_lev", "dmos")
#: A type in the workbook -> in the names of the photos, whatever its case.
TYPES = {
    "noise": "AWGN",
    "blur": "BLUR",
    "contrast": "contrast",
    "fnoise": "fnoise",
    "jpeg": "JPEG",
    "jpeg 2000": "jpeg2000",
}
SHEETS = 1 << 26  # bytes that the workbook may unpack to


@register("reader", "csiq")
def read(files: dict[str, Path], entry: PhotoEntry) -> Album:
    """The distorted photos in the order of the sheet, with DMOS, lower is better, and level.

    Raises:
        GauntletError: no such workbook; a photo is missing.
    """
    archive = files["archive"]
    members = Members(archive)
    (workbook,) = members.read(WORKBOOK)
    rated = []
    for image, kind, level, dmos in _lines(workbook, archive):
        if kind not in TYPES:
            raise not_a_list(archive, WORKBOOK, f"the type {kind!r} is unknown")
        level = int(score(level, archive, WORKBOOK))
        path = f"{image}.{TYPES[kind]}.{level}.png"
        values = [score(dmos, archive, WORKBOOK), level]
        rated.append(Rated(path, f"src_imgs/{image}.png", list(TYPES).index(kind), values))
    return album(members, rated, entry)


def _lines(content: bytes, archive: Path) -> list[tuple]:
    """What the sheet has in ``COLUMNS``, below the line that names them."""
    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as zipped:
            if sum(info.file_size for info in zipped.infolist()) > SHEETS:
                raise ValueError("it unpacks to more bytes than it can have")
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        lines = [tuple(line) for line in book[SHEET].iter_rows(values_only=True)]
        header = next(place for place, line in enumerate(lines) if set(COLUMNS) <= set(line))
        columns = [lines[header].index(name) for name in COLUMNS]
        found = [tuple(line[column] for column in columns) for line in lines[header + 1 :]]
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged file makes the library raise
        raise GauntletError(
            f"no workbook with the sheet {SHEET} ({type(error).__name__}: {error})",
            file=archive,
            key=WORKBOOK,
            remedy="fetch it again",
        ) from error
    return [line for line in found if line[0] is not None]
