"""Batches of one epoch, as index tensors. Small training sets live on the device as one tensor, so
nothing else is needed."""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError


def batches(
    kind: str, labels: Tensor, batch: int, generator: torch.Generator, per_class: int = 4
) -> list[Tensor]:
    """The batches of one epoch.

    Args:
        kind: ``random`` or ``balanced``.
        labels: (n,) labels of the training set, on the CPU.
        batch: images per batch.
        generator: CPU generator of this epoch.
        per_class: images per class in a balanced batch.

    Returns:
        Index tensors (b,) into the training set, all of the same size; n // batch of them, at least one.
    """
    if kind == "random":
        return random(labels, batch, generator)
    if kind == "balanced":
        return balanced(labels, batch, per_class, generator)
    raise GauntletError(f"unknown sampler {kind!r}", key="train.sampler", remedy="choose random or balanced")


def refuse_without_triplets(kind: str, labels: Tensor, batch: int, per_class: int) -> None:
    """Raise GauntletError where no batch can hold an image, one of its class and one of another class, which
    losses on triplets and pairs need. (A random batch may lack them by chance: mining says so.)"""
    counts = labels.unique(return_counts=True)[1]
    classes, each = _balance(len(counts), batch, per_class) if kind == "balanced" else (batch, batch)
    if len(counts) < 2:
        key, problem = "data.train_classes", "there is one training class only: no negatives"
    elif counts.max() < 2:
        key, problem = "data.train_per_class", "no class has two training images: no positives"
    elif each < 2:
        key, problem = "train.per_class", f"a batch of {batch} has one image per class: no positives"
    elif classes < 2 or batch < 3:
        key, problem = "train.batch", f"no two of one class and one of another fit a batch of {batch}"
    else:
        return
    raise GauntletError(f"{problem}, which the loss needs", key=key, remedy="set a greater number")


def random(labels: Tensor, batch: int, generator: torch.Generator) -> list[Tensor]:
    """A random order, cut into batches; a smaller last batch is dropped unless it is the only one."""
    order = torch.randperm(len(labels), generator=generator)
    if len(order) < batch:
        return [order]
    return [piece for piece in order.split(batch) if len(piece) == batch]


def balanced(labels: Tensor, batch: int, per_class: int, generator: torch.Generator) -> list[Tensor]:
    """Random classes, the same number of images of each: ``per_class``, or more if classes are few.

    Classes go round in random order, and so do the images of each class: none comes again before all
    have come. A batch holds classes * images <= ``batch`` rows.
    """
    groups = [(labels == label).nonzero()[:, 0] for label in labels.unique()]
    classes, each = _balance(len(groups), batch, per_class)
    class_queue = _Queue(torch.arange(len(groups)), generator)
    queues = [_Queue(group, generator) for group in groups]
    return [
        torch.cat([queues[group].take(each) for group in class_queue.take(classes).tolist()])
        for _ in range(max(1, len(labels) // batch))
    ]


def _balance(classes: int, batch: int, per_class: int) -> tuple[int, int]:
    """How many of the classes a balanced batch has, and how many images of each."""
    classes = min(classes, max(1, batch // per_class))
    return classes, batch // classes


class _Queue:
    """Distinct items in random order, shuffled anew each time all have been taken.

    Within one ``take`` an item comes again only when there are fewer items than asked for.
    """

    def __init__(self, items: Tensor, generator: torch.Generator):
        self.items, self.generator = items, generator
        self.waiting = items[:0]

    def take(self, count: int) -> Tensor:
        while len(self.waiting) < count:
            shuffled = self.items[torch.randperm(len(self.items), generator=self.generator)]
            again = torch.isin(shuffled, self.waiting)
            self.waiting = torch.cat([self.waiting, shuffled[~again], shuffled[again]])
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken
