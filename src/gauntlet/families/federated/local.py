"""Local training: what the clients of a round do to the global model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gauntlet.families.federated.world import Images
from gauntlet.models.copies import State, state_of
from gauntlet.models.stacked import Stacked, stack

#: Most copies in one program: with more, what they compute no longer fits into the processor's cache.
COPIES = 10


@dataclass(frozen=True)
class Recipe:
    """How clients train: SGD with momentum on the cross-entropy, afresh in every round.

    Attributes:
        batch: images per step; the last batch of an epoch may be smaller.
        momentum, weight_decay: as in ``torch.optim.SGD``.
        proximal: mu of FedProx, ``loss + mu/2 ||w - w_t||^2`` (Li et al. 2020, equation 2).
    """

    batch: int
    momentum: float = 0.0
    weight_decay: float = 0.0
    proximal: float = 0.0


@dataclass(frozen=True)
class Task:
    """One client's work in a round.

    Attributes:
        orders: per epoch, the client's rows (int64, CPU) in the order of training.
        lr: learning rate of this round.
        drawn: the batches, where they are not those of the orders; some may be empty.
        generator: of the noise of the steps, where there is any (CPU).
    """

    orders: list[Tensor]
    lr: float
    drawn: list[Tensor] | None = None
    generator: torch.Generator | None = None

    def batches(self, size: int) -> list[Tensor]:
        if self.drawn is not None:
            return self.drawn
        return [rows for order in self.orders for rows in order.split(size)]


@dataclass(frozen=True)
class Update:
    """A client's model and the mean loss over the images it trained on; ``finite`` or to be left out."""

    state: State
    loss: float

    @property
    def finite(self) -> bool:
        return self.loss == self.loss and abs(self.loss) < float("inf") and _all_finite(self.state)


def _all_finite(state: State) -> bool:
    return bool(torch.stack([value.isfinite().all() for value in state.values()]).all())


def trained(net: nn.Module) -> list[str]:
    """Names of the parameters; the rest of a state are running statistics."""
    return [name for name, _ in net.named_parameters()]


class Sequential:
    """One client after the other, in one network: plain SGD steps, the reference for every other way."""

    def __init__(self, net: nn.Module, images: Images, recipe: Recipe):
        self.net, self.images, self.recipe = net, images, recipe
        self.live = state_of(net)
        self.parameters = list(net.parameters())

    def train(self, start: State, tasks: list[Task]) -> list[Update]:
        """The update of every task, from the same ``start``."""
        self.net.train()
        return [self._train(start, task) for task in tasks]

    def _train(self, start: State, task: Task) -> Update:
        recipe, images = self.recipe, self.images
        with torch.no_grad():
            for name, value in self.live.items():
                value.copy_(start[name])
        anchors = [parameter.detach().clone() for parameter in self.parameters]
        velocities: list[Tensor | None] = [None] * len(anchors)
        total, count = torch.zeros((), device=images.pixels.device), 0
        for rows in task.batches(recipe.batch):
            loss = F.cross_entropy(self.net(images.pixels[rows]), images.labels[rows])
            gradients = torch.autograd.grad(loss, self.parameters)
            with torch.no_grad():
                for index, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
                    if recipe.weight_decay:
                        gradient = gradient.add(parameter, alpha=recipe.weight_decay)
                    if recipe.proximal:
                        gradient = gradient.add(parameter - anchors[index], alpha=recipe.proximal)
                    if recipe.momentum:
                        velocity = velocities[index]
                        if velocity is None:
                            velocities[index] = velocity = gradient.clone()
                        else:
                            velocity.mul_(recipe.momentum).add_(gradient)
                        gradient = velocity
                    parameter.add_(gradient, alpha=-task.lr)
                total += loss.detach() * len(rows)
            count += len(rows)
        return Update(
            {name: value.detach().clone() for name, value in self.live.items()}, float(total) / count
        )


