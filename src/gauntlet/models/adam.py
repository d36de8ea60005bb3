"""AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101; Adam where the weight decay is 0).

torch's own update, without ``torch.optim.Optimizer``: building one imports torch's compiler, which
costs every job more than four seconds of processor time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw


class Adam:
    """Updates groups of parameters in place.

    Args:
        groups: (parameters, learning rate) pairs.
        weight_decay: decoupled decay, per unit of learning rate.
        clip: gradient values are cut to [-clip, clip] first; None leaves them.
    """

    def __init__(
        self,
        groups: list[tuple[list[Tensor], float]],
        weight_decay: float = 0.0,
        clip: float | None = None,
    ):
        self.groups, self.weight_decay, self.clip = groups, weight_decay, clip
        self.parameters = [p for parameters, _ in groups for p in parameters]
        self.means = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]
        self.steps = [torch.zeros((), dtype=torch.float32, device=p.device) for p in self.parameters]

    @torch.no_grad()
    def descend(self, loss: Tensor) -> None:
        """One update down the gradient of ``loss``; a parameter that it does not reach stays."""
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        if self.clip is not None:
            gradients = [g if g is None else g.clamp_(-self.clip, self.clip) for g in gradients]
        at = 0
        for parameters, lr in self.groups:
            used = [i for i in range(at, at + len(parameters)) if gradients[i] is not None]
            at += len(parameters)
            adamw(
                [self.parameters[i] for i in used],
                [gradients[i] for i in used],
                [self.means[i] for i in used],
                [self.squares[i] for i in used],
                [],
                [self.steps[i] for i in used],
                fused=True,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=lr,
                weight_decay=self.weight_decay,
                eps=1e-8,
                maximize=False,
            )

    def state_dict(self) -> dict[str, Any]:
        return {"means": self.means, "squares": self.squares, "steps": self.steps}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        for name, values in state.items():
            for own, value in zip(getattr(self, name), values, strict=True):
                own.copy_(value)
