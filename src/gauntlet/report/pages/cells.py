"""The jobs behind a run's numbers, as rows that the numbers link to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gauntlet.core.blocks import seeds_of
from gauntlet.report import links
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study
from gauntlet.report.trials import run_name, trial_id
from gauntlet.report.vocabulary import BLOCK, CELL

#: Steps of a cell, and what they are called.
STEPS = {"train": "training", "attack": "attacks"}


class Cells:
    """One row per cell and block of seeds of a run, and the settings of its jobs.

    Args:
        settings: folder of a job -> what determines its output, for the jobs of today's configuration.

    Attributes:
        rows: ``id``, ``label``, ``where``, ``seeds``, ``runs`` (their names in MLflow), ``search`` (what
            finds the first of them there), and ``steps``: each with ``name``, ``folder``, ``commit``,
            ``started``, ``seconds`` and ``settings``, an id or "".
        settings: id -> (name of the model or attack, its settings as YAML), each once.
    """

    def __init__(self, study: Study, measurements: Measurements, settings: Mapping[str, Any]):
        self._study, self._given = study, settings
        self._prefix = f"{study.study}-{measurements.scale}"
        self._ids: dict[tuple[str, ...], str] = {}
        self._known: dict[str, str] = {}
        self.settings: dict[str, tuple[str, str]] = {}
        self.rows = [self._row(*numbered) for numbered in enumerate(measurements.manifest["cells"])]

    def link(self, *cell: str) -> str:
        """The id of the first row of a cell (the names in ``CELL``); empty where there is none."""
        return self._ids.get(cell, "")

    def links(self, cells: Iterable[tuple[str, ...]]) -> list[tuple[str, str]]:
        """(id, name) of each cell that there is, once."""
        found = {cell: self.link(*cell) for cell in cells}
        return [(row, self._name(cell)) for cell, row in found.items() if row]

    def of_comparison(self, detail: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The cells of both sides of a judged comparison."""
        sides = [side for side in (detail["value"], detail["minus"], detail["over"]) if side]
        return self.links(
            (
                detail["dataset"],
                side.get("setting", detail["setting"]),
                detail["architecture"],
                side["method"],
            )
            for side in sides
        )

    def _name(self, cell: tuple[str, ...]) -> str:
        return f"{self._study.label(cell[-1])} on {self._study.block_label(*cell[:-1])}"

    def _row(self, number: int, cell: dict[str, Any]) -> dict[str, Any]:
        key = f"{self._prefix}-{number}"
        self._ids.setdefault(tuple(cell[name] for name in CELL), key)
        seeds = seeds_of(cell["block"])
        runs = run_name(cell, seeds[0]) + (f" to {seeds[-1]}" if len(seeds) > 1 else "")
        return {
            "id": key,
            "label": self._study.label(cell["method"]),
            "where": self._study.block_label(*(cell[name] for name in BLOCK)),
            "seeds": cell["block"],
            "runs": runs,
            "search": self._search(cell, seeds[0]),
            "steps": [
                {
                    "name": STEPS[step],
                    "settings": self._settings(cell[step].get("folder", "")),
                    **{name: cell[step].get(name, "") for name in ("folder", "commit", "started")},
                    "seconds": cell[step].get("seconds"),
                }
                for step in STEPS
                if step in cell
            ],
        }

    def _search(self, cell: dict[str, Any], seed: int) -> str:
        """What finds the run of a seed in MLflow; empty where the folders do not name the model."""
        folders = {step: cell[step].get("folder", "") for step in STEPS if step in cell}
        parts = next(iter(folders.values())).split("/")
        block = f"seeds-{cell['block']}"
        if block not in parts[1:]:
            return ""
        spec = {**cell, "model": parts[parts.index(block) - 1], "steps": folders}
        return links.search(trial_id(self._study.study, spec, seed))

    def _settings(self, folder: str) -> str:
        import yaml

        if folder not in self._given:
            return ""
        text = yaml.safe_dump(self._given[folder], sort_keys=False, width=100, allow_unicode=True)
        if text not in self._known:
            parts = folder.split("/")
            name = parts[-1] if parts[-1].startswith("attack-") else parts[-2]
            self._known[text] = f"{self._prefix}-s{len(self._known)}"
            self.settings[self._known[text]] = (name, text)
        return self._known[text]
