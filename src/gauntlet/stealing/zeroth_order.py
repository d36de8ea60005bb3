"""Gradients from values alone: the kernel of all methods whose target answers with probabilities."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


@torch.no_grad()
def estimate(
    values: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    directions: int,
    eps: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Forward differences along random directions (DFME: Truong et al. 2021, arXiv 2011.14779, equation 5).

    ``g = d mean_j [(f(x + eps u_j) - f(x)) / eps] u_j``, u_j uniform on the unit sphere of d dimensions: the
    expectation is f's gradient where f is linear. All (directions + 1) values are asked in one call.

    Args:
        values: maps (m, ...) points to (m,) values f, each of its own point alone.
        x: (b, ...) points.
        directions: how many per point.
        eps: length of the differences.
        generator: CPU generator of the directions.

    Returns: (g, f): (b, ...) gradients of each point's own value, and (b,) the values at ``x``.
    """
    count, dimensions = len(x), x[0].numel()
    draws = torch.randn(directions, count, dimensions, generator=generator)
    u = F.normalize(draws, dim=2).view(directions, *x.shape).to(x)
    points = torch.cat([x[None], x + eps * u]).flatten(0, 1)
    found = values(points).view(directions + 1, count)
    slopes = (found[1:] - found[0]) / eps
    weights = slopes.view(directions, count, *[1] * (x.dim() - 1))
    return dimensions * (weights * u).mean(0), found[0]
