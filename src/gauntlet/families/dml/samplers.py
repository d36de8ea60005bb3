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
    classes = min(len(groups), max(1, batch // per_class))
    each = batch // classes
    class_queue = _Queue(torch.arange(len(groups)), generator)
    queues = [_Queue(group, generator) for group in groups]
    return [
        torch.cat([queues[group].take(each) for group in class_queue.take(classes).tolist()])
        for _ in range(max(1, len(labels) // batch))
    ]


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
