"""PGD on one score of many images together, a batch at a time: for sets that fit no device at once.

The gradient of J(F(x_1), ..., F(x_n)) in x_i is that of <g_i, F(x_i)>, g = dJ/dF at the present images. So a
step embeds all images without a gradient, finds g, and then moves batch after batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from gauntlet.attacks.best import refuse_nan
from gauntlet.attacks.norms import ball
from gauntlet.attacks.searches.base import Budget
from gauntlet.attacks.starts import Starts

Embed = Callable[[Tensor], Tensor]


def ascend(
    objective: Callable[[Tensor], Tensor],
    embed: Embed,
    clean: Callable[[Tensor], Tensor],
    groups: Sequence[Tensor],
    starts: Iterable[Starts],
    budget: Budget,
    *,
    choose: bool,
    home: torch.device | str | None = None,
) -> list[Tensor]:
    """What ``pgd.ascend`` finds, where images wait for their turn at ``home``.

    Args:
        objective: (n, D) embeddings, in the order of ``groups``, -> a scalar.
        embed: (b, C, H, W) -> (b, D), on the device.
        clean: places (b,) -> (b, C, H, W) clean images, on the device.
        groups: ascending places of the images that visit the device together.
        starts: one per restart.
        choose: keep the best restart; False takes the only one without a look at its end.
        home: None for the device itself.

    Returns: the images of every group, at home.

    Raises: GauntletError when the objective or its gradient is not finite.
    """
    device = clean(groups[0][:1]).device
    best, most, watch = None, None, torch.zeros((), device=device)
    for start in starts:
        images = []
        for places in groups:
            x = clean(places)
            inside = ball(budget.norm)(x, budget.eps)
            images.append(inside.project(start.around(x, places)).to(home or device))
        for _ in range(budget.steps):
            score, slopes = _slopes(objective, _embed_all(embed, images, device))
            watch += score
            for group, slope in enumerate(slopes.split([len(places) for places in groups])):
                point = images[group].to(device, copy=True).requires_grad_(True)
                with torch.enable_grad():
                    (gradient,) = torch.autograd.grad((embed(point) * slope).sum(), point)
                watch += gradient.sum()
                inside = ball(budget.norm)(clean(groups[group]), budget.eps)
                images[group] = inside.rise_(point.detach(), gradient, budget.step).to(home or device)
        if not choose:
            best = images
            break
        with torch.no_grad():
            score = objective(_embed_all(embed, images, device))
        watch += score
        if best is None or score > most:
            best, most = images, score
    refuse_nan(watch)
    return best


def _embed_all(embed: Embed, images: Sequence[Tensor], device: torch.device) -> Tensor:
    with torch.no_grad():
        return torch.cat([embed(part.to(device)) for part in images])


def _slopes(objective: Callable[[Tensor], Tensor], embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """The score, and its gradient (n, D) in the embeddings."""
    embeddings.requires_grad_(True)
    with torch.enable_grad():
        score = objective(embeddings)
        (slopes,) = torch.autograd.grad(score, embeddings)
    return score.detach(), slopes
