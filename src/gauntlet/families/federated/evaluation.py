"""Scores of models on a set of images, many models at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gauntlet.families.federated.world import Images
from gauntlet.models.copies import State

#: Images per forward pass; larger batches leave the processor's cache.
BATCH = 100


@dataclass(frozen=True)
class Scores:
    """Of M models: ``correct`` and ``losses`` (summed cross-entropy), both (M, classes), of ``total``
    (classes,) images."""

    correct: np.ndarray
    losses: np.ndarray
    total: np.ndarray

    @property
    def accuracy(self) -> np.ndarray:
        """(M,) in [0, 1]."""
        return self.correct.sum(axis=1) / self.total.sum()

    @property
    def loss(self) -> np.ndarray:
        """(M,) mean cross-entropy."""
        return self.losses.sum(axis=1) / self.total.sum()


class Evaluator:
    """Evaluates models of one architecture, in eval mode, on fixed images.

    Args:
        net: the architecture; its weights are overwritten.
        images: what to score on.
        classes: how many there are.
    """

    def __init__(self, net: nn.Module, images: Images, classes: int):
        self.net = net.eval().to(memory_format=torch.channels_last)
        self.live = {name: value for name, value in net.state_dict().items() if value.is_floating_point()}
        self.images, self.classes = images, classes
        pixels = images.pixels.contiguous(memory_format=torch.channels_last)
        self.batches = list(zip(pixels.split(BATCH), images.labels.split(BATCH), strict=True))
        self.total = np.bincount(images.labels.cpu().numpy(), minlength=classes)

    @torch.inference_mode()
    def __call__(self, *states: State) -> Scores:
        """Scores of every state, on the same images."""
        correct = torch.zeros(
            len(states), self.classes, dtype=torch.float64, device=self.images.labels.device
        )
        losses = torch.zeros_like(correct)
        for index, state in enumerate(states):
            for name, value in self.live.items():
                value.copy_(state[name])
            for pixels, labels in self.batches:
                logits = self.net(pixels)
                hits = logits.argmax(dim=1) == labels
                each = F.cross_entropy(logits, labels, reduction="none")
                correct[index].scatter_add_(0, labels, hits.double())
                losses[index].scatter_add_(0, labels, each.double())
        return Scores(correct.cpu().numpy(), losses.cpu().numpy(), self.total)


def mean_loss(net: nn.Module, images: Images, rows: Tensor) -> tuple[float, float]:
    """(loss, accuracy) of a network in eval mode on some rows of ``images``."""
    net.eval()
    loss, hits = 0.0, 0
    with torch.inference_mode():
        for part in rows.split(BATCH):
            logits, labels = net(images.pixels[part]), images.labels[part]
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
            hits += int((logits.argmax(dim=1) == labels).sum())
    return loss / len(rows), hits / len(rows)
