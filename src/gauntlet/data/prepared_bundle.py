"""The prepared form of files of any kind; see ``gauntlet.data.bundle``."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.data.bundle import Tables
from gauntlet.data.packed import Listed, arrange, collect, save_index
from gauntlet.data.prepared import refused
from gauntlet.data.registry import FileEntry


@dataclass(frozen=True)
class Bundle:
    """What a reader of files returns: the official index, and nothing of the files yet.

    Attributes:
        splits: the files of each split, in the official order, with their classes as labels.
        tables: of each split.
    """

    splits: dict[str, list[Listed]]
    tables: dict[str, Tables]


def check(bundle: Bundle, entry: FileEntry) -> None:
    """Compare an index with the registry, before any file is read.

    Raises:
        GauntletError: the first difference: splits, files per class of a split, or a file listed twice.
    """

    for kind in ("splits", "tables"):
        if list(found := getattr(bundle, kind)) != list(entry.splits):
            raise refused(entry, f"the {kind} are of {', '.join(found)}, not {', '.join(entry.splits)}")
    for split, listed in bundle.splits.items():
        counts = Counter(file.label for file in listed)
        found = [counts.pop(label, 0) for label in range(len(entry.classes))]
        if counts:
            raise refused(entry, f"{split} labels are outside 0 to {len(entry.classes) - 1}")
        if found != (expected := entry.per_class(split)):
            raise refused(entry, f"{split} files per class are {found}, not {expected}")
    places = Counter((file.archive, file.member) for listed in bundle.splits.values() for file in listed)
    (_, member), count = places.most_common(1)[0]
    if count > 1:
        raise refused(entry, f"{member} is listed {count} times")


def write(bundle: Bundle, entry: FileEntry, folder: Path) -> None:
    """Write the prepared form into the new folder ``folder``.

    Every archive is read once, from its beginning to its end, with one file in memory at a time.

    Raises:
        GauntletError: as ``check``; a listed file is not in its archive; a hostile or damaged archive.
    """
    check(bundle, entry)
    folder.mkdir()
    spools = collect(bundle.splits, folder)
    for split, listed in bundle.splits.items():
        arrange(spools[split], range(len(listed)), folder / f"{split}_files.bin")
        labels = np.array([file.label for file in listed])
        names = [file.member for file in listed]
        save_index(folder, split, spools[split].sizes, labels, len(entry.classes), names)
        (folder / f"{split}_tables.json").write_text(_json(bundle.tables[split], entry), encoding="utf-8")
    facts = {
        "name": entry.name,
        "form": entry.form,
        "classes": entry.classes,
        **{split: entry.per_class(split) for split in entry.splits},
    }
    (folder / "dataset.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _json(tables: Tables, entry: FileEntry) -> str:
    try:
        return json.dumps(tables, separators=(",", ":"), allow_nan=False) + "\n"
    except ValueError as error:
        raise GauntletError(
            f"{entry.name}: a table has a value that is no number ({error})", remedy="fetch the files again"
        ) from error
