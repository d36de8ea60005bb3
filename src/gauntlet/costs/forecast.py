"""The cost of a run, study by study, before it is spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from gauntlet.core.blocks import seeds_of
from gauntlet.core.files import read_json
from gauntlet.costs.jobs import Job, of_cells, weight_bytes
from gauntlet.costs.rates import NOTHING, Interval, Rates
from gauntlet.costs.schedule import makespan
from gauntlet.plan import Plan, StudyPlan


@dataclass(frozen=True)
class Forecast:
    """What a study, or a whole run, still has to do.

    Attributes:
        jobs: trainings and attacks; ``done`` of them are there.
        trials: points of the study's grid, seeds counted one by one.
        cores: core-seconds of what is left, added up over the jobs that can be planned.
        gpus: GPU-seconds, of the jobs whose rules are assumed to be faster.
        wall: seconds, so many jobs at once.
        longest: seconds of the longest job of every rule (``dml_train``).
        unknown: rule -> jobs left that nobody has measured, or whose work nobody counts.
        far: rule and architecture that nobody has measured together: its operations alone tell.
        weights: bytes of all weights.
        tables: bytes of all measurements; None where none of the study are published.
    """

    jobs: int
    done: int
    trials: int
    cores: Interval
    gpus: Interval
    wall: Interval
    longest: dict[str, Interval]
    unknown: dict[str, int]
    far: list[str]
    weights: int
    tables: float | None


def of_plan(plan: Plan, rates: Rates, slots: int) -> tuple[dict[str, Forecast], Forecast]:
    """Every study's forecast, and that of the run: a job that several studies need counts once there."""
    parts = {name: of_study(part, rates, slots) for name, part in plan.studies.items()}
    known = [part.tables for part in parts.values() if part.tables is not None]
    trials = sum(part.trials for part in parts.values())
    return parts, _forecast(list(plan.cells()), rates, slots, trials, sum(known) if known else None)


def of_study(part: StudyPlan, rates: Rates, slots: int) -> Forecast:
    """The forecast of one study by itself."""
    cells = [entry.cell for entry in part.cells]
    trials = sum(len(cell.seeds) for cell in cells)
    per_trial = _bytes_per_trial(part.references())
    return _forecast(cells, rates, slots, trials, None if per_trial is None else per_trial * trials)


def _forecast(cells: list, rates: Rates, slots: int, trials: int, tables: float | None) -> Forecast:
    jobs = of_cells(cells).values()
    left = [job for job in jobs if not job.done]
    seconds = {job.name: rates.seconds(job) for job in left}
    planned = {name: found for name, found in seconds.items() if found is not None}
    longest: dict[str, Interval] = {}
    for job in left:
        if job.name in planned:
            found = longest.get(job.rule, NOTHING)
            longest[job.rule] = max(found, planned[job.name], key=lambda interval: interval.middle)
    faster = {job.name for job in left if job.rule in rates.faster}
    return Forecast(
        jobs=len(jobs),
        done=len(jobs) - len(left),
        trials=trials,
        cores=_each(lambda of: sum(of(took) for name, took in planned.items() if name not in faster)),
        gpus=_each(lambda of: sum(of(took) for name, took in planned.items() if name in faster)),
        wall=_wall(left, planned, slots),
        longest=longest,
        unknown=dict(Counter(job.rule for job in left if job.name not in planned)),
        far=sorted(
            {f"{job.rule} {job.architecture}" for job in left if job.name in planned and rates.is_far(job)}
        ),
        weights=weight_bytes(cells),
        tables=tables,
    )


def _wall(left: Iterable[Job], planned: dict[str, Interval], slots: int) -> Interval:
    waits = {job.name: job.waits for job in left}
    return _each(lambda of: makespan({name: of(found) for name, found in planned.items()}, waits, slots))


def _each(number: Callable[[Callable[[Interval], float]], float]) -> Interval:
    """``number`` of the low ends, of the middles, and of the high ends."""
    return Interval(*(float(number(lambda found, at=at: found[at])) for at in range(3)))


def _bytes_per_trial(folders: Iterable[Path]) -> float | None:
    """Bytes of published tables per trial, all scales together."""
    size, trials = 0, 0
    for folder in folders:
        size += sum(path.stat().st_size for path in folder.glob("*.parquet"))
        trials += sum(len(seeds_of(cell["block"])) for cell in read_json(folder / "manifest.json")["cells"])
    return size / trials if trials else None
