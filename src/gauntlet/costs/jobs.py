"""The jobs of a plan: what each has to do, and what it waits for."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gauntlet.cell import Cell, family_settings
from gauntlet.data import sizes
from gauntlet.models import operations

#: A pass is forward and backward: three times the operations of the way forward.
PASS = 3


@dataclass(frozen=True)
class Job:
    """One training or attack job.

    Attributes:
        name: the folder of its outputs.
        label: the method, as in the folder's name: jobs of one label have one rate.
        seeds: how many, one after the other.
        operations: of one seed, in multiplications and additions; 0 where nothing passes a network; None
            where the family does not say.
        waits: names of jobs that come before it.
        done: its outputs are there.
    """

    name: str
    family: str
    step: str
    label: str
    architecture: str
    seeds: int
    operations: float | None
    waits: tuple[str, ...] = ()
    done: bool = False

    @property
    def rule(self) -> str:
        """Its rule of the workflow."""
        return f"{self.family}_{self.step}"


def of_cells(cells: Iterable[Cell]) -> dict[str, Job]:
    """Name -> every job of these cells, and the trainings that they need, each once."""
    known: dict[tuple, float | None] = {}
    found: dict[str, Job] = {}
    for cell, step in steps(cells):
        evaluate = cell.attack if step == "attack" else ""
        key = (cell.family, cell.dataset, cell.architecture, cell.model, evaluate)
        if key not in known:
            known[key] = _operations(cell, step)
        job = _job(cell, step, known[key])
        found.setdefault(job.name, job)
    return found


def weight_bytes(cells: Iterable[Cell]) -> int:
    """Bytes of the weights, as floats, that these cells and those that they need keep; those of families that
    do not say are left out."""
    trained = {cell.name: cell for cell, step in steps(cells) if step == "train"}
    return sum(_weights(cell) for cell in trained.values())


def work_of(family: str) -> Any | None:
    """The module ``families/<family>/work.py``; None where there is none."""
    folder = Path(family_settings(family).__file__).parent
    if not (folder / "work.py").is_file():
        return None
    return importlib.import_module(f"gauntlet.families.{family}.work")


def steps(cells: Iterable[Cell]) -> Iterator[tuple[Cell, str]]:
    """Every step of these cells, and the trainings that they need."""
    waiting = [(cell, step) for cell in cells for step in cell.steps]
    for cell, step in waiting:  # grows while it is walked
        yield cell, step
        waiting += [(other, "train") for other in cell.needs(step).values()]


def waits(cell: Cell, step: str) -> tuple[str, ...]:
    """Names of the trainings and attacks that come before a step of a cell."""
    names = [other.train_folder.as_posix() for other in cell.needs(step).values()]
    if step == "attack" and "train" in cell.steps:
        names.append(cell.train_folder.as_posix())
    return tuple(names)


def _job(cell: Cell, step: str, work: float | None) -> Job:
    settings, folder = family_settings(cell.family), cell.steps[step]
    return Job(
        name=folder.as_posix(),
        family=cell.family,
        step=step,
        label=settings.model_label(cell.identity["method"]),
        architecture=cell.architecture,
        seeds=len(cell.seeds),
        operations=work,
        waits=waits(cell, step),
        done=all((folder / f"{name}.parquet").is_file() for name in settings.TABLES[step]),
    )


def _operations(cell: Cell, step: str) -> float | None:
    """Of one seed. None where the family does not count them."""
    if (work := work_of(cell.family)) is None:
        return None
    passes = work.train(cell.identity) if step == "train" else work.attack(cell.identity, cell.evaluate)
    return sum(PASS * count * _size(cell, *network).operations for network, count in passes.items())


def _weights(cell: Cell) -> int:
    if (work := work_of(cell.family)) is None:
        return 0
    kept = work.weights(cell.identity)
    return 4 * len(cell.seeds) * sum(count * _size(cell, *network).weights for network, count in kept.items())


def _size(cell: Cell, kind: str, architecture: str) -> operations.Size:
    shape = sizes.network(cell.dataset, cell.identity["data"], cell.identity["train"])
    return operations.size(kind, architecture, *shape)
