"""Auto-PGD (Croce and Hein 2020, arXiv 2003.01690, algorithm 1): PGD without a step size to choose."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from gauntlet.attacks.classifiers.base import Attack, cross_entropy, margin
from gauntlet.attacks.pgd import random_start
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register

#: Weight of the new step against the last move, and the share of steps that must rise (section 3).
ALPHA, RHO = 0.75, 0.75


@register("classifier_attack", "apgd")
class AutoPgd(Attack):
    """PGD with momentum that halves its step, image by image, where it stops making progress.

    Losses: ``ce`` the cross-entropy, ``dlr`` the difference of logits ratio (equation 6), which does not
    change when logits are scaled. Towards a target both take their targeted forms (equation 7 for ``dlr``).

    Args:
        eps: L-inf radius, pixel range 1.
        steps: iterations.
        restarts: random starts; the best is kept, image by image.
        loss: ``ce`` or ``dlr``.
    """

    def __init__(self, eps: float, steps: int = 100, restarts: int = 1, loss: Literal["ce", "dlr"] = "ce"):
        self.eps, self.steps, self.restarts, self.loss = eps, steps, restarts, loss

    def __call__(self, logits, x, labels, *, targeted=False, generator):
        objective = self.objective(logits, x, labels, targeted)
        best, best_score = None, None
        for _ in range(self.restarts):
            start = random_start(x, self.eps, generator)
            found, score = maximise(objective, x, start, self.eps, self.steps)
            better = None if best is None else score > best_score
            best = found if best is None else torch.where(better.view(-1, 1, 1, 1), found, best)
            best_score = score if best_score is None else torch.where(better, score, best_score)
        return best

    def objective(self, logits, x, labels, targeted) -> Callable[[Tensor], Tensor]:
        if self.loss == "ce":
            return cross_entropy(logits, labels, targeted)
        if targeted:
            with torch.no_grad():
                own = logits(x).argmax(1)
            return lambda images: targeted_dlr(logits(images), own, labels)
        return lambda images: dlr(logits(images), labels)


def maximise(
    objective: Callable[[Tensor], Tensor], x: Tensor, start: Tensor, eps: float, steps: int
) -> tuple[Tensor, Tensor]:
    """The iterate with the highest ``objective`` (n,) within ``eps`` of ``x``, and its score; detached."""
    low, high = (x - eps).clamp_(min=0), (x + eps).clamp_(max=1)
    checkpoints = set(schedule(steps))
    shape = (-1, *[1] * (x.dim() - 1))
    current = start.clamp(low, high).detach()
    score, gradient = _value(objective, current)
    best, best_score, best_gradient = current, score, gradient
    previous, last_score = current, score
    eta = torch.full_like(score, 2 * eps)
    rises = torch.zeros_like(score)
    eta_then, best_then, since = eta, best_score, 0
    for k in range(steps):
        step = current + eta.view(shape) * gradient.sign()
        step = step.clamp(low, high)
        if k:
            step = (current + ALPHA * (step - current) + (1 - ALPHA) * (current - previous)).clamp(low, high)
        previous, current = current, step
        score, gradient = _value(objective, current)
        rises += score > last_score
        last_score, since = score, since + 1
        better = score > best_score
        best = torch.where(better.view(shape), current, best)
        best_gradient = torch.where(better.view(shape), gradient, best_gradient)
        best_score = torch.where(better, score, best_score)
        if k + 1 in checkpoints:
            stuck = rises < RHO * since
            stuck |= (eta == eta_then) & (best_score == best_then)
            eta_then, best_then = eta, best_score
            eta = torch.where(stuck, eta / 2, eta)
            current = torch.where(stuck.view(shape), best, current)
            gradient = torch.where(stuck.view(shape), best_gradient, gradient)
            last_score = torch.where(stuck, best_score, last_score)
            rises, since = torch.zeros_like(rises), 0
    if not torch.isfinite(best_score).all():
        raise GauntletError(
            "the attack's objective is not finite",
            remedy="the network's weights or inputs are not finite",
        )
    return best, best_score


def _value(objective, x: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        score = objective(x)
        (gradient,) = torch.autograd.grad(score.sum(), x)
    return score.detach(), gradient


def schedule(steps: int) -> list[int]:
    """Iterations at which progress is looked at: shares 0.22, then 0.03 less each time, at least 0.06."""
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return sorted({math.ceil(round(share * steps, 6)) for share in shares[1:] if share <= 1})


def dlr(outputs: Tensor, labels: Tensor) -> Tensor:
    """(b,) the margin over the distance of the highest from the third highest logit (equation 6)."""
    _enough(outputs, 3)
    top = outputs.topk(3, dim=1).values
    return margin(outputs, labels) / (top[:, 0] - top[:, 2] + 1e-12)


def targeted_dlr(outputs: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """(b,) as ``dlr``, towards ``targets`` and away from ``labels`` (equation 7)."""
    _enough(outputs, 4)
    top = outputs.topk(4, dim=1).values
    rise = outputs.gather(1, targets[:, None]) - outputs.gather(1, labels[:, None])
    return rise[:, 0] / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + 1e-12)


def _enough(outputs: Tensor, classes: int) -> None:
    if outputs.shape[1] < classes:
        raise GauntletError(
            f"the difference of logits ratio needs {classes} classes (got {outputs.shape[1]})",
            key="options.loss",
            remedy="set loss: ce",
        )
