"""A run's state, added up: stages, trials, what is at work, what failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gauntlet.plan import Plan
from gauntlet.status.state import State, tail
from gauntlet.status.steps import STAGES, Step

#: States of a step that began and left nothing.
BAD = ("failed", "stopped")
#: Lines of a failed step's log that are shown.
TAIL = 12


@dataclass(frozen=True)
class Stage:
    """How many of a stage's steps there are, and how many are in each state."""

    steps: int
    done: int
    running: int
    failed: int


@dataclass(frozen=True)
class Running:
    """A step at work: seconds since it began, what its log said last, and its last sample."""

    title: str
    seconds: float
    says: str
    pulse: Mapping[str, float]


@dataclass(frozen=True)
class Failure:
    """A step that ended without its outputs, and how to run it again."""

    title: str
    state: str
    log: str
    lines: list[str]
    rerun: str


@dataclass(frozen=True)
class Summary:
    """The whole run.

    Attributes:
        held: steps that wait for one that failed.
        left: seconds until all trainings and attacks are done; None where nothing tells.
        unknown: jobs that are left and not in it.
    """

    scale: str
    stages: dict[str, Stage]
    trials: int
    trials_done: int
    running: list[Running]
    failures: list[Failure]
    held: int
    left: float | None
    unknown: int

    @property
    def done(self) -> bool:
        return all(stage.done == stage.steps for stage in self.stages.values())

    def plain(self) -> dict[str, Any]:
        """For programs."""
        return {"done": self.done, **asdict(self)}


def summarise(
    plan: Plan,
    steps: Mapping[str, Step],
    states: Mapping[str, State],
    left: tuple[float | None, int],
    rerun: Callable[[Step], str],
) -> Summary:
    """Add up what ``state.Look`` found.

    Args:
        left: of ``left.Left``.
        rerun: step -> the command that runs it again.
    """
    bad = [name for name in steps if states[name].state in BAD]
    held: set[str] = set()
    for name, step in steps.items():
        if any(other in bad or other in held for other in step.waits):
            held.add(name)
    counts = {stage: [states[name].state for name in steps if steps[name].stage == stage] for stage in STAGES}
    trials = {
        (study, method, setting, cell.name, seed): list(cell.steps.values())[-1].as_posix()
        for study, part in plan.studies.items()
        for method, setting, cell in part.cells
        for seed in cell.seeds
    }
    return Summary(
        scale=plan.scale.scale,
        stages={
            stage: Stage(len(found), found.count("done"), found.count("running"), sum(map(found.count, BAD)))
            for stage, found in counts.items()
            if found
        },
        trials=len(trials),
        trials_done=sum(name not in steps or states[name].state == "done" for name in trials.values()),
        running=[
            Running(steps[name].title, found.seconds, found.says, found.pulse)
            for name, found in states.items()
            if found.state == "running"
        ],
        failures=[_failure(steps[name], states[name], rerun) for name in bad],
        held=len(held),
        left=left[0],
        unknown=left[1],
    )


def _failure(step: Step, state: State, rerun: Callable[[Step], str]) -> Failure:
    lines = tail(step.log).splitlines()[-TAIL:]
    return Failure(step.title, state.state, str(step.log), lines, rerun(step))
