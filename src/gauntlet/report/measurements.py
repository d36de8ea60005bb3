"""A folder of gathered measurement tables with its manifest."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_parquet, read_sealed, sha256_file
from gauntlet.report.frames import as_scores, empty, whole
from gauntlet.report.vocabulary import BLOCK, CELL

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Measurements:
    """Gathered measurements of one study at one scale. Tables are read when first used.

    Each table is a pandas DataFrame: the columns ``CELL`` (dataset, setting, architecture, method), then
    ``COLUMNS``. One that the study's jobs do not write has no rows.
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
        """Cells that were asked for and have no result: the names in ``CELL``, block, log."""
        return self.manifest["missing"]

    @property
    def files(self) -> dict[str, str]:
        """The files of the folder -> their SHA-256."""
        tables = {f"{name}.parquet": entry["sha256"] for name, entry in self.manifest["tables"].items()}
        found = {MANIFEST: sha256_file(self.folder / MANIFEST), **tables}
        return {(self.folder / name).as_posix(): digest for name, digest in found.items()}

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
    def spread(self):
        return self._table("spread")

    @cached_property
    def rounds(self):
        return self._table("rounds")

    @cached_property
    def picks(self):
        return self._table("picks")

    @cached_property
    def clients(self):
        return self._table("clients")

    @cached_property
    def exchange(self):
        return self._table("exchange")

    @cached_property
    def predictions(self):
        return self._table("predictions")

    @cached_property
    def progress(self):
        return self._table("progress")

    @cached_property
    def answers(self):
        return self._table("answers")

    @cached_property
    def samples(self):
        return self._table("samples")

    @cached_property
    def roc(self):
        return self._table("roc")

    @cached_property
    def reconstructions(self):
        return self._table("reconstructions")

    @cached_property
    def pictures(self):
        return self._table("pictures")

    @cached_property
    def costs(self):
        """What jobs measured of their own cost: DataFrame with ``CELL``, seed, attack, metric, value.

        From the sidecars in the manifest (``cost: {per_seed: {metric: {seed: number}}}``, of an attack
        ``metric@attack``): timings differ between runs of the same inputs, so they are in no table.
        """
        import pandas as pd

        rows = [
            (*(cell[key] for key in CELL), int(seed), attack or "clean", name, float(value))
            for cell in self.manifest["cells"]
            for step in ("train", "attack")
            for metric, seeds in cell.get(step, {}).get("cost", {}).get("per_seed", {}).items()
            for name, _, attack in [metric.partition("@")]
            for seed, value in seeds.items()
        ]
        return pd.DataFrame(rows, columns=[*CELL, "seed", "attack", "metric", "value"])

    @cached_property
    def numbers(self):
        """All that a claim may be about: the scores, and the costs as scores of suite ``cost``."""
        if self.costs.empty:
            return self.scores
        return whole("scores", [self.scores, as_scores(self.costs, suite="cost")])

    @cached_property
    def blocks(self) -> list[tuple[str, str, str]]:
        """(dataset, setting, architecture) that were run or should have been, sorted."""
        return sorted(
            {tuple(cell[key] for key in BLOCK) for cell in (*self.manifest["cells"], *self.missing)}
        )

    def attacks(self, *cell: str) -> dict[str, dict[str, Any]]:
        """Attack -> ``norm`` and ``restarts`` of a cell (the names in ``CELL``), as far as its jobs say."""
        return self._attacks.get(cell, {})

    @cached_property
    def _attacks(self) -> dict[tuple[str, ...], dict[str, dict[str, Any]]]:
        cells = self.manifest["cells"]
        return {tuple(cell[key] for key in CELL): cell.get("attack", {}).get("attacks", {}) for cell in cells}

    def _table(self, name: str):
        if name not in self.manifest["tables"]:
            return empty(name)
        table = read_parquet(self.folder / f"{name}.parquet")
        if "setting" not in table.columns:  # gathered before there were settings
            table.insert(CELL.index("setting"), "setting", "")
        return table


def read(folder: str | Path) -> Measurements:
    """Open a folder of gathered measurements (``results/studies/...`` or ``published/...``).

    Raises:
        GauntletError: no manifest or one that was edited, or a table that is absent or not the one the
            manifest names.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise GauntletError(
            "no measurements were gathered here: the run of this study has not finished",
            file=folder / MANIFEST,
            remedy="run snakemake; or draw what is there (--config holes=True), or what was published "
            "(--config source=published)",
        )
    manifest = read_sealed(folder / MANIFEST)
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
    for cell in (*manifest["cells"], *manifest["missing"]):
        cell.setdefault("setting", "")
    return Measurements(folder, manifest)


def where(frame, block: tuple[str, ...] = (), **values):
    """The rows whose columns have these values, in one block (dataset, setting, architecture) if given."""
    place = dict(zip(BLOCK, block, strict=True)) if block else {}
    for column, value in {**place, **values}.items():
        frame = frame[frame[column] == value]
    return frame
