"""Groove MIDI Dataset (magenta.tensorflow.org/datasets/groove): drum performances, without audio.

``groove/info.csv`` describes each file, and has the official split.
"""

from __future__ import annotations

from pathlib import Path

from gauntlet.core.registry import register
from gauntlet.data.extract import stream_members
from gauntlet.data.packed import UNPACKED, Listed
from gauntlet.data.prepared_bundle import Bundle
from gauntlet.data.readers.rows import labels, not_a_list, records
from gauntlet.data.registry import FileEntry

TABLE = "groove/info.csv"
COLUMNS = ("style", "bpm", "beat_type", "time_signature", "midi_filename", "split")


@register("reader", "groove")
def read(files: dict[str, Path], entry: FileEntry) -> Bundle:
    """The official split in the order of the table; the class of a file is its ``beat_type``.

    The table ``info`` has the rows of the split's files, in their order; all values are text, as published.

    Raises:
        GauntletError: the table is missing, or is no such table; a split is unknown.
    """
    archive = files["archive"]
    limit = UNPACKED * archive.stat().st_size
    ((_, content),) = stream_members(archive, [TABLE], limit=limit)
    table = records(content, archive, TABLE, COLUMNS)
    if unknown := {row["split"] for row in table} - set(entry.splits):
        raise not_a_list(archive, TABLE, f"the split {min(unknown)!r} is unknown")
    splits, tables = {}, {}
    for split in entry.splits:
        rows = [row for row in table if row["split"] == split]
        kinds = labels([row["beat_type"] for row in rows], entry.classes, archive, TABLE)
        splits[split] = [
            Listed(archive, row["midi_filename"], kind) for row, kind in zip(rows, kinds, strict=True)
        ]
        tables[split] = {"info": rows}
    return Bundle(splits, tables)
