"""Two sides of a comparison in a process each, so that the memory of either can be told."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable

from benchmarks.peers import ROOT, Worker


def peak() -> float:
    """Most memory that this process has had so far, in MB. A process inherits the peak of the one that starts
    it, which must import no torch."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def serve(work: dict[str, Callable[[], dict]]) -> None:
    """A side's process: does the work whose name it reads, line by line. Each answer has the ``seconds`` that
    it took, by how many ``megabytes`` the process has grown since it was ready, and what the work returns."""
    before = peak()
    print("ready", flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        found = work[line.strip()]()
        spent = time.perf_counter() - started
        print(json.dumps({"seconds": spent, "megabytes": peak() - before, **found}), flush=True)


class Side(Worker):
    """A running side: ``python -m benchmarks.<module>`` with its settings as JSON.

    Attributes:
        last: work -> its latest answer.
    """

    def __init__(self, module: str, settings: dict):
        super().__init__([sys.executable, "-m", f"benchmarks.{module}", json.dumps(settings)], cwd=ROOT)
        self.last: dict[str, dict] = {}

    def seconds(self, work: str) -> float:
        self.last[work] = self.ask(work)
        return self.last[work]["seconds"]

    @property
    def megabytes(self) -> float:
        return max(answer["megabytes"] for answer in self.last.values())
