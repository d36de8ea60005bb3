"""From configuration to jobs: which cells a run needs, where their outputs live, what determines them.

Read by the Snakefile while parsing and by every command, so it imports nothing heavy.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from gauntlet.core import registry
from gauntlet.core.blocks import seeds_of
from gauntlet.core.config import Strict, load_yaml, parse
from gauntlet.core.digest import code_digest
from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.core.files import digest_json
from gauntlet.report import study as studies
from gauntlet.report.study import Study

Block = Annotated[str, Field(pattern=r"^\d+(-\d+)?$", description='seeds of one job, "0-4" or "7"')]
STUDIES = Path("config/studies")
Scales = Literal["smoke", "mini", "desk", "paper"]


class Grid(Strict):
    """Every architecture x method x seed on one dataset."""

    dataset: str
    architectures: list[str] = Field(min_length=1)
    methods: list[str] | None = Field(
        None, description="keys of the study's methods; absent: all of this scale"
    )
    seeds: list[Block] | None = Field(None, description="overrides the scale's seeds")
    data: dict[str, Any] = {}
    train: dict[str, Any] = {}
    evaluate: dict[str, Any] = {}


class StudyScale(Strict):
    """One study at one scale."""

    grids: list[Grid] = Field(min_length=1)


class Scale(Strict):
    """A file of ``config/``: what to run, and how large."""

    scale: Scales
    seeds: list[Block] = Field(
        min_length=1, description="one job each; append a block to add seeds, the old ones are not retrained"
    )
    studies: dict[str, StudyScale] = Field(min_length=1)
    study: str | None = Field(None, description="run this study only")
    source: Literal["results", "published"] = Field(
        "results", description="what figures, tables and claims are drawn from"
    )
    holes: bool = Field(False, description="draw what is there although trials are missing")


@dataclass(frozen=True)
class Cell:
    """The trials of one dataset x architecture x method, for one block of seeds: one training job and
    one attack job. Studies that need the same model have the same cell, whatever they call the method.
    """

    family: str
    dataset: str
    architecture: str
    block: str
    identity: dict[str, Any]  #: what determines the weights
    evaluate: dict[str, Any]  #: what determines the measurements, given the weights

    @property
    def seeds(self) -> list[int]:
        return seeds_of(self.block)

    @cached_property
    def model(self) -> str:
        return (
            f"{_settings(self.family).model_label(self.identity['method'])}-{digest_json(self.identity, 8)}"
        )

    @cached_property
    def attack(self) -> str:
        return f"attack-{digest_json(self.evaluate, 8)}"

    @property
    def name(self) -> str:
        """``dml/fashion-mnist/conv/eat_x3-1a2b3c4d/seeds-0-4``"""
        return f"{self.family}/{self.dataset}/{self.architecture}/{self.model}/seeds-{self.block}"

    @property
    def train_folder(self) -> Path:
        return Path("results") / self.name

    @property
    def attack_folder(self) -> Path:
        return self.train_folder / self.attack

    def measurements(self) -> tuple[str, ...]:
        """File names of the attack job's outputs."""
        return _settings(self.family).MEASUREMENTS

    def log(self, step: str) -> Path:
        """The log of the cell's ``train`` or ``attack`` job."""
        folder = Path("logs") / self.name
        return folder / ("train.log" if step == "train" else f"{self.attack}.log")

    @property
    def state_folder(self) -> Path:
        """Resume state: outside the declared outputs, which Snakemake deletes before a run."""
        return Path(".gauntlet/state") / self.name

    @cached_property
    def surrogate(self) -> Cell | None:
        """The undefended cell that transfer attacks come from; trained whether or not a study lists it."""
        identity = _settings(self.family).surrogate(self.identity)
        return None if identity is None else replace(self, identity=identity)

    def train_code(self) -> str:
        """Digest of the code that trains this cell."""
        methods = _settings(self.family).train_methods(self.identity)
        return code_digest(f"gauntlet.families.{self.family}.train", methods=methods)

    def attack_code(self) -> str:
        """Digest of the code that attacks and measures this cell."""
        methods = _settings(self.family).evaluate_methods(self.identity, self.evaluate)
        return code_digest(f"gauntlet.families.{self.family}.evaluate", methods=methods)


