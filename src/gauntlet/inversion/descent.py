"""The search for the images of some targets and restarts, in one program."""

from __future__ import annotations

import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet.inversion.base import Inversion
from gauntlet.inversion.priors import PRIORS
from gauntlet.inversion.problem import Problem
from gauntlet.inversion.searches import Variable


class Descent:
    """Some copies on their way down.

    Args:
        problem: what was observed.
        method: the parts.
        image_shape: (C, H, W).
        labels: (copies, n) int64, or None to search them.
        generators: one per copy.

    Attributes:
        variables: what is searched, each (copies, ...): ``images`` (copies, sets, n, C, H, W), ``labels``
            (copies, n, classes) as logits where they are not known, and what the matching learns.
        best, cost: the values of least cost so far, and (copies,) that cost, infinite before the first.
        history, reported: (copies,) costs at some iterations, and which.
        seconds: wall time of every iteration.

    Raises:
        GauntletError: the method needs a learning rate that is not known.
    """

    def __init__(
        self,
        problem: Problem,
        method: Inversion,
        image_shape: tuple[int, int, int],
        labels: Tensor | None,
        generators: list[torch.Generator],
    ):
        self.problem, self.method = problem, method
        if method.matching.needs_rate:
            problem.needs_rate("the method repeats the client's steps")
        if method.distance.scaled:
            problem.needs_rate("the method compares the sizes of gradients")
        self.distance = method.distance(problem.gradient, method.weighting(problem.gradient))
        sets = problem.rounds * problem.epochs if method.matching.own_sets else 1
        box = (0.0, 1.0) if method.boxed else None
        images = self._draw(method.start, (sets, problem.images, *image_shape), generators)
        self.variables = {"images": Variable(images, method.rate, box, method.signed)}
        if labels is None:
            soft = self._draw(_normal, (problem.images, problem.classes), generators)
            self.variables["labels"] = Variable(soft, method.rate)
        else:
            self.targets = F.one_hot(labels.to(problem.device), problem.classes).to(problem.dtype)
        self.variables |= method.matching.variables(problem)
        self.best = {name: variable.value.clone() for name, variable in self.variables.items()}
        self.cost = images.new_full((problem.copies,), torch.inf)
        self.history: list[Tensor] = []
        self.reported: list[int] = []
        self.seconds: list[float] = []

    def _draw(self, draw, shape: tuple[int, ...], generators: list[torch.Generator]) -> Tensor:
        drawn = torch.stack([draw(shape, generator) for generator in generators])
        return drawn.to(self.problem.device, self.problem.dtype)

    def run(self, iterations: int, report: int, which: str) -> None:
        """All iterations. Every ``report`` of them, if any, tell how it goes; ``which`` copies these are."""
        search = self.method.search
        search.begin(list(self.variables.values()), iterations)
        for iteration in range(iterations + 1):
            started = time.perf_counter()
            cost, gradients = self.evaluate(slopes=iteration < iterations)
            self._offer(cost)
            if gradients:
                search.step(gradients)
                if cost.is_cuda:
                    torch.cuda.synchronize(cost.device)
                self.seconds.append(time.perf_counter() - started)
            if report and (iteration % report == 0 or iteration == iterations):
                self.history.append(cost)
                self.reported.append(iteration)
                print(
                    f"inversion, {which}: iteration {iteration} of {iterations}, median cost "
                    f"{float(cost.median()):.4g}, {statistics.median(self.seconds or [0.0]):.3f} s each",
                    file=sys.stderr,
                )

    def evaluate(self, slopes: bool = True) -> tuple[Tensor, list[Tensor]]:
        """(copies,) costs where the variables are now, and the gradient of each variable (or none)."""
        problem, method = self.problem, self.method
        values = {name: variable.value.detach() for name, variable in self.variables.items()}
        with torch.enable_grad():
            for value in values.values():
                value.requires_grad_(slopes)
            images = values["images"]
            targets = values["labels"].softmax(-1) if "labels" in values else self.targets
            found = method.matching(problem, self._by_row(images), _repeat(targets, problem.rounds), values)
            cost = self.distance(found).view(problem.copies, problem.rounds).sum(1)
            for name, weight in method.priors.items():
                cost = cost + weight * PRIORS[name](images)
            gradients = torch.autograd.grad(cost.sum(), list(values.values())) if slopes else ()
        return cost.detach(), list(gradients)

    def _by_row(self, images: Tensor) -> Tensor:
        """(copies, sets, n, C, H, W) -> (rows, sets of a row, n, C, H, W)."""
        problem = self.problem
        if self.method.matching.own_sets:
            return images.reshape(problem.rows, problem.epochs, *images.shape[2:])
        return _repeat(images, problem.rounds)

    def _offer(self, cost: Tensor) -> None:
        """Remember the variables of the copies that never cost less; one that is not a number is not less."""
        better = cost < self.cost
        self.cost = torch.where(better, cost, self.cost)
        for name, variable in self.variables.items():
            mask = better.view(-1, *[1] * (variable.value.dim() - 1))
            self.best[name] = torch.where(mask, variable.value, self.best[name])


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator)


def _repeat(value: Tensor, rounds: int) -> Tensor:
    """(copies, ...) -> (rows, ...): every copy once per round."""
    return value.unsqueeze(1).expand(-1, rounds, *value.shape[1:]).flatten(0, 1)
