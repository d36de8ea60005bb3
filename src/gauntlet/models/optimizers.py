"""Optimizers: torch's own updates, without ``torch.optim.Optimizer``.

Building one of those imports torch's compiler, which costs every job more than four seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from gauntlet.core.errors import GauntletError, did_you_mean


class Optimizer:
    """Updates groups of parameters in place.

    Args:
        groups: (parameters, learning rate) pairs.
        weight_decay: decoupled for Adam, added to the gradient by the others.
        clip: gradient values are cut to [-clip, clip] first; None leaves them.
    """

    #: Names of the running averages, one tensor like each parameter.
    averages: tuple[str, ...] = ()

    def __init__(
        self,
        groups: Sequence[tuple[Sequence[Tensor], float]],
        weight_decay: float = 0.0,
        clip: float | None = None,
    ):
        self.groups, self.weight_decay, self.clip = groups, weight_decay, clip
        self.parameters = [p for parameters, _ in groups for p in parameters]
        self.buffers = {name: [torch.zeros_like(p) for p in self.parameters] for name in self.averages}
        self.steps = [torch.zeros((), dtype=torch.float32, device=p.device) for p in self.parameters]

    def descend(self, loss: Tensor, factor: float = 1.0) -> None:
        """One update down the gradient of ``loss``; a parameter that it does not reach, or that is frozen
        (``requires_grad`` False), stays.

        ``factor`` multiplies every learning rate.
        """
        free = [p for p in self.parameters if p.requires_grad]
        found = iter(torch.autograd.grad(loss, free, allow_unused=True))
        self.step([next(found) if p.requires_grad else None for p in self.parameters], factor)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None], factor: float = 1.0) -> None:
        """One update along given gradients, which may be overwritten; None leaves a parameter as it is."""
        if self.clip is not None:
            gradients = [g if g is None else g.clamp_(-self.clip, self.clip) for g in gradients]
        at = 0
        for parameters, lr in self.groups:
            used = [i for i in range(at, at + len(parameters)) if gradients[i] is not None]
            at += len(parameters)
            if used:
                self._update(
                    [self.parameters[i] for i in used],
                    [gradients[i] for i in used],
                    [[self.buffers[name][i] for i in used] for name in self.averages],
                    [self.steps[i] for i in used],
                    lr * factor,
                )

    def _update(self, parameters, gradients, averages, steps, lr: float) -> None:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        return {**self.buffers, "steps": self.steps}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        for name, own in self.state_dict().items():
            for mine, saved in zip(own, state[name], strict=True):
                mine.copy_(saved)


class Adam(Optimizer):
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101; Adam where the weight decay is 0)."""

    averages = ("means", "squares")
    rule = staticmethod(adamw)

    def __init__(self, groups, weight_decay=0.0, clip=None, betas: tuple[float, float] = (0.9, 0.999)):
        super().__init__(groups, weight_decay, clip)
        self.betas = betas

    def _update(self, parameters, gradients, averages, steps, lr):
        self.rule(
            parameters,
            [_laid_out_like(p, g) for p, g in zip(parameters, gradients, strict=True)],
            *averages,
            [],
            steps,
            fused=True,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=lr,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )


def _laid_out_like(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient in the parameter's memory layout: the fused kernel walks both by address."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


class CoupledAdam(Adam):
    """Adam with the weight decay added to the gradient (Kingma and Ba 2015, arXiv 1412.6980)."""

    rule = staticmethod(adam)


class Sgd(Optimizer):
    """Stochastic gradient descent, with Polyak's momentum."""

    averages = ("momenta",)

    def __init__(self, groups, weight_decay=0.0, clip=None, momentum: float = 0.0):
        super().__init__(groups, weight_decay, clip)
        self.momentum = momentum

    def _update(self, parameters, gradients, averages, steps, lr):
        sgd(
            parameters,
            gradients,
            averages[0] if self.momentum else [None] * len(parameters),
            foreach=False,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )


class RmsProp(Optimizer):
    """RMSprop (Hinton 2012), with torch's defaults: decay 0.99, not centred, no momentum."""

    averages = ("squares",)

    def _update(self, parameters, gradients, averages, steps, lr):
        rmsprop(
            parameters,
            gradients,
            averages[0],
            [],
            [],
            steps,
            foreach=False,
            lr=lr,
            alpha=0.99,
            eps=1e-8,
            weight_decay=self.weight_decay,
            momentum=0.0,
            centered=False,
        )


#: By the names that configurations give them.
OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "sgd": Sgd, "rmsprop": RmsProp}


def make(name: str, groups, weight_decay: float = 0.0, momentum: float = 0.0) -> Optimizer:
    """The optimizer called ``name``; ``momentum`` is for SGD alone.

    Raises:
        GauntletError: there is no such optimizer.
    """
    if name not in OPTIMIZERS:
        raise GauntletError(f"unknown optimizer {name!r}", remedy=did_you_mean(name, OPTIMIZERS))
    extra = {"momentum": momentum} if name == "sgd" else {}
    return OPTIMIZERS[name](groups, weight_decay, **extra)
