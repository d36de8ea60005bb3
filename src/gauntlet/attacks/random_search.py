"""Random search with squares (Andriushchenko et al. 2020, arXiv 1912.00049, algorithms 1 and 2; L-inf).

Asks for scores only, so obfuscated gradients do not mislead it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: Shares of the queries (of 10,000) after which the squares' area is halved (section 3.4).
HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


def stripes(x: Tensor, eps: float, generator: torch.Generator) -> Tensor:
    """Where the search starts: vertical stripes of +-eps on (n, C, H, W) images, cut to [0, 1]."""
    n, channels, _, width = x.shape
    return (x + eps * _signs((n, channels, 1, width), x, generator)).clamp_(0, 1)


@torch.no_grad()
def squares(
    score: Callable[[Tensor], Tensor],
    x: Tensor,
    start: Tensor,
    *,
    eps: float,
    queries: int,
    area: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Put squares of +-eps on the images and keep those that raise the score.

    Args:
        score: (n, C, H, W) -> (n,), each of its own image alone.
        x: (n, C, H, W) clean images in [0, 1].
        start: images within ``eps`` of ``x``; evaluated first.
        eps: L-inf radius, pixel range 1.
        queries: forward passes per image, the start's included.
        area: share of the image that the first squares cover.
        generator: CPU generator of places and signs; each query draws for all images at once.

    Returns: the best images, and their scores (n,).
    """
    n, channels, height, width = x.shape
    best, best_score = start, score(start)
    for query in range(1, queries):
        side = square_side(query / queries, area, height, width)
        rows = torch.randint(0, height - side + 1, (n,), generator=generator).to(x.device)
        columns = torch.randint(0, width - side + 1, (n,), generator=generator).to(x.device)
        colours = eps * _signs((n, channels, 1, 1), x, generator)
        down = torch.arange(height, device=x.device) - rows[:, None]
        right = torch.arange(width, device=x.device) - columns[:, None]
        down, right = (down >= 0) & (down < side), (right >= 0) & (right < side)
        inside = down[:, None, :, None] & right[:, None, None]
        candidate = torch.where(inside, (x + colours).clamp(0, 1), best)
        found = score(candidate)
        better = found > best_score
        best = torch.where(better.view(-1, 1, 1, 1), candidate, best)
        best_score = torch.where(better, found, best_score)
    return best, best_score


def square_side(progress: float, area: float, height: int, width: int) -> int:
    """Pixels: the side of the squares after the share ``progress`` of the queries."""
    halvings = sum(progress > share for share in HALVINGS)
    return min(max(round((area / 2**halvings * height * width) ** 0.5), 1), height, width)


def _signs(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 2, shape, generator=generator).to(like) * 2 - 1
