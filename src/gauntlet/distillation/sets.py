"""What clients share in place of their images, and what a network is trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

#: Bytes of a number that is exchanged: pixels, labels and step sizes are float32.
FLOAT = 4


@dataclass(frozen=True)
class Samples:
    """What K networks are trained on, each on its own.

    Attributes:
        images: (K, M, C, H, W).
        labels: (K, M, classes), on the simplex.
        weights: (K, M), not negative; a sample of weight 0 is not there.
        parts: the columns that gradient steps are taken on, in turn.
    """

    images: Tensor
    labels: Tensor
    weights: Tensor
    parts: tuple[Tensor, ...]

    def part(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Images, labels and weights of a step, counted from 0."""
        if len(self.parts) == 1:
            return self.images, self.labels, self.weights
        columns = self.parts[step % len(self.parts)]
        return self.images[:, columns], self.labels[:, columns], self.weights[:, columns]


@dataclass(frozen=True)
class Sets:
    """The sets of K clients, of m = classes * per_class slots each: ``per_class`` of class 0, of class 1, ...

    Attributes:
        images: (K, m, C, H, W), in [0, 1] unless a method leaves pixels free.
        labels: (K, m, classes), on the simplex.
        steps: (K, J) learned step sizes of J gradient steps on the set; J is 0 where none are learned.
        present: (K, m) bool. A client has no samples of a class that it owns no image of; what is in those
            slots is never shared and nothing is trained on it.
        per_class: samples of a class.
        cut: consecutive gradient steps take every ``cut``-th sample of each class; 1: each takes all of them.
    """

    images: Tensor
    labels: Tensor
    steps: Tensor
    present: Tensor
    per_class: int
    cut: int = 1

    @property
    def slots(self) -> Tensor:
        """(m,) the class that each slot is for."""
        return torch.arange(self.images.shape[1], device=self.images.device) // self.per_class

    def bytes(self) -> Tensor:
        """(K,) int64: what each client sends."""
        numbers = self.images[0, 0].numel() + self.labels.shape[2]
        return FLOAT * (self.present.sum(1) * numbers + self.steps.shape[1])

    def samples(self, copies: int = 1) -> Samples:
        """Each ``copies`` clients' samples, side by side: K / copies rows."""
        count = copies * self.images.shape[1]
        return Samples(
            self.images.reshape(-1, count, *self.images.shape[2:]),
            self.labels.reshape(-1, count, self.labels.shape[2]),
            self.present.reshape(-1, count).to(self.images.dtype),
            self._parts(copies),
        )

    def averaged(self) -> Sets:
        """The same with the clients' mean step sizes in the place of each client's own."""
        return replace(self, steps=self.steps.mean(0, keepdim=True).expand_as(self.steps).contiguous())

    def joined(self) -> Samples:
        """All clients' samples as one set, in one row: what the server sends out."""
        return self.samples(len(self.images))

    def beside(self, images: Tensor, labels: Tensor) -> Samples:
        """Per client, ``images`` (K, m, C, H, W) and ``labels`` (K, m, classes) in place of its own samples,
        with those of all others after them: K rows of K * m."""
        clients = len(self.images)
        own = replace(self, images=images, labels=labels).samples()
        if clients == 1:
            return own
        order = torch.tensor([[j for j in range(clients) if j != i] for i in range(clients)])
        return Samples(
            torch.cat([own.images, self.images[order].flatten(1, 2)], dim=1),
            torch.cat([own.labels, self.labels[order].flatten(1, 2)], dim=1),
            torch.cat([own.weights, self.present[order].flatten(1).to(own.weights)], dim=1),
            self._parts(clients),
        )

    def _parts(self, clients: int) -> tuple[Tensor, ...]:
        columns = torch.arange(clients * self.images.shape[1], device=self.images.device)
        turn = columns % self.per_class % self.cut
        return tuple(columns[turn == part] for part in range(self.cut))
