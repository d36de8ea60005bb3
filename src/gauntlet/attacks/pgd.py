"""Projected gradient ascent in an L-inf or L2 ball (Madry et al. 2018, arXiv 1706.06083, section 2.1).

The one PGD of the package: training attacks and test-time attacks differ only in the objective.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gauntlet.attacks.best import Best, refuse_nan
from gauntlet.attacks.norms import Ball, Linf, ball

Objective = Callable[[Tensor], Tensor]

#: ``x + U(-radius, radius)`` cut to [0, 1], as (x, radius, generator).
random_start = Linf.start


def pgd(
    objective: Objective,
    x: Tensor,
    *,
    eps: float,
    step: float,
    steps: int,
    generator: torch.Generator,
    restarts: int = 1,
    start_eps: float | None = None,
    norm: str = "linf",
) -> Tensor:
    """Images near ``x`` that (locally) maximise ``objective``.

    From a uniform draw of the ball of radius ``start_eps``, ``steps`` times ``x' <- P(x' + step * g)``: g is
    the sign of the gradient (``linf``), or the gradient as a unit vector per image (``l2``); P projects to
    ``||x' - x|| <= eps`` and [0, 1]. The last iterate is returned. Put the networks in eval mode first.

    Args:
        objective: maps (n, ...) images to (n,) scores, each of its own image alone, or to one scalar.
        x: (n, ...) images in [0, 1], on any device.
        eps: radius of the ball in pixel units; 1 or more in L-inf leaves only the [0, 1] box.
        step: step size in pixel units.
        steps: gradient steps; 0 returns the random start.
        generator: CPU generator; each restart draws one tensor like ``x`` (L2: and one number per image), so
            that k restarts begin with the starts of k - 1 restarts.
        restarts: independent starts; the best is kept, per image for (n,) scores, else as a whole.
            More than one costs one more forward pass per restart.
        start_eps: radius of the random start; ``eps`` when None. Under a very large ``eps`` a start in
            pure noise is a poor one, and a smaller radius makes the stronger attack.
        norm: ``linf`` or ``l2``.

    Returns:
        Tensor like ``x``, detached.

    Raises:
        GauntletError: the objective or its gradient is not finite, or there is no such norm.
    """
    radius = eps if start_eps is None else start_eps
    starts = (ball(norm).start(x, radius, generator) for _ in range(restarts))
    return ascend(objective, x, starts, eps=eps, step=step, steps=steps, choose=restarts > 1, norm=norm)


def ascend(
    objective: Objective,
    x: Tensor,
    starts,
    *,
    eps: float,
    step: float,
    steps: int,
    choose: bool,
    momentum: float = 0.0,
    norm: str = "linf",
):
    """PGD from given ``starts`` (an iterable of tensors like ``x``, not changed); see ``pgd``.

    ``choose`` False takes the only start's end without evaluating it. ``momentum`` above 0 follows a running
    sum of gradients of unit L1 norm per image, as MIM does.
    """
    inside = ball(norm)(x, eps)
    watch = torch.zeros((), device=x.device)
    best = Best()
    for start in starts:
        adversarial = _climb(objective, start, inside, step, steps, momentum, watch)
        if not choose:
            best.images = adversarial
            break
        with torch.no_grad():
            score = objective(adversarial)
        watch += score.sum()
        best.offer(adversarial, score)
    refuse_nan(watch)
    return best.images


def _climb(objective, start: Tensor, inside: Ball, step: float, steps: int, momentum, watch):
    """One run from ``start``.

    ``watch`` sums what was seen, because the sign of NaN is 0: an objective that fails would pass for a
    robust one. The caller looks at it once, as reading the device at every step would stall it.
    """
    adversarial = inside.project(start)
    velocity = torch.zeros_like(start) if momentum else None
    with torch.enable_grad():
        for _ in range(steps):
            adversarial.requires_grad_(True)
            score = objective(adversarial).sum()
            (gradient,) = torch.autograd.grad(score, adversarial)
            watch += score.detach() + gradient.sum()
            if momentum:
                norm = gradient.abs().flatten(1).sum(1).clamp_(min=1e-12)
                gradient = velocity.mul_(momentum).add_(gradient / norm.view(-1, *[1] * (start.dim() - 1)))
            adversarial = inside.rise_(adversarial.detach(), gradient, step)
    return adversarial