@dataclass(frozen=True)
class StudyPlan:
    """One study's cells, with the study's own name of each method."""

    study: Study
    scale: str
    cells: list[tuple[str, Cell]]

    def present(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The cells whose measurements exist, and those without, as rows for the report."""
        present, missing = [], []
        for method, cell in self.cells:
            done = all((cell.attack_folder / name).is_file() for name in cell.measurements())
            (present if done else missing).append(
                {
                    "dataset": cell.dataset,
                    "architecture": cell.architecture,
                    "method": method,
                    "model": cell.model,
                    "block": cell.block,
                    "seeds": cell.seeds,
                    "identity": cell.identity,
                    "evaluate": cell.evaluate,
                    "train": str(cell.train_folder),
                    "attack": str(cell.attack_folder),
                    "log": str(
                        cell.log("attack" if (cell.train_folder / "training.parquet").is_file() else "train")
                    ),
                }
            )
        return present, missing

    @property
    def file(self) -> Path:
        return STUDIES / f"{self.study.study}.yaml"

    @property
    def results(self) -> Path:
        """Where the study's gathered measurements of this machine's run are."""
        return Path("results/studies") / self.study.study / self.scale

    @property
    def published(self) -> Path:
        """Where the study's measurements that git carries are."""
        return Path("published") / self.study.study / self.scale

    def references(self) -> list[Path]:
        """The study's published measurements at every scale, which the report judges beside this run's."""
        return sorted(path.parent for path in self.published.parent.glob("*/manifest.json"))


@dataclass(frozen=True)
class Plan:
    scale: Scale
    studies: dict[str, StudyPlan]

    def part(self, study: str) -> StudyPlan:
        """The plan of one study. Raises GauntletError when this run has no such study."""
        if study not in self.studies:
            raise GauntletError(
                f"no study {study!r} in this configuration", remedy=did_you_mean(study, self.studies)
            )
        return self.studies[study]

    def root(self, study: str) -> Path:
        """The folder that figures, tables and claims of a study read."""
        plan = self.part(study)
        return plan.published if self.scale.source == "published" else plan.results

    def cells(self) -> Iterator[Cell]:
        """Every distinct cell of the run."""
        seen = set()
        for study in self.studies.values():
            for _, cell in study.cells:
                key = (cell.name, cell.attack)
                if key not in seen:
                    seen.add(key)
                    yield cell

    def trained(self) -> dict[str, Cell]:
        """Name -> every cell that this run trains: those of its studies, and their surrogates."""
        cells = list(self.cells())
        cells += [cell.surrogate for cell in cells if cell.surrogate]
        return {cell.name: cell for cell in cells}

    def cell(self, name: str, attack: str | None = None) -> Cell:
        """The cell called ``name`` (and, where two studies attack it differently, ``attack``)."""
        trained = self.trained()
        found = [c for c in self.cells() if c.name == name and attack in (None, c.attack)]
        if attack is None and name in trained:
            found.append(trained[name])
        if not found:
            raise GauntletError(f"no cell {name!r} in this configuration", remedy=did_you_mean(name, trained))
        return found[0]


def load_plan(path: str | Path) -> Plan:
    """The plan of a scale file. Raises GauntletError naming the file and the key at fault."""
    return make_plan(load_yaml(path), file=path)


def make_plan(content: dict[str, Any], *, file: str | Path) -> Plan:
    """Check a scale's configuration against its studies, families and methods, and list its cells."""
    scale = parse(Scale, content, file=file)
    wanted = [scale.study] if scale.study else list(scale.studies)
    plans = {}
    for name in wanted:
        if name not in scale.studies:
            known = did_you_mean(name, scale.studies)
            raise GauntletError(f"unknown study {name!r}", file=file, key="study", remedy=known)
        study = studies.load(STUDIES / f"{name}.yaml")
        cells: list[tuple[str, Cell]] = []
        for index, grid in enumerate(scale.studies[name].grids):
            cells += _grid_cells(study, grid, scale, file, f"studies.{name}.grids.{index}")
        plans[name] = StudyPlan(study, scale.scale, cells)
    return Plan(scale, plans)


def _grid_cells(
    study: Study, grid: Grid, scale: Scale, file: str | Path, key: str
) -> Iterator[tuple[str, Cell]]:
    settings = _settings(study.family)
    _known(grid.dataset, _datasets(), "dataset", file, f"{key}.dataset")
    for position, architecture in enumerate(grid.architectures):
        _known(architecture, registry.names("model"), "model", file, f"{key}.architectures.{position}")
    parsed = {
        part: parse(getattr(settings, part.title()), getattr(grid, part), file=file, key=f"{key}.{part}")
        for part in ("data", "train", "evaluate")
    }
    evaluate = parsed["evaluate"].model_dump(mode="json")
    for kind, name in settings.evaluate_methods(
        {"architecture": grid.architectures[0], "method": {}}, evaluate
    ):
        _known(name, registry.names(kind), kind, file, f"{key}.evaluate")
    methods = study.methods_at(scale.scale) if grid.methods is None else grid.methods
    for label in methods:
        _known(label, study.methods, "method", file, f"{key}.methods")
        method = _method(study, label, settings)
        for architecture in grid.architectures:
            identity = {
                "family": study.family,
                "dataset": grid.dataset,
                "architecture": architecture,
                "data": parsed["data"].model_dump(mode="json"),
                "method": method,
                "train": parsed["train"].model_dump(mode="json"),
            }
            for block in grid.seeds or scale.seeds:
                yield label, Cell(study.family, grid.dataset, architecture, block, identity, evaluate)


def _method(study: Study, label: str, settings: Any) -> dict[str, Any]:
    """The method as the family sees it, its options checked against the defense's constructor."""
    file, key = STUDIES / f"{study.study}.yaml", f"methods.{label}"
    declared = study.methods[label].model_dump(mode="json", exclude={"label", "from_"})
    method = parse(settings.Method, declared, file=file, key=key)
    _known(method.defense, registry.names("defense"), "defense", file, f"{key}.defense")
    known = registry.options("defense", method.defense)
    for option, value in method.options.items():
        _known(option, known, "option", file, f"{key}.options.{option}")
        _check_type(value, known[option][0], file, f"{key}.options.{option}")
    return method.model_dump(mode="json")


def _check_type(value: Any, annotation: str, file: str | Path, key: str) -> None:
    """Check a value against a constructor annotation such as ``int``, ``float | None``, ``Literal[...]``."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    scope = {"Literal": Literal, "Any": Any}
    try:
        expected = eval(annotation or "Any", {"__builtins__": {}}, scope | _PLAIN)
    except NameError:  # an annotation of the method's own: its constructor checks it
        return
    try:
        TypeAdapter(expected, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError as error:
        raise GauntletError(
            error.errors()[0]["msg"] + f" (got {value!r})", file=file, key=key, remedy=f"give {annotation}"
        ) from None


_PLAIN = {"int": int, "float": float, "bool": bool, "str": str, "list": list, "dict": dict, "None": None}


def _known(name: str, known: Any, what: str, file: str | Path, key: str) -> None:
    if name not in known:
        raise GauntletError(f"unknown {what} {name!r}", file=file, key=key, remedy=did_you_mean(name, known))


def _datasets() -> list[str]:
    from gauntlet.data import names

    return names()


def _settings(family: str):
    try:
        return importlib.import_module(f"gauntlet.families.{family}.settings")
    except ModuleNotFoundError as error:
        folder = registry.PACKAGE / "families"
        known = sorted(p.name for p in folder.iterdir() if (p / "settings.py").is_file())
        raise GauntletError(f"unknown family {family!r}", remedy=did_you_mean(family, known)) from error
