"""From configuration to jobs: which cells a run needs, under which names.

Read by the Snakefile while parsing and by every command, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from gauntlet.cell import Cell, family_settings
from gauntlet.core import registry
from gauntlet.core.config import Strict, load_yaml, parse
from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.options import check_options
from gauntlet.report import study as studies
from gauntlet.report.study import STUDIES, Study

Block = Annotated[str, Field(pattern=r"^\d+(-\d+)?$", description='seeds of one job, "0-4" or "7"')]
RECIPES = Path("config/recipes")
IMAGES = ("arrays", "photos")  # the forms of datasets that a family takes which says nothing else
Scales = Literal["smoke", "mini", "desk", "paper"]


class Grid(Strict):
    """Every architecture x method x seed on one dataset."""

    dataset: str
    setting: str = Field(
        "", pattern="^[a-z0-9-]*$", description="which of the study's settings this is; empty: its only one"
    )
    architectures: list[str] = Field(min_length=1)
    methods: list[str] | None = Field(
        None, description="keys of the study's methods; absent: all of this scale"
    )
    seeds: Annotated[list[Block], Field(min_length=1)] | None = Field(
        None, description="overrides the scale's seeds"
    )
    options: dict[str, dict[str, Any]] = Field(
        {}, description="method -> options that are others here than in the study, such as sizes"
    )
    data: dict[str, Any] = {}
    recipe: str | None = Field(
        None, description="a key of config/recipes/<family>.yaml; `train` replaces its keys"
    )
    train: dict[str, Any] = {}
    evaluate: dict[str, Any] = {}
    gpus: Annotated[int, Field(gt=0)] = Field(
        1, description="GPUs that share each training; the results are those of one, but for rounding"
    )


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


class Entry(NamedTuple):
    """A cell under the names that one study gives it."""

    method: str
    setting: str
    cell: Cell


@dataclass(frozen=True)
class StudyPlan:
    """One study's cells, with the study's own names."""

    study: Study
    scale: str
    cells: list[Entry]

    @property
    def steps(self) -> dict[str, tuple[str, ...]]:
        """Step -> the tables that its jobs write."""
        return family_settings(self.study.family).TABLES

    @property
    def tables(self) -> list[str]:
        """The tables of the gathered study: those of its jobs, and the scores."""
        return list(dict.fromkeys(["scores", *(name for names in self.steps.values() for name in names)]))

    def present(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The cells whose measurements exist, and those without, as rows for the report.

        A row has ``steps``, step -> the folder of its job's outputs, ``tables``, table -> file, ``needed``,
        name -> weights of other cells than the study's that its jobs read, and ``log``, that of the first
        step whose tables are not there.
        """
        present, missing = [], []
        own = {entry.cell.name for entry in self.cells}
        for method, setting, cell in self.cells:
            tables = cell.measured()
            todo = [step for step, names in self.steps.items() if not all(tables[n].is_file() for n in names)]
            (missing if todo else present).append(
                {
                    "dataset": cell.dataset,
                    "setting": setting,
                    "architecture": cell.architecture,
                    "method": method,
                    "model": cell.model,
                    "block": cell.block,
                    "seeds": cell.seeds,
                    "identity": cell.identity,
                    "evaluate": cell.evaluate,
                    "steps": {step: str(folder) for step, folder in cell.steps.items()},
                    "tables": {name: str(path) for name, path in tables.items()},
                    "needed": {
                        name: str(other.weights)
                        for step in cell.steps
                        for name, other in cell.needs(step).items()
                        if other.name not in own
                    },
                    "log": str(cell.log(todo[0] if todo else list(cell.steps)[-1])),
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

    def settings(self) -> dict[str, dict[str, Any]]:
        """Folder of each job -> what determines its output."""
        given = {"train": "identity", "attack": "evaluate"}
        return {
            folder.as_posix(): getattr(entry.cell, given[step])
            for entry in self.cells
            for step, folder in entry.cell.steps.items()
        }

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
            for *_, cell in study.cells:
                key = (cell.name, cell.attack)
                if key not in seen:
                    seen.add(key)
                    yield cell

    def trained(self) -> dict[str, Cell]:
        """Name -> every cell that this run trains: those of its studies, and whatever these need."""
        cells = list(self.cells())
        for cell in cells:  # grows while it is walked: what a needed cell needs
            cells += [needed for step in cell.steps for needed in cell.needs(step).values()]
        return {cell.name: cell for cell in cells if "train" in cell.steps}

    def cell(self, name: str, attack: str | None = None) -> Cell:
        """The cell called ``name`` (and, where two studies attack it differently, ``attack``)."""
        trained, listed = self.trained(), list(self.cells())
        found = [c for c in listed if c.name == name and attack in (None, c.attack)]
        if attack is None and name in trained:
            found.append(trained[name])
        if not found:
            known = sorted({*trained, *(c.name for c in listed)})
            raise GauntletError(f"no cell {name!r} in this configuration", remedy=did_you_mean(name, known))
        return found[0]


def rows_of(study: str, scale: str, file: str | Path | None = None) -> list[dict[str, Any]]:
    """The rows of a study's cells (``StudyPlan.present``), measured or not; none where the scale lacks it.

    Args:
        file: the scale file; ``config/<scale>.yaml`` when None.
    """
    path = Path(file or f"config/{scale}.yaml")
    content = load_yaml(path) if file or path.is_file() else {}
    if study not in content.get("studies", {}):
        return []
    present, missing = make_plan({**content, "study": study}, file=path).part(study).present()
    return present + missing


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
        path = STUDIES / f"{name}.yaml"
        study = studies.load(path)
        if "attack" in family_settings(study.family).TABLES:
            studies.check_attacks(study, path)
        for key, entry in study.derived.items():
            options = f"derived.{key}.options"
            check_options("derived", entry.derived, entry.options, file=path, key=options)
        declared = _methods(study)
        cells: list[Entry] = []
        for index, grid in enumerate(scale.studies[name].grids):
            cells += _grid_cells(study, declared, grid, scale, file, f"studies.{name}.grids.{index}")
        _once(cells, file, f"studies.{name}.grids")
        plans[name] = StudyPlan(study, scale.scale, cells)
    return Plan(scale, plans)


def _grid_cells(
    study: Study, declared: dict[str, dict], grid: Grid, scale: Scale, file: str | Path, key: str
) -> Iterator[Entry]:
    settings = family_settings(study.family)
    _check_dataset(grid.dataset, study.family, file, f"{key}.dataset")
    if grid.setting:
        _known(grid.setting, study.settings, "setting", file, f"{key}.setting")
    if grid.gpus > 1 and not getattr(settings, "SHARED", False):
        raise GauntletError(
            f"trainings of family {study.family} are not shared among GPUs",
            file=file,
            key=f"{key}.gpus",
            remedy="leave gpus out",
        )
    kind = settings.NETWORK
    for position, architecture in enumerate(grid.architectures):
        _known(architecture, _names(kind), kind, file, f"{key}.architectures.{position}")
    parts: dict[str, Any] = {}
    for part in ("data", "train", "evaluate"):
        shape = getattr(settings, part.title())
        given = getattr(grid, part)
        if part == "train" and grid.recipe:
            given = {**_recipe(study.family, grid.recipe, file, f"{key}.recipe"), **given}
        parsed = parse(shape, given, file=file, key=f"{key}.{part}")
        if check := getattr(parsed, "check_dataset", None):
            check(grid.dataset, file=file, key=f"{key}.{part}")
        parts[part] = parsed.model_dump(mode="json")
        _check_named(parts[part], file, f"{key}.{part}")
    data, train, evaluate = parts.values()
    sample = {
        "dataset": grid.dataset,
        "architecture": grid.architectures[0],
        "method": {},
        "data": data,
    }
    for kind, name in settings.evaluate_methods(sample, evaluate):
        _known(name, _names(kind), kind, file, f"{key}.evaluate")
    methods = study.methods_at(scale.scale) if grid.methods is None else grid.methods
    for label in grid.options:
        _known(label, methods, "method of this grid", file, f"{key}.options")
    for label in methods:
        _known(label, declared, "method", file, f"{key}.methods")
        method = _with_options(
            settings, declared[label], grid.options.get(label, {}), file, f"{key}.options.{label}"
        )
        for architecture in grid.architectures:
            identity = {
                "family": study.family,
                "dataset": grid.dataset,
                "architecture": architecture,
                "data": data,
                "method": method,
                "train": train,
            }
            for block in grid.seeds or scale.seeds:
                cell = Cell(study.family, grid.dataset, architecture, block, identity, evaluate, grid.gpus)
                yield Entry(label, grid.setting, cell)


def _recipe(family: str, name: str, file: str | Path, key: str) -> dict[str, Any]:
    """The training recipe called ``name``."""
    path = RECIPES / f"{family}.yaml"
    recipes = load_yaml(path) if path.is_file() else {}
    _known(name, recipes, "recipe", file, key)
    return recipes[name]


def _with_options(
    settings: Any, method: dict[str, Any], options: dict[str, Any], file: str | Path, key: str
) -> dict[str, Any]:
    """The study's method with a grid's own ``options`` in place of the study's."""
    merged = {**method["options"], **options}
    kind, name = settings.method_kind(method)
    check_options(kind, name, merged, file=file, key=key)
    return {**method, "options": merged}


def _once(cells: list[Entry], file: str | Path, key: str) -> None:
    """No trial of a study has two places in its grids: its measurements could not be told apart."""
    seen = set()
    for method, setting, cell in cells:
        for seed in cell.seeds:
            trial = (cell.dataset, setting, cell.architecture, method, seed)
            if trial in seen:
                raise GauntletError(
                    f"seed {seed} of {method!r} on {cell.dataset}, {cell.architecture} is there twice",
                    file=file,
                    key=key,
                    remedy="let blocks of seeds differ, or give the grids different settings",
                )
            seen.add(trial)


def _methods(study: Study) -> dict[str, dict[str, Any]]:
    """The study's methods as its family sees them, their options checked against the methods' sources."""
    settings, file, methods = family_settings(study.family), STUDIES / f"{study.study}.yaml", {}
    for label, entry in study.methods.items():
        key = f"methods.{label}"
        methods[label] = parse(settings.Method, entry.model_extra, file=file, key=key).model_dump(mode="json")
        kind, name = settings.method_kind(methods[label])
        _known(name, _names(kind), kind, file, f"{key}.{kind}")
        check_options(kind, name, methods[label]["options"], file=file, key=f"{key}.options")
        _check_named(methods[label], file, key)
        if natural := methods[label].get("natural"):
            _check_dataset(natural, study.family, file, f"{key}.natural")
    return methods


def _check_named(value: Any, file: str | Path, key: str) -> None:
    """Check every field that is called after a kind, however deep.

    ``options`` are checked where one such field is beside them; of two, the family says whose they are.
    ``<kind>_options`` belong to the field called after the kind.
    """
    if isinstance(value, list):
        for index, entry in enumerate(value):
            _check_named(entry, file, f"{key}.{index}")
    if not isinstance(value, dict):
        return
    named = [kind for kind in registry.homes() if isinstance(value.get(kind), str)]
    for kind in named:
        _known(value[kind], _names(kind), kind, file, f"{key}.{kind}")
        own = f"{kind}_options"
        if own in value:
            check_options(kind, value[kind], value[own], file=file, key=f"{key}.{own}")
    if len(named) == 1 and "options" in value:
        check_options(named[0], value[named[0]], value["options"], file=file, key=f"{key}.options")
    for name, entry in value.items():
        if not name.endswith("options"):
            _check_named(entry, file, f"{key}.{name}")


#: Names of a kind. A plan asks for the same few kinds hundreds of times, and each answer reads a folder.
_names = cache(registry.names)


def _known(name: str, known: Any, what: str, file: str | Path, key: str) -> None:
    if name not in known:
        raise GauntletError(f"unknown {what} {name!r}", file=file, key=key, remedy=did_you_mean(name, known))


def _check_dataset(name: str, family: str, file: str | Path, key: str) -> None:
    """The dataset is there, and of a form that the family takes: ``FORMS`` of its settings, or images."""
    from gauntlet.data.registry import load

    datasets = load()
    _known(name, datasets, "dataset", file, key)
    takes = getattr(family_settings(family), "FORMS", IMAGES)
    if (form := datasets[name].form) not in takes:
        raise GauntletError(
            f"family {family} takes datasets of the form {' or '.join(takes)}, and {name!r} is {form}",
            file=file,
            key=key,
            remedy="choose another dataset",
        )
