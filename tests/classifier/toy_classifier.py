"""A small classifier of the digits; also a script that trains one, to be killed.

python toy_classifier.py DATA OUT STATE DEFENSE [SEED ...]
"""

import sys
from pathlib import Path

from gauntlet.families.classifier import train

PGD = {"eps": 0.1, "step": 0.05, "steps": 2}


def identity(defense="none", options=None, data=None, architecture="cnn2_bn", **recipe):
    return {
        "family": "classifier",
        "dataset": "digits",
        "architecture": architecture,
        "data": {"per_class": 40, "held_out": 10, **(data or {})},
        "method": {"classifier_defense": defense, "options": PGD if options is None else options},
        "train": {"epochs": 3, "batch": 32, "lr": 0.05, **recipe},
    }


if __name__ == "__main__":
    from gauntlet.core.devices import setup
    from moments import say

    data_folder, out, state, defense, *seeds = sys.argv[1:]
    update = train.Training.update

    def announced(self, rows, epoch, number):
        update(self, rows, epoch, number)
        say(f"step {self.seed} {self.step}")

    train.Training.update = announced
    recipe = {"optimizer": "adam", "lr": 0.01, "augment": ["crop", "flip"], "schedule": "cosine"}
    train.run(
        identity(defense, **recipe),
        [int(seed) for seed in seeds],
        Path(out),
        Path(state),
        setup("cpu"),
        Path(data_folder),
        every=0,
    )
    if "torch._dynamo" in sys.modules:  # the compiler, seconds of start-up for nothing
        print("imported torch._dynamo")
