"""A folder of gathered measurement tables with its manifest."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_json, read_parquet, sha256_file

#: Columns that the gather step puts first.
CELL = ["dataset", "architecture", "method"]

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Measurements:
    """Gathered measurements of one study at one scale. Tables are read when first used.

    Each table is a pandas DataFrame: the columns ``dataset, architecture, method``, then ``COLUMNS``.
    """

    folder: Path
    manifest: dict[str, Any] = field(repr=False)

    @property
    def study(self) -> str:
        return self.manifest["study"]

    @property
    def scale(self) -> str:
        return self.manifest["scale"]

    @property
    def missing(self) -> list[dict[str, Any]]:
        """Cells that were asked for and have no result: dataset, architecture, method, block, log."""
        return self.manifest["missing"]

    @cached_property
    def scores(self):
        return self._table("scores")

    @cached_property
    def examples(self):
        return self._table("examples")

    @cached_property
    def projections(self):
        return self._table("projections")

    @cached_property
    def sanity(self):
        return self._table("sanity")

    @cached_property
    def training(self):
        return self._table("training")

    @cached_property
    def blocks(self) -> list[tuple[str, str]]:
        """(dataset, architecture) pairs that were run or should have been, sorted."""
        measured = self.scores[["dataset", "architecture"]].drop_duplicates()
        pairs = {tuple(row) for row in measured.itertuples(index=False)}
        return sorted(pairs | {(hole["dataset"], hole["architecture"]) for hole in self.missing})

    def _table(self, name: str):
        return read_parquet(self.folder / f"{name}.parquet")


def read(folder: str | Path) -> Measurements:
    """Open a folder of gathered measurements (``results/studies/...`` or ``published/...``).

    Raises:
        GauntletError: no manifest, or a table that is absent or not the one the manifest names.
    """
    folder = Path(folder)
    manifest = read_json(folder / MANIFEST)
    for name, entry in sorted(manifest["tables"].items()):
        path = folder / f"{name}.parquet"
        if not path.is_file():
            raise GauntletError(
                "this table is missing", file=path, remedy="restore it, or run the gather step"
            )
        if sha256_file(path) != entry["sha256"]:
            raise GauntletError(
                f"this table is not the one that {MANIFEST} describes (its hash differs)",
                file=path,
                remedy="restore it (git checkout, for published/), or run the gather step again",
            )
    return Measurements(folder, manifest)


def where(frame, **values):
    """The rows whose columns have these values."""
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame
