"""How much each layer counts in a distance (Xu et al. 2022, "AGIC": weights that grow with depth).

A *block* is a weight of two or more dimensions with the biases and norms that follow it. The last block is
the head, which gets the mean of the others, k = 0..m-1. The formulas are those of the authors' later code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError, did_you_mean

#: (k, m, s) -> the weight of block k.
FORMULAS: dict[str, Callable[[int, int, float], float]] = {
    "equal": lambda k, m, s: 1.0,
    "linear": lambda k, m, s: 1 + (s - 1) * k / max(m - 1, 1),
    "reversed": lambda k, m, s: 1 + (s - 1) * (m - 1 - k) / max(m - 1, 1),
    "log": lambda k, m, s: 1 + (s - 1) * math.log(k + 1) / math.log(max(m, 2)),
    "quadratic": lambda k, m, s: 1 + (s - 1) * (k + 1) ** 2 / m**2,
    "exponential": lambda k, m, s: 1 + (s - 1) * math.exp(k - (m - 1)),
    "power": lambda k, m, s: float(k + 1) ** s,
}
INVERSE_VARIANCE = "inverse_variance"


@dataclass(frozen=True)
class Weighting:
    """A choice of layer weights.

    Attributes:
        name: of ``FORMULAS``; or ``inverse_variance``, 1 / var(g*_l) for every tensor by itself.
        scale: s, the weight of the last block where the first has 1; in ``power`` the exponent.
        preserve: divide by the share of entries of g*_l that are not zero (but for the head): for updates
            that were sparsified.

    Raises:
        GauntletError: unknown name, or a scale that is not positive.
    """

    name: str = "equal"
    scale: float = 20.0
    preserve: bool = False

    def __post_init__(self):
        known = [*FORMULAS, INVERSE_VARIANCE]
        if self.name not in known:
            raise GauntletError(
                f"unknown layer weights {self.name!r}", key="weighting", remedy=did_you_mean(self.name, known)
            )
        if not 0 < self.scale < math.inf:
            raise GauntletError(f"layer weights have the scale {self.scale}; it must be above 0", key="scale")

    def __call__(self, observed: list[Tensor]) -> Tensor:
        """(rows, tensors) weights, from the observed gradients (rows, ...) of all parameters in order."""
        block = blocks([value[0] for value in observed])
        if self.name == INVERSE_VARIANCE:
            weights = torch.stack([_inverse_variance(value) for value in observed], dim=1)
        else:
            m = block[-1]
            per_block = [FORMULAS[self.name](k, m, self.scale) for k in range(m)]
            body = [per_block[k] for k in block if k < m]
            head = sum(body) / len(body) if body else 1.0
            weights = observed[0].new_tensor(body + [head] * (len(block) - len(body)))
            weights = weights.expand(len(observed[0]), -1)
        if self.preserve:
            kept = torch.stack(
                [value.flatten(1).count_nonzero(1) / value[0].numel() for value in observed], 1
            )
            kept[:, [k == block[-1] for k in block]] = 1
            weights = weights / kept.clamp(min=torch.finfo(weights.dtype).tiny)
        return weights


def blocks(tensors: list[Tensor]) -> list[int]:
    """The block of every parameter of a network, from 0; the largest is the head's."""
    found, block = [], -1
    for tensor in tensors:
        block += tensor.dim() > 1 or block < 0
        found.append(block)
    return found


def _inverse_variance(value: Tensor) -> Tensor:
    """(rows,) 1 / variance of a tensor's entries; 0 where they are all equal, and so say nothing."""
    flat = value.flatten(1)
    variance = flat.var(1) if flat.shape[1] > 1 else flat.new_zeros(len(flat))
    return torch.where(variance > 0, 1 / variance, 0)
