"""nuScenes v1.0 (nuscenes.org): the key frames of cameras and LiDAR, and the tables that belong to them.

The tables are ``v1.0-.../<table>.json`` in the archive whose name has ``_meta``, or in the only one. A file
is ``samples/<channel>/...`` in any of the archives. The listing says which scenes are for which split.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from gauntlet.core.config import Strict, load_yaml, parse
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.bundle import Tables
from gauntlet.data.extract import member_names, stream_members
from gauntlet.data.packed import Listed
from gauntlet.data.prepared_bundle import Bundle
from gauntlet.data.readers.rows import not_a_list
from gauntlet.data.registry import LISTINGS, FileEntry

TABLES = (
    *("scene", "sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor"),
    *("sample_annotation", "instance", "category", "attribute", "visibility"),
)
FOLDER = "samples/"
UNPACKED = 32  # times the size of the archive with the tables: text compresses well
VISIBLE = re.compile(r"\S")


class Listing(Strict):
    """The official split."""

    version: str = Field(description="the folder of the tables")
    scenes: dict[str, list[str]] = Field(description="names of the scenes of each split")


@register("reader", "nuscenes")
def read(files: dict[str, Path], entry: FileEntry) -> Bundle:
    """The key frames of the listed scenes, sample by sample in the order of the table.

    The class of a file is its channel. The channels are the registry's classes; other sensors are left out.
    A split has the rows of the tables ``TABLES`` that belong to its frames, as published.

    Raises:
        GauntletError: no valid listing; a table is missing or is none; a listed scene is not there; a file is
            in no archive.
    """
    split = _listing(entry)
    meta = next((path for path in files.values() if "_meta" in path.name), None)
    archive = meta or next(iter(files.values()))
    places = {
        name[name.index(FOLDER) :]: path
        for path in files.values()
        if path != meta
        for name in member_names(path)
        if FOLDER in name
    }
    with tempfile.TemporaryDirectory() as scratch:
        unpacked = _unpack(archive, split.version, Path(scratch))
        try:
            tables = {name: _tables(unpacked, split.scenes[name], entry) for name in entry.splits}
            splits = {name: _files(tables[name], places, entry) for name in entry.splits}
        except (KeyError, TypeError) as error:
            raise not_a_list(
                archive, split.version, f"a row of a table is not as published ({error})"
            ) from error
        except ValueError as error:
            raise not_a_list(archive, split.version, str(error)) from error
    return Bundle(splits, tables)


def _listing(entry: FileEntry) -> Listing:
    if not entry.listing:
        raise GauntletError("the entry names no listing", key=f"{entry.name}.listing", remedy="add one")
    path = LISTINGS / entry.listing
    found = parse(Listing, load_yaml(path), file=path)
    if set(found.scenes) != set(entry.splits):
        raise GauntletError(
            f"the splits are not {', '.join(entry.splits)}",
            file=path,
            key="scenes",
            remedy="correct the listing",
        )
    return found


def _unpack(archive: Path, version: str, scratch: Path) -> dict[str, Path]:
    """A file for each of ``TABLES``, in the folder ``scratch``."""
    members = {f"{version}/{table}.json": table for table in TABLES}
    limit = UNPACKED * archive.stat().st_size
    found = {}
    for member, content in stream_members(archive, members, limit=limit, member_limit=limit):
        table = members[member]
        found[table] = scratch / f"{table}.json"
        found[table].write_bytes(content)
    return found


def _tables(unpacked: dict[str, Path], scenes: list[str], entry: FileEntry) -> Tables:
    """The rows that belong to the key frames of the scenes. Raises ValueError, KeyError, TypeError."""
    found: Tables = {}

    def keep(table: str, column: str, values: Collection[Any]) -> set[str]:
        """Tokens of the rows with one of the values in a column."""
        found[table] = [row for row in _rows(unpacked[table]) if row[column] in values]
        return {row["token"] for row in found[table]}

    def used(table: str, column: str) -> set[str]:
        return {row[column] for row in found[table]}

    scene = keep("scene", "name", set(scenes))
    if missing := set(scenes) - used("scene", "name"):
        raise ValueError(f"it has no scene {min(missing)}")
    sample = keep("sample", "scene_token", scene)
    sensor = keep("sensor", "channel", entry.classes)
    calibrated = keep("calibrated_sensor", "sensor_token", sensor)
    found["sample_data"] = [
        row
        for row in _rows(unpacked["sample_data"])
        if row["is_key_frame"]
        and row["sample_token"] in sample
        and row["calibrated_sensor_token"] in calibrated
    ]
    keep("calibrated_sensor", "token", used("sample_data", "calibrated_sensor_token"))
    keep("ego_pose", "token", used("sample_data", "ego_pose_token"))
    keep("sample_annotation", "sample_token", sample)
    keep("instance", "token", used("sample_annotation", "instance_token"))
    for table in ("category", "attribute", "visibility"):
        found[table] = list(_rows(unpacked[table]))
    return found


def _files(tables: Tables, places: dict[str, Path], entry: FileEntry) -> list[Listed]:
    """The files of ``sample_data``: by sample, in the order of the table, and by channel."""
    channel = {row["token"]: row["channel"] for row in tables["sensor"]}
    label = {
        row["token"]: entry.classes.index(channel[row["sensor_token"]]) for row in tables["calibrated_sensor"]
    }
    place = {row["token"]: number for number, row in enumerate(tables["sample"])}
    listed = []
    for row in tables["sample_data"]:
        if (name := row["filename"]) not in places:
            raise ValueError(f"no archive has {name}")
        frame = Listed(places[name], name, label[row["calibrated_sensor_token"]])
        listed.append((place[row["sample_token"]], frame.label, frame))
    return [frame for _, _, frame in sorted(listed, key=lambda ordered: ordered[:2])]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a table one by one: together, they would take several times the memory of the text.

    Raises ValueError for what is not a JSON list.
    """
    text = path.read_text(encoding="utf-8")
    decoder, position = json.JSONDecoder(), _skip(text, 0)
    if text[position] != "[":
        raise ValueError(f"{path.name} is not a list")
    position = _skip(text, position + 1)
    while text[position] != "]":
        row, position = decoder.raw_decode(text, position)
        yield row
        position = _skip(text, position)
        if text[position] == ",":
            position = _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    """The place of the next character that is no blank. Raises ValueError at the end."""
    found = VISIBLE.search(text, position)
    if found is None:
        raise ValueError("a table ends in the middle")
    return found.start()
