"""Local training on the gradients of single examples, for defenses that bound what each of them does."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from gauntlet.defenses.updates.base import UpdateDefense
from gauntlet.families.federated.local import Recipe, Task, Update, trained
from gauntlet.families.federated.world import Images
from gauntlet.models.copies import State, copies
from gauntlet.models.gradients import at_once, of_copies


class PerExample:
    """SGD on the gradient that a defense makes of every example's own; the rest as ``local.Sequential``.

    Args:
        net: without running statistics, and without dropout.
        defense: says what a step's gradient is.
        together: clients in one program. Their batches are filled up to the same size with images whose
            gradients are then left out. The noise does not depend on it; sums are rounded in another order.
    """

    def __init__(self, net: nn.Module, images: Images, recipe: Recipe, defense: UpdateDefense, together: int):
        self.net, self.images, self.recipe = net, images, recipe
        self.defense, self.together, self.names = defense, together, trained(net)
        self.run, self.size = copies(net), at_once(net.parameters())

    def train(self, start: State, tasks: list[Task]) -> list[Update]:
        """The update of every task, from the same ``start``."""
        self.net.train()
        steps = [len(task.batches(self.recipe.batch)) for task in tasks]
        # Most steps first: those that still train are then always the first ones.
        order = sorted(range(len(tasks)), key=lambda i: steps[i], reverse=True)
        found: dict[int, Update] = {}
        for at in range(0, len(order), self.together):
            some = order[at : at + self.together]
            found |= dict(zip(some, self._train(start, [tasks[i] for i in some]), strict=True))
        return [found[i] for i in range(len(tasks))]

    def _train(self, start: State, tasks: list[Task]) -> list[Update]:
        """The updates of some clients, those with most steps first."""
        batches = [task.batches(self.recipe.batch) for task in tasks]
        clients = [{name: start[name].clone() for name in self.names} for _ in tasks]
        velocities: list[State] = [{} for _ in tasks]
        totals = [0.0] * len(tasks)
        for step in range(len(batches[0])):
            active = [rows[step] for rows in batches if len(rows) > step]
            for i, (gradients, losses) in enumerate(self._each(clients[: len(active)], active)):
                totals[i] += float(losses.sum())
                task = tasks[i]
                expected = min(self.recipe.batch, len(task.orders[0]))
                gradient = self.defense.gradient(gradients, expected, task.generator)
                self._descend(clients[i], gradient, velocities[i], start, task.lr)
        return [
            Update(client, total / count if (count := sum(map(len, of_client))) else self._start(start, task))
            for client, total, of_client, task in zip(clients, totals, batches, tasks, strict=True)
        ]

    def _each(self, clients: list[State], batches: list[Tensor]) -> list[tuple[State, Tensor]]:
        """Per client its examples' gradients (b, ...) and losses (b,)."""
        longest = max(1, *map(len, batches))
        rows = torch.stack([F.pad(rows, (0, longest - len(rows))) for rows in batches])
        # A copy of the network per image, so that the gradient of a copy is that of its image.
        states = {name: torch.stack([client[name] for client in clients]) for name in self.names}
        owner = torch.arange(len(clients), device=rows.device).repeat_interleave(longest)
        found: list[tuple[State, Tensor]] = []
        for some, of_whom in zip(rows.flatten().split(self.size), owner.split(self.size), strict=True):
            copied = {name: value[of_whom] for name, value in states.items()}
            pixels, labels = self.images.pixels[some], self.images.labels[some]
            found.append(of_copies(self.run, copied, self.names, pixels[:, None], labels[:, None], True))
        gradients = {
            name: torch.cat([part[name] for part, _ in found]).unflatten(0, rows.shape) for name in self.names
        }
        losses = torch.cat([of_block for _, of_block in found]).view(rows.shape)
        return [
            ({name: value[i, : len(own)] for name, value in gradients.items()}, losses[i, : len(own)])
            for i, own in enumerate(batches)
        ]

    def _descend(self, client: State, gradient: State, velocity: State, start: State, lr: float) -> None:
        """One step of SGD with momentum, in place."""
        recipe = self.recipe
        for name, parameter in client.items():
            step = gradient[name]
            if recipe.weight_decay:
                step = step.add(parameter, alpha=recipe.weight_decay)
            if recipe.proximal:
                step = step.add(parameter - start[name], alpha=recipe.proximal)
            if recipe.momentum:
                old = velocity.get(name)
                velocity[name] = step = step if old is None else old * recipe.momentum + step
            parameter.sub_(step, alpha=lr)

    @torch.no_grad()
    def _start(self, start: State, task: Task) -> float:
        """The loss before training, of a client whose every batch came out empty."""
        rows = task.orders[0]
        logits = functional_call(self.net, start, (self.images.pixels[rows],))
        return float(F.cross_entropy(logits, self.images.labels[rows]))
