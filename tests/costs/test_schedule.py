"""Wall time, against every order that there is."""

import itertools

import numpy as np
import pytest

from gauntlet.costs.schedule import makespan


def simulated(order, seconds, waits, slots):
    """The end of a schedule that begins jobs in this order, each on the slot that is free first."""
    free, ends = [0.0] * slots, {}
    for job in order:
        begin = max([min(free), *(ends[name] for name in waits.get(job, ()))])
        slot = free.index(min(free))
        ends[job] = free[slot] = begin + seconds[job]
    return max(ends.values())


def orders(seconds, waits):
    for order in itertools.permutations(seconds):
        if all(order.index(name) < order.index(job) for job in order for name in waits.get(job, ())):
            yield order


@pytest.mark.parametrize("case", range(30))
@pytest.mark.parametrize("slots", [1, 2, 3])
def test_no_better_than_the_best_schedule_and_within_grahams_bound(case, slots):
    draws = np.random.default_rng(case)
    jobs = [f"job{index}" for index in range(6)]
    seconds = {job: float(draws.integers(1, 9)) for job in jobs}
    waits = {job: [name for name in jobs[:index] if draws.random() < 0.3] for index, job in enumerate(jobs)}
    best = min(simulated(order, seconds, waits, slots) for order in orders(seconds, waits))
    found = makespan(seconds, waits, slots)
    assert best <= found <= (2 - 1 / slots) * best


def test_attacks_wait_for_their_trainings():
    seconds = {"train a": 4.0, "attack a": 3.0, "train b": 1.0, "attack b": 1.0}
    waits = {"attack a": ["train a"], "attack b": ["train b"]}
    assert makespan(seconds, waits, 1) == 9
    assert makespan(seconds, waits, 2) == 7


def test_what_is_there_already_is_not_waited_for():
    assert makespan({"attack": 3.0}, {"attack": ["train"]}, 2) == 3
    assert makespan({}, {}, 2) == 0
