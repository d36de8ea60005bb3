"""How far a gallery is ahead of the candidates of some queries, a block of the gallery at a time.

A whole (b, n) matrix of distances, and the copies of it that a gradient needs, would be gigabytes for 1000
queries in the 60,000 images of Stanford Online Products. Here value and gradient are found in one pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gauntlet.attacks.geometry import TINY, distances

#: Distances in memory at once: what bounds it, and still gives matrix products their full speed.
CELLS = 2**20
#: Distances up to this were cut off (``TINY``), and have no gradient.
CLOSE = 2 * TINY**0.5


def lead(
    pair: Tensor, queries: Tensor, gallery: Tensor, left_out: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Per block x of the gallery (w, D): x, the distances d(q, x) (b, w), and d(q, c) - d(q, x) (b, w), which
    is above 0 where x is nearer to the query than the candidate is.

    Args:
        pair: (b,) distances d(q, c) of query and candidate.
        queries: (b, D) unit vectors.
        gallery: (n, D) unit vectors.
        left_out: (b, k) columns of the gallery that do not count; their lead is 0.
    """
    width = max(1, CELLS // len(queries))
    for at in range(0, len(gallery), width):
        block = gallery[at : at + width]
        apart = distances(queries, block)
        ahead = pair[:, None] - apart
        for columns in left_out.unbind(1):
            inside = (columns >= at) & (columns < at + len(block))
            place = (columns - at).clamp(0, len(block) - 1)[:, None]
            ahead.scatter_(1, place, ahead.gather(1, place) * ~inside[:, None])
        yield block, apart, ahead


class Hinges(torch.autograd.Function):
    """``sum_x [s (d(q, c) - d(q, x))]_+`` per query, x all images but those left out.

    ``Hinges.apply(pair, queries, gallery, left_out, sign)`` -> (b,), for the arguments of ``lead``; s is the
    sign, 1 or -1. Gradients flow into ``pair`` and ``queries``: s times the number of x with a positive
    hinge, and s times the sum of x / d(q, x) over these.
    """

    @staticmethod
    def forward(ctx, pair, queries, gallery, left_out, sign):
        total, active = torch.zeros_like(pair), torch.zeros_like(pair)
        pull = torch.zeros_like(queries) if ctx.needs_input_grad[1] else None
        for block, apart, ahead in lead(pair, queries, gallery, left_out):
            hinge = ahead.mul_(sign).clamp_(min=0)
            total += hinge.sum(1)
            positive = hinge > 0
            active += positive.sum(1)
            if pull is not None:
                pull.addmm_((positive & (apart > CLOSE)) / apart, block)
        ctx.sign = sign
        ctx.save_for_backward(active, pull)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        active, pull = ctx.saved_tensors
        gradient = ctx.sign * gradient
        to_queries = None if pull is None else gradient[:, None] * pull
        return gradient * active, to_queries, None, None, None
