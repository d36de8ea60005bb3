"""The attacks on classifiers against torchattacks and foolbox: same network, budget, steps and batch.

torchattacks' C&W may stop before its last step, when the loss no longer falls.
"""

from __future__ import annotations

import torch

from benchmarks import timing
from benchmarks.peers import Peer
from benchmarks.problem import Problem, synchronize
from gauntlet.core.registry import create
from gauntlet.core.seeds import torch_generator

ARCHITECTURE, BATCH = "conv", 128
LINEAR = {"eps": Problem.eps, "step": Problem.step}

#: attack -> options, and the peers that have it
CASES = {
    "fgsm": ({"eps": Problem.eps}, ("torchattacks", "foolbox")),
    "bim": ({**LINEAR, "steps": 20}, ("torchattacks", "foolbox")),
    "pgd": ({**LINEAR, "steps": 20}, ("torchattacks", "foolbox")),
    "mim": ({**LINEAR, "steps": 20}, ("torchattacks",)),
    "cw": ({"lr": Problem.rate, "steps": 20, "searches": 1, "initial": 1.0}, ("torchattacks", "foolbox")),
}


def compare(name: str, rounds: int, options) -> list[timing.Comparison]:
    arguments, peers = CASES[name]
    problem = Problem(ARCHITECTURE, BATCH, options.device)
    settings = {
        "attack": name,
        "architecture": ARCHITECTURE,
        "batch": BATCH,
        "steps": arguments.get("steps", 1),
        "threads": options.threads,
        "device": options.device,
    }
    workers = {peer: Peer(peer, settings) for peer in peers}
    model, attack, reached = problem.wrapper(), create("classifier_attack", name, arguments), {}

    def ours() -> None:
        found = attack(model, problem.images, problem.labels, generator=torch_generator(0, "attack"))
        synchronize(found)
        reached["gauntlet"] = found

    def theirs(peer: str) -> float:
        answer = workers[peer].ask("attack")
        reached[peer] = answer["reached"]
        return answer["seconds"]

    programs = {"gauntlet": ours, **{peer: lambda peer=peer: theirs(peer) for peer in peers}}
    seconds = timing.interleave(programs, rounds)
    for worker in workers.values():
        worker.close()
    reached["gauntlet"] = problem.reached(reached["gauntlet"])
    note = f"{name}: " + "; ".join(f"{who} {what}" for who, what in reached.items())
    steps = f"-{arguments['steps']}" if "steps" in arguments else ""
    return [
        timing.Comparison(
            f"{name}{steps}, batch {BATCH}", "gauntlet", peer, seconds["gauntlet"], seconds[peer], note
        )
        for peer in peers
    ]


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = [row for name in CASES for row in compare(name, options.rounds or 15, options)]
    timing.report("crafting", rows, options)


if __name__ == "__main__":
    main()
