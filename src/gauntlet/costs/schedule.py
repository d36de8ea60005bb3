"""How long jobs take together, some at once, each after those that it waits for."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence


def makespan(seconds: Mapping[str, float], waits: Mapping[str, Sequence[str]], slots: int) -> float:
    """Wall time of all jobs by list scheduling: whenever a slot is free, the job that is ready and has the
    longest way to the end begins. At most 2 - 1/slots times the best schedule (Graham 1969).

    Args:
        seconds: of every job.
        waits: job -> the jobs before it; those that are not in ``seconds`` are there already.
        slots: jobs at once, at least 1.
    """
    before = {job: {name for name in waits.get(job, ()) if name in seconds} for job in seconds}
    after: dict[str, list[str]] = {job: [] for job in seconds}
    for job, names in before.items():
        for name in names:
            after[name].append(job)
    way = _ways(seconds, before, after)
    ready = [(-way[job], job) for job, names in before.items() if not names]
    heapq.heapify(ready)
    running: list[tuple[float, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < slots:
            _, job = heapq.heappop(ready)
            heapq.heappush(running, (now + seconds[job], job))
        now, job = heapq.heappop(running)
        for name in after[job]:
            before[name].discard(job)
            if not before[name]:
                heapq.heappush(ready, (-way[name], name))
    return now


def _ways(seconds: Mapping[str, float], before: Mapping, after: Mapping) -> dict[str, float]:
    """Job -> seconds from its beginning to the end of the longest chain that it begins."""
    left = {job: len(names) for job, names in after.items()}
    ends, way = [job for job, count in left.items() if not count], {}
    for job in ends:  # grows while it is walked
        way[job] = seconds[job] + max((way[name] for name in after[job]), default=0.0)
        for name in before[job]:
            left[name] -= 1
            if not left[name]:
                ends.append(name)
    return way
