"""Perturb test images with a registered attack on embeddings, adaptive through the whole network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gauntlet.attacks.pgd import ascend, random_start
from gauntlet.core.registry import resolve

#: Images per forward pass; bounds memory, changes no result beyond rounding.
BATCH = 1000


def perturb(
    attack: str,
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
) -> Tensor:
    """Adversarial versions of ``x[rows]``, made for exactly these rows while the others stay clean.

    Args:
        attack: a registered attack (a file in ``gauntlet/attacks/``).
        embed: (b, C, H, W) in [0, 1] -> (b, D) unit norm; the deployed network (all members), in eval mode.
        x: (n, C, H, W) all test images.
        clean: (n, D) ``embed(x)``.
        labels: (n,) classes.
        eps, step, steps, generator, restarts, start_eps: see ``pgd``. Starts are drawn for all rows at once.
        rows: (b,) indices of the images to perturb, without repeats; all when None.
        batch: images per forward pass.

    Returns:
        (b, C, H, W) in the order of ``rows``.
    """
    rows = torch.arange(len(x), device=x.device) if rows is None else rows.to(x.device)
    method = resolve("attack", attack)(clean, labels)
    images = x[rows]
    radius = eps if start_eps is None else start_eps
    starts = [random_start(images, radius, generator) for _ in range(restarts)]
    found = []
    together = len(images) if method.joint else batch
    for at in range(0, len(images), together):
        part = slice(at, at + together)

        def objective(adversarial: Tensor, part: slice = part) -> Tensor:
            return method.objective(_embed_all(embed, adversarial, batch), rows[part])

        found.append(
            ascend(
                objective,
                images[part],
                [start[part] for start in starts],
                eps=eps,
                step=step,
                steps=steps,
                choose=restarts > 1,
            )
        )
    return torch.cat(found)


def _embed_all(embed: Callable[[Tensor], Tensor], x: Tensor, batch: int) -> Tensor:
    """Embeddings with gradients; beyond one batch, activations are recomputed rather than kept."""
    if len(x) <= batch:
        return embed(x)
    from torch.utils.checkpoint import checkpoint  # its first use imports torch's compiler: seconds

    return torch.cat(
        [checkpoint(embed, part, use_reentrant=False, preserve_rng_state=False) for part in x.split(batch)]
    )
