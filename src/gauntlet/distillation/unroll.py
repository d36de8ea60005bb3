"""Gradient descent on a distilled set, which gradients may flow through."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet.distillation.sets import Samples
from gauntlet.models.copies import State

#: As ``models.copies.copies`` gives it: (state of K copies, images (K, b, C, H, W), training) -> logits.
Run = Callable[[State, Tensor, bool], Tensor]


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """(K,) weighted mean cross-entropies; 0 where all weights are.

    Args:
        logits: (K, b, classes).
        labels: (K, b, classes) on the simplex, or (K, b) classes.
        weights: (K, b).
    """
    if labels.dim() == 2:
        each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)
    else:
        each = -(labels * F.log_softmax(logits, dim=-1)).sum(-1)
    total = weights.sum(1)
    return (weights * each).sum(1) / torch.where(total > 0, total, 1.0)


def repeated(state: State, copies: int) -> State:
    """``copies`` equal models as one, from which gradients do not flow back to ``state``."""
    return {name: value.detach().expand(copies, *value.shape).clone() for name, value in state.items()}


def descend(run: Run, state: State, samples: Samples, steps: Tensor, differentiable: bool = False) -> State:
    """K models after J gradient steps, ``theta <- theta - eta_j grad CE(theta; part j of the samples)``.

    Plain gradient descent, without momentum, as dataset distillation unrolls it (Wang et al. 2018, arXiv
    1811.10959, algorithm 1).

    Args:
        run: the network.
        state: of K models, each tensor (K, ...); not changed.
        samples: of K rows.
        steps: (K, J) step sizes.
        differentiable: keep the graph from ``samples`` and ``steps`` to the result.
    """
    for step, sizes in enumerate(steps.unbind(1)):
        images, labels, weights = samples.part(step)
        with torch.enable_grad():
            if not differentiable or not step:
                state = {name: value.detach().requires_grad_() for name, value in state.items()}
            loss = cross_entropy(run(state, images, True), labels, weights).sum()
            gradients = torch.autograd.grad(loss, list(state.values()), create_graph=differentiable)
        with torch.set_grad_enabled(differentiable):
            state = {
                name: value - sizes.view(-1, *[1] * (value.dim() - 1)) * gradient
                for (name, value), gradient in zip(state.items(), gradients, strict=True)
            }
    return state
