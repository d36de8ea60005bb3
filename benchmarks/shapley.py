"""Exact Shapley values of a round's five clients against their 32 coalitions evaluated one by one."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks import timing
from benchmarks.federated_run import Run
from benchmarks.federation import LR, Federation
from gauntlet.core.registry import resolve
from gauntlet.families.federated.contributions import contributions, mean
from gauntlet.families.federated.local import Task
from gauntlet.metrics.shapley import coalitions, shapley

PLAYERS = 5


def compare(settings: dict, rounds: int) -> timing.Comparison:
    simulation = Run(Federation(settings), "stacked").simulation
    before, rule = simulation.model, resolve("aggregation", "fedavg")
    owned = simulation.world.rows[:PLAYERS]
    states = [update.state for update in simulation.local.train(before, [Task([rows], LR) for rows in owned])]
    samples, found = np.array([len(rows) for rows in owned]), {}

    def ours() -> None:
        found["ours"] = contributions(before, states, samples, rule, simulation.server).shapley_accuracy

    def one_by_one() -> None:
        values = []
        for inside in map(np.flatnonzero, coalitions(PLAYERS)):
            state = mean([states[k] for k in inside], rule(samples[inside])) if len(inside) else before
            values.append(simulation.server(state).accuracy[0])
        found["one by one"] = shapley(np.array(values))

    seconds = timing.interleave({"ours": ours, "one by one": one_by_one}, rounds)
    shown = [", ".join(f"{value:.4f}" for value in found[side]) for side in ("ours", "one by one")]
    return timing.Comparison(
        f"K = {PLAYERS}, {len(simulation.world.held_out)} images",
        "gauntlet, both value functions and influence",
        f"{2**PLAYERS} evaluations",
        seconds["ours"],
        seconds["one by one"],
        f"Shapley values of accuracy: {shown[0]} (ours), {shown[1]} (one by one)",
    )


def main() -> None:
    options = timing.arguments(__doc__).parse_args()
    torch.set_num_threads(options.threads)
    settings = {"clients": 50, "selected": PLAYERS, "batch": 10, "images": 10_000, "held_out": 100}
    timing.report("shapley", [compare(settings, options.rounds or 5)], options)


if __name__ == "__main__":
    main()
