"""A round of federated averaging against bare SGD steps, a plain loop of clients, and Flower."""

from __future__ import annotations

import json
import sys

import torch

from benchmarks import timing
from benchmarks.federated_run import Run
from benchmarks.federation import CLASSES, Federation, optimizer, steps
from benchmarks.peers import ROOT, Peer, Worker
from benchmarks.plain_loop import PlainLoop
from gauntlet.families.federated.evaluation import Evaluator

#: Clients, selected per round, batch, rounds.
CASES = ((50, 5, 4, 3), (1000, 50, 10, 3))
#: Runs at once, and Flower's workers against them.
CORES = 2


def name(settings: dict) -> str:
    return "N = {clients}, K = {selected}, batch {batch}".format(**settings)


def one_core(settings: dict, rounds: int) -> list[timing.Comparison]:
    """All sides in one process each (Flower's server has another), turn about."""
    federation = Federation(settings)
    stacked, sequential = Run(federation, "stacked"), Run(federation, "sequential")
    plain, flower = PlainLoop(federation), Peer("flower", {**settings, "workers": 1})
    net, accuracy = federation.net(), {}
    sgd = optimizer(net)

    def floor() -> None:
        for client in range(federation.selected):
            steps(net, sgd, federation.world.train, federation.batches(client))

    def theirs() -> float:
        answer = flower.ask("round")
        accuracy["Flower"] = answer["accuracy"]
        return answer["seconds"]

    programs = {"stacked": stacked.round, "sequential": sequential.round}
    programs |= {"steps": floor, "plain": plain.round, "flower": theirs}
    seconds = timing.interleave(programs, rounds)
    flower.close()
    test = Evaluator(federation.net(), federation.world.test, CLASSES)
    accuracy = {
        "sequential": sequential.accuracy(),
        "stacked": stacked.accuracy(),
        "plain loop": test(plain.state).accuracy[0],
        **accuracy,
    }
    what = name(settings)
    shown = ", ".join(f"{side} {value:.3f}" for side, value in accuracy.items())
    note = f"{what}, {federation.dataset.name}: accuracy after {rounds + 1} rounds: {shown}"
    peers = {"steps": "SGD steps alone", "plain": "plain loop", "flower": "Flower, one worker"}
    return [
        timing.Comparison(what, ours, label, seconds[ours], seconds[peer], note)
        for peer, label in peers.items()
        for ours in ("sequential", "stacked")
    ]


def all_cores(settings: dict, rounds: int) -> timing.Comparison:
    """Two runs of ours, each on a core, against one of Flower's on both: seconds per round."""
    command = [sys.executable, "-m", "benchmarks.federated_run", json.dumps({**settings, "mode": "stacked"})]
    runs = [Worker(command, cwd=ROOT) for _ in range(CORES)]
    flower = Peer("flower", {**settings, "workers": CORES})

    def ours() -> float:
        for run in runs:
            run.send("round")
        return max(run.answer()["seconds"] for run in runs) / CORES

    seconds = timing.interleave({"ours": ours, "flower": lambda: flower.ask("round")["seconds"]}, rounds)
    for worker in (*runs, flower):
        worker.close()
    gain = sum(seconds["flower"]) / sum(seconds["ours"])
    return timing.Comparison(
        name(settings),
        f"{CORES} runs at once, stacked, per round",
        f"Flower, {CORES} workers",
        seconds["ours"],
        seconds["flower"],
        f"{name(settings)}: {CORES} runs at once do {gain:.1f} times Flower's rounds per second",
    )


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--images", type=int, default=60_000, help="training images of all clients")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for clients, selected, batch, rounds in CASES:
        settings = {"clients": clients, "selected": selected, "batch": batch}
        settings |= {"images": options.images, "threads": options.threads}
        rows += one_core(settings, options.rounds or rounds)
        rows.append(all_cores(settings, options.rounds or rounds))
    timing.report("federated_round", rows, options, processes=CORES)


if __name__ == "__main__":
    main()
