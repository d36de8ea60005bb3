"""Mini-batches of every client's own images, drawn for all clients at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.data.subset import Images


@dataclass(frozen=True)
class Table:
    """Groups of rows of different lengths, side by side.

    Attributes:
        rows: (G, longest) int64; what is beyond a group's own rows means nothing.
        counts: (G,) int64.
    """

    rows: Tensor
    counts: Tensor

    def draw(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """``size`` different rows of every group, or all that it has.

        Returns:
            (G, b) int64 rows, and (G, b) float32 weights: 1, or 0 where a group has too few.
        """
        size = min(size, self.rows.shape[1])
        keys = torch.rand(self.rows.shape, generator=generator)
        keys[torch.arange(self.rows.shape[1]) >= self.counts[:, None]] = 2.0  # behind all others
        order = keys.topk(size, dim=1, largest=False).indices
        weights = torch.arange(size) < self.counts[:, None]
        return self.rows.gather(1, order), weights.float()


def table(groups: list[Tensor]) -> Table:
    """Of at least one row in all."""
    counts = torch.tensor([len(group) for group in groups])
    rows = torch.zeros(len(groups), int(counts.max()), dtype=torch.int64)
    for row, group in zip(rows, groups, strict=True):
        row[: len(group)] = group
    return Table(rows, counts)


def by_class(images: Images, rows: list[Tensor], classes: int) -> list[Tensor]:
    """Rows of client 0's class 0, class 1, ..., then of client 1's."""
    labels = images.labels.cpu()
    return [own[labels[own] == label] for own in rows for label in range(classes)]
