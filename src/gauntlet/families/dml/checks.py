"""The sanity suite of a ``dml`` trial: every attack on the scores that it is made for.

Attacks on single images are checked on recall@1, joint attacks on NMI and F1. Not the other way round:
NMI and F1 ignore cluster names, so that an attack which moves whole classes together may raise them.
Attacks with a goal of their own, such as a rank, are checked on that.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.attacks.derivative import disagreement
from gauntlet.attacks.norms import ball
from gauntlet.attacks.searches import base as searches
from gauntlet.core.seeds import numpy_generator, torch_generator
from gauntlet.families.dml.target import Target
from gauntlet.metrics import clustering, sanity

SHUFFLES = 20
#: Images of the suite, where two of every class would be more.
MOST = 1000
#: Pixels a side, beyond which an embedding by pixels would be too large to keep for every image.
GRID = 32


def run(
    target: Target, label: str, headline: Tensor, source: Callable[[Tensor], Tensor] | None
) -> list[sanity.Check]:
    """The suite of one attack, on ``settings.sanity_images`` images (or all, where there are fewer).

    Args:
        target: the whole network.
        label: of the attack.
        headline: (n, D) embeddings of all images under it.
        source: another network to make transfer examples on; None takes the pixels as embedding.
    """
    settings, attack = target.settings, target.settings.attack(label)
    rows = sample(target, settings.sanity_images)
    joint = target.method(label).joint
    if joint:  # perturbs its whole set together, so the suite's images are a set of their own
        target = target.subset(rows)
        rows = torch.arange(len(rows), device=rows.device)
    other = target.of(source or pixels(target.images.mean(target.device)))
    measure, floor, left = _made_for(target, label, rows)
    # The suite counts budgets in balls that hold all images, which have radius 1 in L-inf only.
    whole = ball(attack.norm).whole(target.images.view(rows[:1], target.device))
    own = attack.eps / whole

    def score(eps: float, steps: int, kind: sanity.Kind) -> dict[str, float]:
        if kind == "white_box" and not joint and (eps, steps) == (own, attack.steps):
            return measure(headline[rows], rows)
        if kind == "random_noise":
            generator = torch_generator(target.seed, "attack", "random_noise")
            clean = target.images.view(rows, target.device)
            batches = ball(attack.norm).start(clean, eps * whole, generator).split(target.batch)
        else:
            maker = other if kind == "transfer" else target
            batches = maker.attack(label, eps=eps * whole, steps=steps, rows=rows)
        return measure(target.embed(batches), rows)

    checks = sanity.suite(
        score,
        eps=own,
        steps=attack.steps,
        more_steps=round(settings.sanity_steps * attack.steps / settings.steps),
        clean=measure(target.clean[rows], rows),
        floor=floor,
        images=len(rows),
        left=left,
    )
    if not searches.make(attack.search, attack.norm, attack.options).gradients:
        return checks
    return [_gradient(target, label, rows), *checks]


def _gradient(target: Target, label: str, rows: Tensor) -> sanity.Check:
    """Whether the attack's gradient is that of the deployed network, at its random start."""
    attack, generator = target.settings.attack(label), torch_generator(target.seed, "sanity", "gradient")
    method = target.method(label)
    rows = rows[:: -(-len(rows) // target.batch)]  # as many as have their gradients at once
    start = ball(attack.norm).start(target.images.view(rows, target.device), attack.eps, generator)
    return sanity.gradient(
        disagreement(lambda images: method.objective(target.net(images), rows), start, generator=generator)
    )


def _made_for(target: Target, label: str, rows: Tensor):
    """The scores that an attack is made for, as (embeddings, rows) -> {metric: score}; their floor; and the
    share of the clean scores over it that an unbounded attack may leave."""
    method = target.method(label)
    if method.joint:
        return lambda e, rows: _clustering(target, e), _clustering_floor(target), sanity.LEFT
    if goal := method.goal:

        def measure(embeddings: Tensor, rows: Tensor) -> dict[str, float]:
            return {goal.metric: goal.score(target.measures(label, embeddings, rows)[goal.metric])}

        return measure, {goal.metric: 0.0}, sanity.LEFT
    return lambda e, rows: _recall(target, e, rows), {"recall@1": target.chance(rows)}, 0.0


def sample(target: Target, count: int) -> Tensor:
    """Ascending rows of about ``count`` images, equally many per class and at least two; of very many classes
    (``MOST`` images at two of each), some."""
    classes, generator = np.unique(target.classes), numpy_generator(target.seed, "sanity")
    most = max(count, MOST) // 2
    if len(classes) > most:
        classes = np.sort(generator.choice(classes, most, replace=False))
    each = max(2, count // len(classes))
    rows = [generator.permutation(np.flatnonzero(target.classes == label))[:each] for label in classes]
    return torch.from_numpy(np.sort(np.concatenate(rows))).to(target.device)


def pixels(mean: Tensor) -> Callable[[Tensor], Tensor]:
    """A network without weights: pixels less their ``mean`` (C, H, W) as the embedding; of photos, means of
    squares of pixels, about ``GRID`` a side."""
    cell = max(1, mean.shape[-1] // GRID)

    def grid(x: Tensor) -> Tensor:
        return (x if cell == 1 else F.avg_pool2d(x, cell)).flatten(1)

    centre = grid(mean[None])
    return lambda x: F.normalize(grid(x) - centre)


def _recall(target: Target, embeddings: Tensor, rows: Tensor) -> dict[str, float]:
    return {"recall@1": float(target.retrieve(embeddings, rows).hits.mean())}


def _clustering(target: Target, embeddings: Tensor) -> dict[str, float]:
    clusters = target.cluster(embeddings)
    return {
        "nmi": clustering.nmi(target.classes, clusters),
        "f1": clustering.pairwise_f1(target.classes, clusters),
    }


def _clustering_floor(target: Target) -> dict[str, float]:
    """Chance: the mean scores of the clean clusters dealt out at random."""
    generator, clusters = numpy_generator(target.seed, "sanity", "floor"), target.cluster(target.clean)
    dealt = [generator.permutation(clusters) for _ in range(SHUFFLES)]
    return {
        "nmi": float(np.mean([clustering.nmi(target.classes, c) for c in dealt])),
        "f1": float(np.mean([clustering.pairwise_f1(target.classes, c) for c in dealt])),
    }
