"""One EAT step of three members against three steps of adversarial training of one network."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks import timing
from benchmarks.problem import synchronize
from gauntlet.families.dml.images import Arrays
from gauntlet.families.dml.split import ClassSplit
from gauntlet.families.dml.train import Identity, Training

CASES = (("conv", 64, 7, 21), ("conv", 256, 7, 7), ("resnet18", 8, 3, 3))
CLASSES = 5


def make(defense: str, members: int, architecture: str, batch: int, steps: int, device: str) -> Training:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4 * batch, 1, 28, 28), dtype=np.uint8)
    labels = np.arange(4 * batch) % CLASSES
    split = ClassSplit(
        train=Arrays(images, 255),
        train_labels=labels,
        test=Arrays(images[:CLASSES], 255),
        test_labels=labels[:CLASSES],
        test_index=np.arange(CLASSES),
        train_classes=np.arange(CLASSES),
        test_classes=np.arange(CLASSES),
    )
    identity = {
        "family": "dml",
        "dataset": "random",
        "architecture": architecture,
        "data": {"train_classes": CLASSES},
        "method": {"defense": defense, "members": members},
        "train": {
            **{"epochs": 1, "batch": batch, "lr": 1e-3, "proxy_lr": 1e-2, "embedding": 64},
            **{"eps": 0.1, "step": 0.02, "steps": steps},
        },
    }
    return Training(Identity.model_validate(identity), 0, split, torch.device(device))


def compare(architecture: str, batch: int, steps: int, rounds: int, options) -> timing.Comparison:
    eat = make("eat", 3, architecture, batch, steps, options.device)
    single = make("at", 1, architecture, batch, steps, options.device)
    (ours_batch,), (theirs_batch,) = (list(net.batches([[torch.arange(batch)]], 0)) for net in (eat, single))

    def ours() -> None:
        eat.update(ours_batch, 0)
        synchronize(eat.members[0].proxies)

    def theirs() -> None:
        for _ in range(3):
            single.update(theirs_batch, 0)
        synchronize(single.members[0].proxies)

    seconds = timing.interleave({"ours": ours, "theirs": theirs}, rounds, warmup=2)
    return timing.Comparison(
        f"{architecture}, batch {batch}, PGD-{steps}",
        "one EAT step, N = 3",
        "three AT steps",
        seconds["ours"],
        seconds["theirs"],
        "EAT attacks the mean loss of all members once; each member then trains on two thirds of the batch",
    )


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = [
        compare(architecture, batch, steps, options.rounds or rounds, options)
        for architecture, batch, steps, rounds in CASES
    ]
    timing.report("eat_step", rows, options)


if __name__ == "__main__":
    main()
