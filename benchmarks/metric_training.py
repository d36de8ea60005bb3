"""Trainings of embeddings on random images, ready for their first step, for the benchmarks of steps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from gauntlet.data.dataset import Dataset, Split
from gauntlet.defenses.embeddings.base import Batch, Member
from gauntlet.families.dml.settings import Data
from gauntlet.families.dml.split import class_split
from gauntlet.families.dml.train import Identity, Training

CLASSES = 5  # to train on; two more are there to be tested
RECIPE = {"epochs": 1, "lr": 1e-3, "proxy_lr": 1e-2, "embedding": 64, "eps": 0.1, "step": 0.02}


def make(defense: str, members: int, architecture: str, batch: int, steps: int, device: str) -> Training:
    """The same weights, batches and random draws whenever it is called."""
    rng = np.random.default_rng(0)
    labels = np.arange(batch * (CLASSES + 2)) % (CLASSES + 2)
    images = Split(rng.integers(0, 256, (len(labels), 1, 28, 28), dtype=np.uint8), labels)
    names = tuple(map(str, range(CLASSES + 2)))
    dataset = Dataset(name="random", class_names=names, peak=255, train=images, test=images)
    data = Data(train_classes=CLASSES)
    identity = {
        "family": "dml",
        "dataset": "random",
        "architecture": architecture,
        "data": data.model_dump(mode="json"),
        "method": {"defense": defense, "members": members},
        "train": {**RECIPE, "batch": batch, "steps": steps},
    }
    split = class_split(dataset, data, 0)
    return Training(Identity.model_validate(identity), 0, split, torch.device(device))


def first_batches(training: Training) -> list[Batch]:
    """What the first step of the training sees."""
    return next(training.batches(training.epoch_batches(0)[:1], 0))


def parameters(member: Member) -> Tensor:
    """A copy of a member's parameters and proxies, as one vector."""
    return vector([*member.net.parameters(), member.proxies])


def vector(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().double().flatten() for tensor in tensors])


def difference(before: Tensor, ours: Tensor, theirs: Tensor) -> float:
    """How far two updates of the same weights are apart, in lengths of an update."""
    return float((ours - theirs).norm() / (theirs - before).norm())
