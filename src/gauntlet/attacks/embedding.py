"""Perturb test images with a registered attack on embeddings, adaptive through the whole network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gauntlet.attacks import joint
from gauntlet.attacks.base import Attack, make
from gauntlet.attacks.clean import Clean
from gauntlet.attacks.searches import base as searches
from gauntlet.attacks.starts import Starts, starts
from gauntlet.core.errors import GauntletError

#: Images per forward pass, or as many as have so many pixel values: 128 photos of 224 x 224. Bounds memory,
#: changes no result beyond rounding.
BATCH, VALUES = 1000, 128 * 3 * 224 * 224


def batch_size(channels: int, size: int) -> int:
    """Images of this kind per forward pass."""
    return max(1, min(BATCH, VALUES // (channels * size * size)))


def perturb(
    attack: str | Attack,
    embed: Callable[[Tensor], Tensor],
    x: Tensor,
    clean: Clean,
    *,
    generator: torch.Generator,
    rows: Tensor | None = None,
    **how: Any,
) -> Tensor:
    """Adversarial versions of ``x[rows]``, made for exactly these rows while the others stay clean.

    Args:
        attack: a registered attack (a file in ``gauntlet/attacks/``), or one made already for ``clean``. By
            name, one with ``drawn`` targets draws them from ``generator`` first.
        x: (n, C, H, W) all test images.
        clean: the embeddings of ``x``, and of the gallery if there is one.
        rows: (b,) indices of the images to perturb, without repeats; all when None.
        embed, generator, how: see ``perturbed``.

    Returns:
        (b, C, H, W) in the order of ``rows``; images that the attack spares are the clean ones.
    """
    rows = torch.arange(len(x), device=x.device) if rows is None else rows.to(x.device)
    method = make(attack, clean, generator) if isinstance(attack, str) else attack
    return torch.cat([*perturbed(method, embed, lambda some: x[some], rows, generator=generator, **how)])


def perturbed(
    method: Attack,
    embed: Callable[[Tensor], Tensor],
    view: Callable[[Tensor], Tensor],
    rows: Tensor,
    *,
    eps: float,
    step: float,
    steps: int,
    generator: torch.Generator,
    restarts: int = 1,
    start_eps: float | None = None,
    batch: int = BATCH,
    norm: str = "linf",
    search: str = "pgd",
    options: dict[str, Any] | None = None,
    home: torch.device | str | None = None,
) -> Iterator[Tensor]:
    """Adversarial images of ``rows`` in their order, as batches (``batch``, C, H, W); the last has the rest.

    What is in memory is one batch; under joint attacks, and searches without gradients, all images.

    Args:
        method: the attack, made for the whole test set.
        embed: (b, C, H, W) in [0, 1] -> (b, D) unit norm; the deployed network (all members), in eval mode.
        view: rows (b,) -> their clean images (b, C, H, W) on the network's device, a new tensor.
        rows: (n,) which images to perturb, without repeats, on the network's device; the others stay clean.
        eps, step, steps, generator, restarts, start_eps, norm: see ``pgd``. Starts are those that one draw
            for all rows at once gives, whatever the batch.
        batch: images per forward pass.
        search: how the objective is maximised: a file in ``gauntlet/attacks/searches/``, which says what a
            step is.
        options: arguments of the search.
        home: where the images of a joint attack wait if they are more than one batch; None for the network's
            device.

    Raises:
        GauntletError: unknown names or options, an impossible budget, a search that cannot maximise this
            objective, or an objective that is not finite.
    """
    climber = searches.make(search, norm, options)
    if method.joint and not climber.gradients:
        raise GauntletError(
            f"search {search!r} needs one score per image, and the attack scores all images together",
            key="search",
            remedy="choose one with gradients, such as pgd",
        )
    budget = searches.Budget(eps, step, steps, norm, eps if start_eps is None else start_eps)
    attacked = torch.arange(len(rows))
    if method.spared is not None:
        attacked = attacked[~method.spared[rows].cpu()]
    run = _Run(method, embed, view, rows, attacked, climber, budget, restarts, generator, batch, home)
    return run.in_order()


@dataclass(frozen=True)
class _Run:
    """One call of ``perturbed``. Images are known by their places in ``rows``, on the CPU."""

    method: Attack
    embed: Callable[[Tensor], Tensor]
    view: Callable[[Tensor], Tensor]
    rows: Tensor
    attacked: Tensor  # ascending places of the images that are not spared
    climber: searches.Search
    budget: searches.Budget
    restarts: int
    generator: torch.Generator
    batch: int
    home: torch.device | str | None

    def in_order(self) -> Iterator[Tensor]:
        """The batches of all images; those that are spared are the clean ones."""
        found, left = self.found(), None
        for places in torch.arange(len(self.rows)).split(self.batch):
            some = self.attacked[(self.attacked >= places[0]) & (self.attacked <= places[-1])]
            parts, missing = [], len(some)
            while missing:
                left = left if left is not None and len(left) else next(found)
                parts.append(left[:missing].to(self.rows.device))
                left = left[missing:]
                missing -= len(parts[-1])
            if len(some) == len(places):
                yield torch.cat(parts)
                continue
            images = self.clean(places)
            if parts:
                images[some - places[0]] = torch.cat(parts)
            yield images

    def found(self) -> Iterator[Tensor]:
        """The images of ``attacked``, in its order and in parts of any size."""
        if not len(self.attacked):
            return
        groups, budget = self.attacked.split(self.batch), self.budget
        if not self.climber.gradients:
            yield self.blindly()
            return
        like, count = self.clean(self.attacked[:1]), len(self.rows)
        drawn = starts(budget.norm, budget.start_eps, like, count, self.restarts, self.generator)
        if self.method.joint and self.climber.stateless and len(groups) > 1:
            yield from joint.ascend(
                lambda embeddings: self.method.objective(embeddings, self.rows[self.attacked]),
                self.embed,
                self.clean,
                groups,
                drawn,
                budget,
                choose=self.restarts > 1,
                home=self.home,
            )
            return
        drawn = [*drawn]
        for places in [self.attacked] if self.method.joint else groups:
            yield self.climb(places, drawn)

    def climb(self, places: Tensor, drawn: list[Starts]) -> Tensor:
        rows, images = self.rows[places], self.clean(places)
        return self.climber(
            lambda adversarial: self.method.objective(_embed_all(self.embed, adversarial, self.batch), rows),
            images,
            [start.around(images, places) for start in drawn],
            self.budget,
            self.generator,
        )

    def blindly(self) -> Tensor:
        """All at once: such a search draws while it goes on."""
        images, rows = self.clean(torch.arange(len(self.rows))), self.rows[self.attacked]
        drawn = [self.climber.start(images, self.budget, self.generator) for _ in range(self.restarts)]

        def score(adversarial: Tensor) -> Tensor:
            parts = zip(adversarial.split(self.batch), rows.split(self.batch), strict=True)
            return torch.cat([self.method.objective(self.embed(some), those) for some, those in parts])

        begun = [start[self.attacked] for start in drawn]
        return self.climber(score, images[self.attacked], begun, self.budget, self.generator)

    def clean(self, places: Tensor) -> Tensor:
        return self.view(self.rows[places])


def _embed_all(embed: Callable[[Tensor], Tensor], x: Tensor, batch: int) -> Tensor:
    """Embeddings with gradients; beyond one batch, activations are recomputed rather than kept."""
    if len(x) <= batch:
        return embed(x)
    from torch.utils.checkpoint import checkpoint  # its first use imports torch's compiler: seconds

    return torch.cat(
        [checkpoint(embed, part, use_reentrant=False, preserve_rng_state=False) for part in x.split(batch)]
    )
