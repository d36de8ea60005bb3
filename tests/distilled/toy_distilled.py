"""A small federation that shares distilled digits; also a script that runs one, to be killed.

python toy_distilled.py DATA OUT STATE METHOD [SEED ...]
"""

import sys
from pathlib import Path

import torch

from gauntlet.core.config import parse
from gauntlet.families.distilled import train
from gauntlet.families.distilled.simulation import Identity

TABLES = ("training", "rounds", "clients", "exchange", "samples")

#: Options that make a method small.
SMALL = {
    "bilevel": {"per_class": 2, "iterations": 3, "inner": 2, "batch": 16},
    "gradient_matching": {"per_class": 1, "iterations": 3, "outer": 2, "inner": 2, "batch": 4},
    "distribution_matching": {"per_class": 2, "iterations": 3, "batch": 4},
    "random_real": {"per_class": 2},
    "local": {"batch": 8, "lr": 0.05, "momentum": 0.5},
}


def identity(method="bilevel", data=None, options=None, architecture="convnet2", **recipe):
    return {
        "family": "distilled",
        "dataset": "digits",
        "architecture": architecture,
        "data": {"clients": 3, "per_class": 12, "test_per_class": 15, **(data or {})},
        "method": {"distillation": method, "options": {**SMALL[method], **(options or {})}},
        "train": {"rounds": 2, "steps": 10, "lr": 0.2, **recipe},
    }


def simulation(dataset, *arguments, seed=0, **changes):
    what = parse(Identity, identity(*arguments, **changes), file="identity")
    return train.make(what, seed, dataset, torch.device("cpu"))


def played(simulated):
    """The same simulation after all its rounds."""
    while not simulated.finished:
        simulated.advance()
    return simulated


if __name__ == "__main__":
    from gauntlet.core.devices import setup
    from gauntlet.families.distilled.alone import Alone
    from gauntlet.families.distilled.sharing import Sharing
    from moments import say

    data_folder, out, state, method, *seeds = sys.argv[1:]

    def announced(advance):
        def announcing(self):
            advance(self)
            self.done = getattr(self, "done", 0) + 1
            say(f"advanced {self.seed} {self.done}")

        return announcing

    for kind in (Sharing, Alone):
        kind.advance = announced(kind.advance)
    train.run(
        identity(method, rounds=4),
        [int(seed) for seed in seeds],
        Path(out),
        Path(state),
        setup("cpu"),
        Path(data_folder),
        every=0,
    )
    if "torch._dynamo" in sys.modules:  # the compiler, seconds of start-up for nothing
        print("imported torch._dynamo")
