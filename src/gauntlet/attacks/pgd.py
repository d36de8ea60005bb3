"""Projected gradient ascent under an L-inf budget (Madry et al. 2018, arXiv 1706.06083, section 2.1).

The one PGD of the package: training attacks and test-time attacks differ only in the objective.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError

Objective = Callable[[Tensor], Tensor]


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
) -> Tensor:
    """Images near ``x`` that (locally) maximise ``objective``.

    From ``x + U(-start_eps, start_eps)``, ``steps`` times ``x' <- P(x' + step * sign(grad))``; P projects to
    ``|x' - x| <= eps`` and [0, 1]. The last iterate is returned. Put the networks in eval mode first.

    Args:
        objective: maps (n, ...) images to (n,) scores, each of its own image alone, or to one scalar.
        x: (n, ...) images in [0, 1], on any device.
        eps: L-inf radius in pixel units; 1 or more leaves only the [0, 1] box.
        step: step size in pixel units.
        steps: gradient steps; 0 returns the random start.
        generator: CPU generator; each restart draws one tensor like ``x``, so that k restarts begin
            with the starts of k - 1 restarts.
        restarts: independent starts; the best is kept, per image for (n,) scores, else as a whole.
            More than one costs one more forward pass per restart.
        start_eps: radius of the random start; ``eps`` when None. Under a very large ``eps`` a start in
            pure noise is a poor one, and a smaller radius makes the stronger attack.

    Returns:
        Tensor like ``x``, detached.

    Raises:
        GauntletError: the objective or its gradient is not finite.
    """
    radius = eps if start_eps is None else start_eps
    starts = (random_start(x, radius, generator) for _ in range(restarts))
    return ascend(objective, x, starts, eps=eps, step=step, steps=steps, choose=restarts > 1)


def random_start(x: Tensor, radius: float, generator: torch.Generator) -> Tensor:
    """``x + U(-radius, radius)`` cut to [0, 1]; drawn on the CPU, so that devices agree."""
    noise = torch.rand(x.shape, generator=generator, dtype=x.dtype).to(x.device)
    return noise.mul_(2 * radius).sub_(radius).add_(x).clamp_(0, 1)


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
):
    """PGD from given ``starts`` (an iterable of tensors like ``x``, not changed); see ``pgd``.

    ``choose`` False takes the only start's end without evaluating it. ``momentum`` above 0 follows a running
    sum of gradients of unit L1 norm per image, as MIM does.
    """
    low, high = (x - eps).clamp_(min=0), (x + eps).clamp_(max=1)
    watch = torch.zeros((), device=x.device)
    best, best_score = None, None
    for start in starts:
        adversarial = _climb(objective, start, low, high, step, steps, momentum, watch)
        if not choose:
            best = adversarial
            break
        with torch.no_grad():
            score = objective(adversarial)
        watch += score.sum()
        if best is None:
            best, best_score = adversarial, score
        else:
            better = score > best_score
            mask = better.view(-1, *[1] * (x.dim() - 1)) if better.dim() else better
            best = torch.where(mask, adversarial, best)
            best_score = torch.where(better, score, best_score)
    if not torch.isfinite(watch):
        raise GauntletError(
            "the attack's objective or its gradient is not finite",
            remedy="the network's weights or inputs hold NaN or infinity; train it again, at a lower rate",
        )
    return best


def _climb(objective, start: Tensor, low: Tensor, high: Tensor, step: float, steps: int, momentum, watch):
    """One run from ``start``.

    ``watch`` sums what was seen, because the sign of NaN is 0: an objective that fails would pass for a
    robust one. The caller looks at it once, as reading the device at every step would stall it.
    """
    adversarial = start.clamp(low, high)
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
            adversarial = adversarial.detach().add_(gradient.sign(), alpha=step)
            adversarial.clamp_(low, high)
    return adversarial
