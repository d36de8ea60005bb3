"""The measurement tables: their columns, and a folder of gathered tables with its manifest."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_json, read_parquet, sha256_file

#: Columns (and types) of each table as a job writes it.
COLUMNS: dict[str, dict[str, str]] = {
    "scores": {
        "seed": "int64",
        "suite": "str",
        "attack": "str",
        "eps": "float64",
        "steps": "int64",
        "fraction": "float64",
        "view": "str",
        "detail": "str",
        "metric": "str",
        "value": "float64",
    },
    "examples": {
        "seed": "int64",
        "attack": "str",
        "index": "int64",
        "label": "int64",
        "hit": "bool",
        "cluster": "int64",
    },
    "projections": {
        "seed": "int64",
        "attack": "str",
        "index": "int64",
        "label": "int64",
        "x": "float64",
        "y": "float64",
    },
    "sanity": {
        "seed": "int64",
        "attack": "str",
        "check": "str",
        "metric": "str",
        "value": "float64",
        "bound": "float64",
        "passed": "bool",
    },
    "training": {
        "seed": "int64",
        "epoch": "int64",
        "member": "int64",
        "loss": "float64",
        "passes": "float64",
    },
}

#: Columns that the gather step puts first.
CELL = ["dataset", "architecture", "method"]

#: Columns that identify a row; the others are measured. Sorting goes by these.
KEYS = {
    "scores": ["seed", "suite", "attack", "eps", "steps", "fraction", "view", "detail", "metric"],
    "examples": ["seed", "attack", "index"],
    "projections": ["seed", "attack", "index"],
    "sanity": ["seed", "attack", "check", "metric"],
    "training": ["seed", "epoch", "member"],
}

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
