"""The steps of a run: what each makes, what it waits for, and where its log is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from gauntlet import data
from gauntlet.cell import Cell
from gauntlet.costs import checks, jobs
from gauntlet.models import weights
from gauntlet.plan import Plan, StudyPlan

STAGES = ("data", "train", "attack", "figures", "claims")
OUT = Path("paper_figures")


@dataclass(frozen=True)
class Step:
    """One job of the workflow.

    Attributes:
        name: the folder of its outputs (of a cell's job), or the file that it makes.
        stage: one of ``STAGES``.
        title: in words, ``train at-1a2b on digits/conv, seeds 0-1``.
        outputs: its files.
        log: its log.
        waits: names of the steps before it.
        cell: of a training or an attack, else None.
    """

    name: str
    stage: str
    title: str
    outputs: tuple[Path, ...]
    log: Path
    waits: tuple[str, ...] = ()
    cell: Cell | None = None

    @property
    def pulse(self) -> Path | None:
        """Where its job tells that it lives."""
        return self.cell and self.cell.pulse(self.stage)


def of_plan(plan: Plan) -> dict[str, Step]:
    """Name -> every step of a run, each after those that it waits for."""
    steps: list[Step] = []
    if plan.scale.source == "results":
        todo = list(jobs.steps(plan.cells()))
        steps += _data([cell for cell, _ in todo])
        steps += [_of_job(cell, step) for cell, step in todo]
    for name, part in plan.studies.items():
        steps += _drawn(plan, name, part)
    steps += _judged(plan)
    known = {step.name: step for step in steps}
    order = TopologicalSorter({name: [w for w in step.waits if w in known] for name, step in known.items()})
    return {name: known[name] for name in order.static_order()}


def _data(cells: list[Cell]) -> Iterator[Step]:
    for name in sorted(checks.datasets(cells)):
        folder = data.folder(name)
        log = Path("logs/data", f"{folder.parent.name}-{name}.log")
        yield Step(_file(name), "data", f"get dataset {name}", (folder / "dataset.json",), log)
    for path in sorted({weights.path(cell.architecture) for cell in cells if _pretrained(cell)}):
        log = Path("logs/data", f"{path.stem}.log")
        yield Step(path.as_posix(), "data", f"get ImageNet weights {path.stem}", (path,), log)


def _file(dataset: str) -> str:
    return (data.folder(dataset) / "dataset.json").as_posix()


def _pretrained(cell: Cell) -> bool:
    return "train" in cell.steps and bool(cell.identity["train"].get("pretrained"))


def _of_job(cell: Cell, step: str) -> Step:
    folder = cell.steps[step]
    waits = [*map(_file, sorted(checks.datasets([cell]))), *jobs.waits(cell, step)]
    if step == "train" and _pretrained(cell):
        waits.append(weights.path(cell.architecture).as_posix())
    return Step(
        name=folder.as_posix(),
        stage=step,
        title=f"{step} {cell.model} on {cell.dataset}/{cell.architecture}, seeds {cell.block}",
        outputs=((cell.weights,) if step == "train" else ())
        + tuple(path for path in cell.measured().values() if path.parent == folder),
        log=cell.log(step),
        waits=tuple(waits),
        cell=cell,
    )


def _drawn(plan: Plan, name: str, part: StudyPlan) -> Iterator[Step]:
    """A study's gathered tables, its figures and its tables."""
    manifest, logs = plan.root(name) / "manifest.json", Path("logs/studies", name)
    if plan.scale.source == "results":
        rows, missing = part.present()
        rows = rows if plan.scale.holes else rows + missing
        last = {list(row["steps"].values())[-1] for row in rows}
        log = logs / part.scale / "gather.log"
        yield Step(manifest.as_posix(), "figures", f"gather {name}", (manifest,), log, tuple(sorted(last)))
    for kind, suffixes in (("figures", ("pdf", "png", "csv")), ("tables", ("csv", "md", "tex"))):
        if names := list(getattr(part.study, kind)):
            files = tuple(OUT / name / f"{each}.{suffix}" for each in names for suffix in suffixes)
            title = f"draw the figures of {name}" if kind == "figures" else f"write the tables of {name}"
            waits = (manifest.as_posix(),)
            yield Step(files[0].as_posix(), "figures", title, files, logs / f"{kind}.log", waits)


def _judged(plan: Plan) -> Iterator[Step]:
    manifests = tuple((plan.root(name) / "manifest.json").as_posix() for name in plan.studies)
    drawn = [step.name for name, part in plan.studies.items() for step in _drawn(plan, name, part)]
    claims, report = OUT / "claims.json", OUT / "index.html"
    yield Step(claims.as_posix(), "claims", "judge the claims", (claims,), Path("logs/claims.log"), manifests)
    waits = tuple(dict.fromkeys([*drawn, *manifests, claims.as_posix()]))
    yield Step(report.as_posix(), "claims", "write the report", (report,), Path("logs/report.log"), waits)
    if plan.scale.source == "results":
        file = Path("results/tracking", f"{plan.scale.scale}.json")
        yield Step(file.as_posix(), "claims", "copy into MLflow", (file,), Path("logs/track.log"), waits)
