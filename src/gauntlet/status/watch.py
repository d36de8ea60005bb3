"""Looking at a run while it goes on: a picture that renews itself on a terminal, sparse lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from gauntlet.plan import Plan
from gauntlet.status import steps as of_run
from gauntlet.status.left import Left
from gauntlet.status.state import Look, State
from gauntlet.status.steps import Step
from gauntlet.status.summary import Summary, summarise
from gauntlet.status.trials import Finished
from gauntlet.status.view import headline, render, stage_line

#: Seconds between two looks, at least and at most.
PERIOD, LONGEST = 2.0, 15.0
#: Seconds between two lines that only say how far it is, without a terminal.
SPARSE = 300.0


class Observer:
    """Looks at one run.

    Args:
        plan: of the run.
        rerun: step -> the command that runs it again.
        slots: jobs at once; None for as many as are at work.
        since: failures before this moment (seconds since 1970) do not count.
    """

    def __init__(self, plan: Plan, rerun: Callable[[Step], str], slots: int | None, since: float = 0.0):
        self.plan, self.rerun, self.slots, self.since = plan, rerun, slots, since
        self.steps = of_run.of_plan(plan)
        self.look = Look(self.steps)
        self.left: Left | None = None
        self.finished = Finished(plan)
        self.news: list[str] = []

    def __call__(self, quick: bool = False) -> Summary:
        """The run now; ``news`` has the trials that have finished since the last look. A quick look does not
        say how long the rest may take."""
        states: Mapping[str, State] = self.look(time.time(), self.since)
        self.news = self.finished(states)
        jobs = [found.state for name, found in states.items() if self.steps[name].cell]
        left = (None, 0)
        if not quick and set(jobs) - {"done"}:
            self.left = self.left or Left.of_plan(self.plan)
            left = self.left(self.steps, states, self.slots or jobs.count("running") or 1)
        return summarise(self.plan, self.steps, states, left, self.rerun)


@contextmanager
def showing(console: Console) -> Iterator[Callable[[Summary, list[str]], None]]:
    """A function that shows a summary, and lines above it."""
    if not console.is_terminal:
        yield Lines(console)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def show(summary: Summary, news: list[str]) -> None:
            for line in news:
                console.print(line, markup=False, highlight=False)
            live.update(render(summary), refresh=True)

        yield show


class Lines:
    """Says what has changed, one plain line each: trials, stages that are done, and, from time to time, how
    far it is."""

    def __init__(self, console: Console):
        self.console = console
        self._done: dict[str, int] = {}
        self._last = float("-inf")

    def __call__(self, summary: Summary, news: list[str]) -> None:
        lines = list(news)
        for name, stage in summary.stages.items():
            whole = stage.done == stage.steps
            if whole and self._done.get(name, stage.done) < stage.steps:
                lines.append(stage_line(name, stage))
            self._done[name] = stage.done
        if time.monotonic() - self._last >= SPARSE:
            lines.append(headline(summary))
            self._last = time.monotonic()
        for line in lines:
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def until(observer: Observer, console: Console, pause: Callable[[Summary, float], bool]) -> Summary:
    """Show a run until ``pause`` says that it is over, and once more then; returns what was seen last.

    Args:
        pause: takes what was seen and the seconds until the next look; whether the run is over.
    """
    over, first = False, True
    with showing(console) as show:
        while True:
            begun = time.monotonic()
            summary, first = observer(quick=first), False
            show(summary, observer.news)
            if over:
                return summary
            # Looking at thousands of files must not keep the machine from its work.
            over = pause(summary, min(LONGEST, max(PERIOD, 20 * (time.monotonic() - begun))))