class Together:
    """The clients of a round as copies of the network in one program (``models.stacked``).

    The same batches in the same order as ``Sequential``; sums are rounded in another order.
    """

    def __init__(self, net: nn.Module, images: Images, recipe: Recipe):
        self.run, self.images, self.recipe = Stacked(net), images, recipe
        self.names = trained(net)

    def train(self, start: State, tasks: list[Task]) -> list[Update]:
        """The update of every task, from the same ``start``."""
        batches = [task.batches(self.recipe.batch) for task in tasks]
        # Longest first: those that still train are then always the first ones, and slices are views.
        sizes = [[len(rows) for rows in of_client] for of_client in batches]
        order = sorted(range(len(tasks)), key=lambda i: (len(sizes[i]), sizes[i]), reverse=True)
        found: dict[int, Update] = {}
        for at in range(0, len(order), COPIES):
            some = order[at : at + COPIES]
            rates = [tasks[i].lr for i in some]
            found |= dict(zip(some, self._train(start, [batches[i] for i in some], rates), strict=True))
        return [found[i] for i in range(len(tasks))]

    def _train(self, start: State, batches: list[list[Tensor]], rates: list[float]) -> list[Update]:
        """The updates of some clients, those with most batches first."""
        copies = len(batches)
        lr = torch.tensor(rates, device=self.images.pixels.device)
        state = stack([start] * copies)
        velocity = {name: torch.zeros_like(state[name]) for name in self.names}
        totals = torch.zeros(copies, device=lr.device)
        cache: dict[tuple[int, int], _Slice] = {}
        for step in range(len(batches[0])):
            for first, last in _runs([rows[step] for rows in batches if len(rows) > step]):
                if (first, last) not in cache:
                    cache[first, last] = _Slice(state, velocity, self.names, lr, first, last)
                part = cache[first, last]
                rows = torch.stack([batches[i][step] for i in range(first, last)])
                losses = self._step(part, rows, start)
                totals[first:last] += losses * rows.shape[1]
        return [
            Update(
                {name: value[i].clone() for name, value in state.items()}, total / sum(map(len, batches[i]))
            )
            for i, total in enumerate(totals.tolist())
        ]

    def _step(self, part: _Slice, rows: Tensor, start: State) -> Tensor:
        """One SGD step of some copies, in place; returns their losses.

        The loss is scaled by each client's rate, so that ``velocity`` holds rate times momentum: the same
        update as SGD's, since the rate is constant within a round.
        """
        recipe = self.recipe
        logits = self.run(part.tensors, self.images.pixels[rows], training=True)
        labels = self.images.labels[rows]
        losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        losses = losses.view(labels.shape).mean(dim=1)
        gradients = torch.autograd.grad((losses * part.lr).sum(), part.parameters)
        with torch.no_grad():
            for name, parameter, velocity, gradient in zip(
                self.names, part.parameters, part.velocities, gradients, strict=True
            ):
                lr = part.lr.view(-1, *[1] * (parameter.dim() - 1))
                if recipe.weight_decay:
                    gradient = gradient + recipe.weight_decay * lr * parameter
                if recipe.proximal:
                    gradient = gradient + recipe.proximal * lr * (parameter - start[name])
                velocity.mul_(recipe.momentum).add_(gradient)
                parameter.sub_(velocity)
        return losses.detach()


class _Slice:
    """Views of the stacked tensors of some neighbouring copies."""

    def __init__(self, state: State, velocity: State, names: list[str], lr: Tensor, first: int, last: int):
        self.tensors = {name: value[first:last] for name, value in state.items()}
        for name in names:
            self.tensors[name] = self.tensors[name].detach().requires_grad_()
        self.parameters = [self.tensors[name] for name in names]
        self.velocities = [velocity[name][first:last] for name in names]
        self.lr = lr[first:last]


def _runs(batches: list[Tensor]) -> list[tuple[int, int]]:
    """Neighbours with batches of the same size, as (first, last + 1)."""
    cuts = [i for i in range(1, len(batches)) if len(batches[i]) != len(batches[i - 1])]
    return list(zip([0, *cuts], [*cuts, len(batches)], strict=True))
