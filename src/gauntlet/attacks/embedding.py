"""Perturb test images with a registered attack on embeddings, adaptive through the whole network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gauntlet.attacks.base import Attack, make
from gauntlet.attacks.searches import base as searches
from gauntlet.core.errors import GauntletError

#: Images per forward pass; bounds memory, changes no result beyond rounding.
BATCH = 1000


def perturb(
    attack: str | Attack,
    embed: Callable[[Tensor], Tensor],
    x: Tensor,
    clean: Tensor,
    labels: Tensor,
    *,
    eps: float,
    step: float,
    steps: int,
    generator: torch.Generator,
    restarts: int = 1,
    start_eps: float | None = None,
    rows: Tensor | None = None,
    batch: int = BATCH,
    norm: str = "linf",
    search: str = "pgd",
    options: dict[str, Any] | None = None,
) -> Tensor:
    """Adversarial versions of ``x[rows]``, made for exactly these rows while the others stay clean.

    Args:
        attack: a registered attack (a file in ``gauntlet/attacks/``), or one made already for ``clean`` and
            ``labels``. By name, one with ``drawn`` targets draws them from ``generator`` first.
        embed: (b, C, H, W) in [0, 1] -> (b, D) unit norm; the deployed network (all members), in eval mode.
        x: (n, C, H, W) all test images.
        clean: (n, D) ``embed(x)``.
        labels: (n,) classes.
        eps, step, steps, generator, restarts, start_eps, norm: see ``pgd``. Starts are drawn for all rows at
            once.
        rows: (b,) indices of the images to perturb, without repeats; all when None.
        batch: images per forward pass.
        search: how the objective is maximised: a file in ``gauntlet/attacks/searches/``, which says what a
            step is.
        options: arguments of the search.

    Returns:
        (b, C, H, W) in the order of ``rows``; images that the attack spares are the clean ones.

    Raises:
        GauntletError: unknown names or options, a search that cannot maximise this objective, or an objective
            that is not finite.
    """
    rows = torch.arange(len(x), device=x.device) if rows is None else rows.to(x.device)
    method = make(attack, clean, labels, generator) if isinstance(attack, str) else attack
    climber = searches.make(search, norm, options)
    if method.joint and not climber.gradients:
        raise GauntletError(
            f"search {search!r} needs one score per image, and the attack scores all images together",
            key="search",
            remedy="choose one with gradients, such as pgd",
        )
    images = x[rows]
    budget = searches.Budget(eps, step, steps, norm, eps if start_eps is None else start_eps)
    starts = [climber.start(images, budget, generator) for _ in range(restarts)]

    def climb(part: Tensor | slice) -> Tensor:
        those = rows[part]

        def objective(adversarial: Tensor) -> Tensor:
            if climber.gradients:
                return method.objective(_embed_all(embed, adversarial, batch), those)
            parts = zip(adversarial.split(batch), those.split(batch), strict=True)
            return torch.cat([method.objective(embed(some), chosen) for some, chosen in parts])

        return climber(objective, images[part], [start[part] for start in starts], budget, generator)

    together = len(images) if method.joint or not climber.gradients else batch
    if method.spared is None:
        return torch.cat([climb(slice(at, at + together)) for at in range(0, len(images), together)])
    found, attacked = images.clone(), (~method.spared[rows]).nonzero()[:, 0]
    for at in range(0, len(attacked), together):
        found[attacked[at : at + together]] = climb(attacked[at : at + together])
    return found


def _embed_all(embed: Callable[[Tensor], Tensor], x: Tensor, batch: int) -> Tensor:
    """Embeddings with gradients; beyond one batch, activations are recomputed rather than kept."""
    if len(x) <= batch:
        return embed(x)
    from torch.utils.checkpoint import checkpoint  # its first use imports torch's compiler: seconds

    return torch.cat(
        [checkpoint(embed, part, use_reentrant=False, preserve_rng_state=False) for part in x.split(batch)]
    )
