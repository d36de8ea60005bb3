"""A small federation on the digits; also a script that trains one, to be killed.

python toy_federated.py DATA OUT STATE SELECTION [SEED ...]
"""

import sys
from pathlib import Path

import torch

from gauntlet.core.config import parse
from gauntlet.families.federated import train
from gauntlet.families.federated.simulation import Identity, Simulation

TABLES = ("training", "rounds", "picks", "clients", "exchange")


def identity(selection="random", data=None, method=None, options=None, **recipe):
    return {
        "family": "federated",
        "dataset": "digits",
        "architecture": "cnn2_bn",
        "data": {
            "clients": 6,
            "partition": "maverick",
            "per_class": 24,
            "held_out": 4,
            "test_per_class": 20,
            **(data or {}),
        },
        "method": {"selection": selection, "options": options or {}, **(method or {})},
        "train": {"rounds": 4, "selected": 3, "batch": 10, "lr": 0.05, "momentum": 0.5, **recipe},
    }


def simulation(dataset, *arguments, seed=0, **changes):
    what = parse(Identity, identity(*arguments, **changes), file="identity")
    return Simulation(what, seed, dataset, torch.device("cpu"))


def played(simulated):
    """The same simulation after all its rounds."""
    while simulated.round < simulated.train.rounds:
        simulated.round += 1
        simulated.play()
    return simulated


if __name__ == "__main__":
    from gauntlet.core.devices import setup
    from moments import say

    data_folder, out, state, selection, *seeds = sys.argv[1:]
    play = Simulation.play

    def announced(self):
        play(self)
        say(f"round {self.seed} {self.round}")

    Simulation.play = announced
    train.run(
        identity(selection, rounds=10, schedule="participation", decay_every=2),
        [int(seed) for seed in seeds],
        Path(out),
        Path(state),
        setup("cpu"),
        Path(data_folder),
        every=0,
    )
    if "torch._dynamo" in sys.modules:  # the compiler, seconds of start-up for nothing
        print("imported torch._dynamo")
