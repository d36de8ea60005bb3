"""Does an attack's gradient tell the truth? Backpropagation against finite differences."""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.attacks.pgd import Objective


def disagreement(
    objective: Objective, x: Tensor, *, generator: torch.Generator, step: float = 1e-3, directions: int = 8
) -> float:
    """How far backpropagation is from central differences, along random directions.

    ``sum |a - f| / sum (|a| + |f|)`` over directions (and images), a the derivative by backpropagation and
    f the finite difference. About 0 for an honest gradient; towards 1 for one that is shattered, rounded
    away, or cut off from a part of the defense, such as all but one member of an ensemble.

    Args:
        objective: maps (n, ...) images to (n,) scores, each of its own image alone, or to one scalar.
        x: (n, ...) images in [0, 1].
        generator: CPU generator of the directions, which have entries of +-1.
        step: length of the difference per pixel.
        directions: how many.
    """
    apart, size = 0.0, 0.0
    images = x.clone().requires_grad_(True)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(objective(images).sum(), images)
    for _ in range(directions):
        signs = torch.randint(0, 2, x.shape, generator=generator).to(x).mul_(2).sub_(1)
        with torch.no_grad():
            finite = (objective(x + step * signs) - objective(x - step * signs)) / (2 * step)
        slope = (gradient * signs).flatten(1).sum(1)
        slope = slope if finite.dim() else slope.sum()
        apart += float((slope - finite).abs().sum())
        size += float((slope.abs() + finite.abs()).sum())
    return apart / size if size else 0.0
