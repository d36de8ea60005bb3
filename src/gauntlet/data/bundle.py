"""Files of any kind with the tables that describe them.

A split is ``<split>_files.bin``, the published files one after the other; ``<split>_offsets.npy``,
``<split>_labels.npy`` and ``<split>_names.txt``, where each begins, its class and its published path (see
``mapped.Mapped``); and ``<split>_tables.json``, the rows of the published tables that belong to these files.
``dataset.json`` has the class names. Nothing is decoded: that is for whoever knows the format.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from gauntlet.core.files import read_json
from gauntlet.data.mapped import Mapped

#: Name of a table -> its rows, each with a value per column.
Tables = dict[str, list[dict[str, Any]]]


class Files(Mapped):
    """One split. ``encoded(row)`` is the published file; ``labels`` are its class."""

    kind = "files"

    @cached_property
    def tables(self) -> Tables:
        """The rows of the published tables that belong to this split, by the table's name."""
        return read_json(self.folder / f"{self.split}_tables.json")

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each file, by its published path."""
        return {name: row for row, name in enumerate(self.names)}


@dataclass(frozen=True)
class FileSet:
    """A prepared set of files.

    Attributes:
        name: its name in the registry.
        class_names: one per label.
        train, test, validation: the official split; None for a part that the set does not have.
        form: see ``registry.FORMS``.
    """

    name: str
    class_names: tuple[str, ...]
    train: Files | None = None
    test: Files | None = None
    validation: Files | None = None
    form: ClassVar[str] = "files"


def open_set(name: str, folder: Path) -> FileSet:
    """The set in a folder whose files have been verified."""
    facts = read_json(folder / "dataset.json")
    present = [split for split in ("train", "test", "validation") if split in facts]
    splits = {split: Files(folder, name, split) for split in present}
    return FileSet(name=name, class_names=tuple(facts["classes"]), **splits)
