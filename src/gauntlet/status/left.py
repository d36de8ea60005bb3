"""How long the rest of a run may take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from gauntlet.costs.jobs import Job, of_cells
from gauntlet.costs.rates import Measured, Rates, measured, startup
from gauntlet.costs.schedule import makespan
from gauntlet.plan import Plan
from gauntlet.status.state import State
from gauntlet.status.steps import Step

#: ``seed 3 epoch 2/10 ...`` and ``seed 3: 8 of 16 ...``: how far a job is.
FAR = re.compile(r"^seed (\d+)\b(?:.*?\b(\d+)(?:/| of )(\d+))?")


class Left:
    """The seconds that are left of a run: from the jobs of this run that are done, and, for those that none
    of them tells of, from all measured jobs, as `gauntlet plan` has them.

    Args:
        jobs: of ``costs.jobs.of_cells``, by the names of their steps.
        known: rates of measured jobs.
    """

    def __init__(self, jobs: Mapping[str, Job], known: Rates):
        self.jobs, self.known = jobs, known

    @classmethod
    def of_plan(cls, plan: Plan) -> Left:
        """With the rates of all manifests. Imports the attacks whose work it counts: that takes seconds."""
        return cls(of_cells(plan.cells()), Rates(measured()[0], startup=startup()))

    def __call__(
        self, steps: Mapping[str, Step], states: Mapping[str, State], slots: int
    ) -> tuple[float | None, int]:
        """Seconds until all trainings and attacks are done, ``slots`` of them at once; and how many of those
        that are left nothing tells of. Seconds are None when that is so of all."""
        here = Rates(self._own(states), startup=self.known.startup)
        left, unknown = {}, 0
        for name, job in self.jobs.items():
            if states[name].state == "done":
                continue
            whole = here.seconds(job) or self.known.seconds(job)
            seconds = _rest(steps[name], states[name], whole.middle if whole else None)
            if seconds is None:
                unknown += 1
            else:
                left[name] = seconds
        if unknown and not left:
            return None, unknown
        return makespan(left, {name: self.jobs[name].waits for name in left}, max(1, slots)), unknown

    def _own(self, states: Mapping[str, State]) -> list[Measured]:
        """The jobs of this run that are done."""
        return [
            Measured(job, states[name].device, states[name].seconds, "", "", Path(name))
            for name, job in self.jobs.items()
            if job.operations is not None and states[name].seconds and states[name].device
        ]


def _rest(step: Step, state: State, whole: float | None) -> float | None:
    """Seconds that a job has before it; ``whole`` is what all of it takes, if that is known."""
    if state.state != "running":
        return whole
    share = far(step, state.says)
    if whole is not None:
        return whole * (1 - share) if share else max(0.0, whole - state.seconds)
    return state.seconds * (1 - share) / share if share else None


def far(step: Step, says: str) -> float:
    """The share of a job's work that is behind it, from a line of its log: its seeds that are done, and the
    epochs or rounds of this one. 0 where the line tells nothing, or the job measures several things per seed.
    """
    found = FAR.match(says)
    seeds = step.cell.seeds
    if not found or int(found[1]) not in seeds:
        return 0.0
    within = int(found[2]) / int(found[3]) if found[3] and step.stage == "train" and int(found[3]) else 0.0
    return (seeds.index(int(found[1])) + min(1.0, within)) / len(seeds)
