"""A step of EAT as CUDA graphs: what is launched kernel by kernel is recorded once and replayed as a whole.

The benchmark's try-out of what the training loop does not do. A graph has fixed shapes, and so serves batches
of which every member uses as many rows as of the first; training would have to pad the others.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch

from gauntlet.attacks.best import refuse_nan
from gauntlet.attacks.norms import Linf
from gauntlet.defenses.embeddings.base import Batch, evaluating
from gauntlet.families.dml.train import Training

WARMUP = 3  # runs before the recording, in which cuDNN and cuBLAS set themselves up


def recorded(function: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """A replay of ``function`` from a graph; off a GPU the function itself."""
    if device.type != "cuda":
        return function
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARMUP):
            function()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph.replay


class Captured:
    """Does what ``training.update`` does for ``eat`` with its default options: one attack on the mean loss of
    all members, an update of each on its rows.

    Args:
        training: left as it was; its members and optimizers are those that ``update`` changes.
        batch: the one that all members share.
        forward: makes the context of every forward pass.
    """

    def __init__(self, training: Training, batch: Batch, forward: Callable[[], AbstractContextManager]):
        self.training, self.forward = training, forward
        self.defense, self.members = training.defense, training.members
        device = batch.images.device
        self.images, self.low, self.high = (torch.empty_like(batch.images) for _ in range(3))
        self.labels = batch.labels.clone()
        self.watch = torch.zeros((), device=device)
        self.sums = torch.zeros(len(self.members), dtype=torch.float64, device=device)
        self.batch = Batch(self.images, self.labels, batch.rows)
        self.everything = torch.arange(len(batch.rows), device=device)
        self.mine = [self.rows_of(member, batch).to(device) for member in self.members]
        before = copy.deepcopy(training.state())
        self.load(batch)
        self.ascend = recorded(self._ascend, device)
        self.descend = [
            recorded(functools.partial(self._descend, index), device) for index in range(len(self.members))
        ]
        training.restore(before)  # in place, so that the graphs' addresses stay

    def rows_of(self, member, batch: Batch) -> torch.Tensor:
        return self.defense.usable[member.index, batch.rows].nonzero()[:, 0]

    def update(self, batch: Batch) -> None:
        for member, rows in zip(self.members, self.mine, strict=True):
            rows.copy_(self.rows_of(member, batch))
        self.load(batch)
        for _ in range(self.defense.setting.steps):
            self.ascend()
        refuse_nan(self.watch)
        for descend in self.descend:
            descend()

    def load(self, batch: Batch) -> None:
        """Random start and ball, where the graphs look for them."""
        eps, ball = self.defense.setting.eps, Linf(batch.images, self.defense.setting.eps)
        self.low.copy_(ball.low)
        self.high.copy_(ball.high)
        self.images.copy_(ball.project(Linf.start(batch.images, eps, self.members[0].generator)))
        self.labels.copy_(batch.labels)
        self.watch.zero_()

    def _ascend(self) -> None:
        """A step of the attack (``pgd``)."""
        images = self.images.detach().requires_grad_(True)
        with evaluating(self.members), self.forward():
            losses = [
                self.defense.member_loss(member, images, self.batch, self.everything)
                for member in self.members
            ]
            score = torch.stack(losses).mean()
        (gradient,) = torch.autograd.grad(score, images)
        self.watch += score.detach() + gradient.sum()
        self.images.add_(gradient.sign(), alpha=self.defense.setting.step).clamp_(self.low, self.high)

    def _descend(self, index: int) -> None:
        """A member's update."""
        member, rows = self.members[index], self.mine[index]
        with self.forward():
            loss = self.defense.member_loss(member, self.images[rows], self.batch, rows)
        self.training.optimizers[index].descend(loss)
        self.sums[index] += loss.detach()
