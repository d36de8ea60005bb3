"""One line per finished trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_parquet
from gauntlet.plan import Plan
from gauntlet.report.trials import POINTS, run_name
from gauntlet.status.state import State


class Finished:
    """Tells of every trial once, when it is done; of those that are done already at the first look, never."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self._told: set[tuple] | None = None

    def __call__(self, states: Mapping[str, State]) -> list[str]:
        """``eat  at fashion-mnist/conv seed 3  worst/recall_at_1 0.412  12.3 s`` of every trial that has
        finished since the last call: study, method, block, seed, its headline score, and the seconds of its
        jobs, shared out evenly among the seeds of a block."""
        first, told = self._told is None, self._told or set()
        lines = []
        for study, part in self.plan.studies.items():
            for method, setting, cell in part.cells:
                key = (study, method, setting, cell.name, cell.attack)
                jobs = [states.get(folder.as_posix()) for folder in cell.steps.values()]
                if key in told or not all(job and job.state == "done" for job in jobs):
                    continue
                told.add(key)
                if not first:
                    spec = {
                        "method": method,
                        "dataset": cell.dataset,
                        "setting": setting,
                        "architecture": cell.architecture,
                    }
                    seconds = sum(job.seconds or 0.0 for job in jobs) / len(cell.seeds)
                    for seed, score in _headlines(cell):
                        lines.append(f"{study}  {run_name(spec, seed)}  {score}  {seconds:.1f} s")
        self._told = told
        return lines


def _headlines(cell) -> Iterator[tuple[int, str]]:
    """Every seed with its first score under the worst attack, or else its first; of a family that measures
    rounds or queries, the last of them."""
    tables = cell.measured()
    name = [name for name in POINTS if name in tables][-1]
    try:
        table = read_parquet(tables[name])
    except GauntletError:  # it is made again this moment
        return
    for seed in cell.seeds:
        points = POINTS[name](table[table["seed"] == seed])
        if not points:
            yield seed, "no score"
            continue
        worst = [point for point in points if point[0].startswith("worst/")]
        metric, _, value = (worst or points)[0] if name == "scores" else points[-1]
        yield seed, f"{metric} {value:.3f}"
