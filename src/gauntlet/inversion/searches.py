"""How the cost is lowered: one step for all copies at once, none of which sees another.

A search gets the gradient of the summed cost, in which every copy's part is its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.models import optimizers


@dataclass
class Variable:
    """What a search moves.

    Attributes:
        value: (copies, ...), changed in place.
        rate: learning rate.
        box: range that it is cut to after every step, or None.
        signed: the search sees only the signs of its gradient.
    """

    value: Tensor
    rate: float
    box: tuple[float, float] | None = None
    signed: bool = False


class Search:
    """Base of both. ``begin`` comes first, then one ``step`` per iteration."""

    def begin(self, variables: list[Variable], iterations: int) -> None:
        """Forget everything; ``iterations`` steps will follow."""
        self.variables, self.iterations, self.done = variables, iterations, 0

    def step(self, gradients: list[Tensor]) -> None:
        """Move all variables, given the gradient of each."""
        signed = zip(self.variables, gradients, strict=True)
        self._move([slope.sign() if variable.signed else slope for variable, slope in signed])
        for variable in self.variables:
            if variable.box is not None:
                variable.value.clamp_(*variable.box)
        self.done += 1

    def _move(self, gradients: list[Tensor]) -> None:
        raise NotImplementedError


class Adam(Search):
    """Adam (Kingma and Ba 2015, arXiv 1412.6980); with a signed variable the descent of Geiping et al. 2020.

    Args:
        decay: rates fall to a tenth at 3/8, 5/8 and 7/8 of the iterations.
    """

    def __init__(self, decay: bool = True):
        self.decay = decay

    def begin(self, variables, iterations):
        super().begin(variables, iterations)
        self._adam = optimizers.Adam([([variable.value], variable.rate) for variable in variables])

    def _move(self, gradients):
        passed = sum(self.done >= self.iterations * eighths // 8 for eighths in (3, 5, 7))
        self._adam.step(gradients, factor=0.1**passed if self.decay else 1.0)


class Lbfgs(Search):
    """L-BFGS (Liu and Nocedal 1989) with steps of fixed length, as ``torch.optim.LBFGS`` without line search.

    One step here is one of its inner iterations: one gradient. All variables of a copy are one vector, and
    have the rate of the first. A copy stays where it is once its gradient or its expected descent vanishes.

    Args:
        history: pairs of steps and changes of the gradient that are kept.
    """

    def __init__(self, history: int = 100):
        self.history = history

    def begin(self, variables, iterations):
        super().begin(variables, iterations)
        self._pairs: list[tuple[Tensor, Tensor, Tensor]] = []
        self._last: tuple[Tensor, Tensor] | None = None

    def _move(self, gradients):
        slope = torch.cat([gradient.flatten(1) for gradient in gradients], dim=1)
        length = slope.new_tensor(self.variables[0].rate)
        if self._last is None:
            self._scale = slope.new_ones(len(slope), 1)
            length = length * (1 / slope.abs().sum(1, keepdim=True)).clamp(max=1)
        else:
            self._remember(slope)
        direction = self._direction(slope)
        alive = (slope.abs().amax(1) > 1e-7) & ((slope * direction).sum(1) <= -1e-9)
        move = torch.where(alive[:, None], length * direction, 0)
        self._last = slope, move
        sizes = [variable.value[0].numel() for variable in self.variables]
        for variable, part in zip(self.variables, move.split(sizes, dim=1), strict=True):
            variable.value.add_(part.view_as(variable.value))

    def _remember(self, slope: Tensor) -> None:
        """Keep the last step and what it did to the gradient, where the curvature along it is positive."""
        before, move = self._last
        change = slope - before
        curvature = (change * move).sum(1, keepdim=True)
        good = curvature > 1e-10
        self._scale = torch.where(good, curvature / change.square().sum(1, keepdim=True), self._scale)
        kept = (torch.where(good, value, 0) for value in (move, change, 1 / curvature))
        self._pairs = [*self._pairs, tuple(kept)][-self.history :]

    def _direction(self, slope: Tensor) -> Tensor:
        """``-H slope`` by the two-loop recursion."""
        q, shares = -slope, []
        for move, change, inverse in reversed(self._pairs):
            share = inverse * (move * q).sum(1, keepdim=True)
            q = q - share * change
            shares.append(share)
        q = q * self._scale
        for (move, change, inverse), share in zip(self._pairs, reversed(shares), strict=True):
            q = q + move * (share - inverse * (change * q).sum(1, keepdim=True))
        return q
