"""What is matched: the gradient that candidates would have caused, by different ideas of local training.

With w the weights that the server sent and ``D = w - w_U`` the update after U steps of rate eta, all compare
with ``D / (eta U)``, a mean gradient, and give theirs in the same unit.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.inversion.problem import Problem, spread
from gauntlet.inversion.searches import Variable


class Matching:
    """Base of all.

    Attributes:
        own_sets: every epoch of every round has images of its own.
        needs_rate: the learning rates must be known.
    """

    own_sets: bool = False
    needs_rate: bool = False

    def variables(self, problem: Problem) -> dict[str, Variable]:
        """What is learned beside the images, each value (copies, ...)."""
        return {}

    def __call__(
        self, problem: Problem, images: Tensor, targets: Tensor, learned: dict[str, Tensor]
    ) -> list[Tensor]:
        """The candidates' mean gradient of every parameter, each (rows, ...), differentiable.

        Args:
            images: (rows, sets, n, C, H, W); one set, or with ``own_sets`` one per epoch.
            targets: (rows, n, classes) class probabilities, those of every set.
            learned: the values of ``variables``.
        """
        raise NotImplementedError


class Frozen(Matching):
    """``grad l(w; X, Y)`` with all n images as one batch: the weights stay at w for all steps.

    Exact for one full step. Else the error is O(eta U ||H||) with H the Hessian of the loss, and where the
    last batch of an epoch is smaller, its images have the weight of all others, not more.
    """

    def __call__(self, problem, images, targets, learned):
        at = [value.detach().requires_grad_() for value in problem.parameters]
        return problem.gradients(at, images[:, 0], targets)


class Surrogate(Matching):
    """``grad l(w - alpha D; X, Y)``: all steps at one point between w (alpha 0) and w_U (alpha 1).

    There is one alpha per round, learned with the images (Zhu et al. 2023).

    Args:
        alpha: where it starts, in [0, 1].
        rate: its learning rate; 0 leaves it where it is.

    Raises:
        GauntletError: a number out of range.
    """

    def __init__(self, alpha: float, rate: float):
        if not 0 <= alpha <= 1 or not 0 <= rate < math.inf:
            raise GauntletError(f"alpha {alpha} is not in [0, 1], or its rate {rate} is negative")
        self.alpha, self.rate = alpha, rate

    def variables(self, problem):
        value = torch.full((problem.copies, problem.rounds), self.alpha)
        value = value.to(problem.device, problem.dtype)
        return {"alpha": Variable(value, self.rate, box=(0.0, 1.0))}

    def __call__(self, problem, images, targets, learned):
        alpha = learned["alpha"].flatten()
        at = [
            (value - spread(alpha, value) * change).requires_grad_()
            for value, change in zip(problem.parameters, problem.update, strict=True)
        ]
        return problem.gradients(at, images[:, 0], targets)


class Simulation(Matching):
    """``(1/U) sum_u grad l(w_u; X_u, Y_u)``: the U local steps as the client made them, differentiated
    through. The batches are guessed: images 0..B-1 in the first step of every epoch, and so on.

    Args:
        own_sets: True gives every epoch images of its own, since the client shuffles anew.
    """

    needs_rate = True

    def __init__(self, own_sets: bool = False):
        self.own_sets = own_sets

    def __call__(self, problem, images, targets, learned):
        at = [value.detach().requires_grad_() for value in problem.parameters]
        total = None
        for epoch in range(problem.epochs):
            of_epoch = images[:, epoch if self.own_sets else 0]
            for first in range(0, problem.images, problem.batch):
                some = slice(first, first + problem.batch)
                found = problem.gradients(at, of_epoch[:, some], targets[:, some])
                total = found if total is None else [a + b for a, b in zip(total, found, strict=True)]
                at = [
                    value - spread(problem.lr, value) * slope for value, slope in zip(at, found, strict=True)
                ]
        return [value / problem.steps for value in total]
