"""A small dataset and identity for training tests; also a script that trains, to be killed.

python toy.py OUT STATE DEFENSE MEMBERS [SEED ...]     (or under torchrun)
"""

import sys
from pathlib import Path

import numpy as np

from gauntlet.data.dataset import Dataset, Split


def dataset(classes=6, per_class=24, size=8, peak=16):
    """Noisy copies of one random pattern per class, 8x8 pixels with values 0..16."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, peak + 1, (classes, 1, size, size))

    def split():
        labels = rng.permutation(np.repeat(np.arange(classes), per_class))
        noise = rng.integers(-3, 4, (len(labels), 1, size, size))
        return Split(np.clip(patterns[labels] + noise, 0, peak).astype(np.uint8), labels)

    names = tuple(f"class {label}" for label in range(classes))
    return Dataset(name="digits", class_names=names, peak=peak, train=split(), test=split())


def identity(defense="none", members=1, options=None, data=None, **train):
    recipe = {
        "epochs": 3,
        "batch": 24,
        "lr": 1e-3,
        "proxy_lr": 1e-2,
        "embedding": 8,
        "loss_options": {"alpha": 16.0},
        "eps": 0.1,
        "step": 0.05,
        "steps": 2,
    }
    return {
        "family": "dml",
        "dataset": "digits",
        "architecture": "conv",
        "data": {"train_classes": 3, "train_per_class": 20, **(data or {})},
        "method": {"defense": defense, "members": members, "options": options or {}},
        "train": {**recipe, **train},
    }


if __name__ == "__main__":
    from gauntlet import data
    from gauntlet.core import processes
    from gauntlet.core.devices import setup
    from gauntlet.families.dml import train
    from moments import say

    out, state, defense, members, *seeds = sys.argv[1:]
    data.load = lambda name, folder=None: dataset()
    step = train.Training.update

    def announced(self, rows, epoch):
        step(self, rows, epoch)
        say(f"step {self.seed} {self.progress.step}")

    train.Training.update = announced
    device = setup("cpu")
    device = processes.join(device) if processes.joined() else device
    train.run(
        identity(defense, int(members), epochs=6),
        [int(seed) for seed in seeds],
        Path(out),
        Path(state),
        device,
        every=0,
    )
    if "torch._dynamo" in sys.modules:  # the compiler, seconds of start-up for nothing
        print("imported torch._dynamo")
