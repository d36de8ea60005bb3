"""One set of images out of those that the epochs have for themselves."""

from __future__ import annotations

import torch
from torch import Tensor


def merged(images: Tensor) -> Tensor:
    """(T, sets, n, C, H, W) -> (T, n, C, H, W): every set in the order of the first, averaged.

    The order is the assignment with the least squared error (Dimitrov et al. 2022).
    """
    first, count = images[:, 0], images.shape[1]
    total = first.clone()
    for target in range(len(images)):
        for other in images[target, 1:]:
            total[target] += other[_order(first[target], other)]
    return total / count


def _order(images: Tensor, others: Tensor) -> Tensor:
    """(n,) for each of ``images`` the one of ``others`` that it is."""
    from scipy.optimize import linear_sum_assignment  # not on the way of methods with one set

    apart = torch.cdist(images.flatten(1).double(), others.flatten(1).double()).square()
    return torch.from_numpy(linear_sum_assignment(apart.cpu().numpy())[1]).to(images.device)
