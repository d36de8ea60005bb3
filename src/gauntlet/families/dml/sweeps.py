"""Sweeps of the budget, the steps and the perturbed fraction, and transfer between ensemble members.

Each yields points: the setting, and ``scores`` by metric.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.attacks.starts import starts
from gauntlet.core.seeds import numpy_generator, torch_generator
from gauntlet.families.dml.target import Target, embed, retrieval_scores
from gauntlet.metrics import clustering

Point = dict[str, Any]


def budgets(target: Target, full: Callable[[Tensor], dict[str, float]], headline: Tensor) -> Iterator[Point]:
    """Suites ``eps`` and ``steps``: the sweep attack at each budget and length, on all images.

    ``full`` scores the embeddings of all perturbed images; ``headline`` (n, D) are those at the headline
    setting, which is not attacked again. Budgets are in the norm of the sweep attack.
    """
    settings = target.settings
    attack = settings.attack(settings.sweep_attack)
    points = [("eps", eps, attack.steps) for eps in settings.eps_sweep]
    points += [("steps", attack.eps, steps) for steps in settings.steps_sweep]
    for suite, eps, steps in points:
        if (eps, steps) == (attack.eps, attack.steps):
            embeddings = headline
        else:
            embeddings = target.embed(target.attack(settings.sweep_attack, eps=eps, steps=steps))
        yield {"suite": suite, "eps": eps, "steps": steps, "fraction": 1.0, "scores": full(embeddings)}


def fractions(target: Target, headline: Tensor) -> Iterator[Point]:
    """Suite ``fraction``: the attacker holds a random part of the images and optimises for just these.

    The parts are nested. Clustering scores of the mixed set.
    """
    settings = target.settings
    attack = settings.attack(settings.sweep_attack)
    n = len(target.classes)
    order = numpy_generator(target.seed, "fraction").permutation(n)
    for fraction in settings.fractions:
        if fraction == 1:
            embeddings = headline
        else:
            rows = torch.from_numpy(np.sort(order[: max(1, round(fraction * n))])).to(target.device)
            embeddings = target.clean.clone()
            embeddings[rows] = target.embed(target.attack(settings.sweep_attack, rows=rows))
        yield {
            "suite": "fraction",
            "eps": attack.eps,
            "steps": attack.steps,
            "fraction": fraction,
            "scores": clustering.scores(target.classes, target.cluster(embeddings)),
        }


def transfer(target: Target, members: list[Target]) -> Iterator[Point]:
    """Suite ``transfer``: recall@1 of member j under examples made on member i, and the mean pairwise
    cosine of the members' input gradients. The attack is the first listed that works image by image.
    """
    label = transfer_attack(target)
    if label is None:
        return
    attack = target.settings.attack(label)
    common = {"suite": "transfer", "attack": label, "eps": attack.eps, "steps": attack.steps}
    for i, source in enumerate(members):
        moved = embed([victim.net for victim in members], source.attack(label))
        for j, (victim, embeddings) in enumerate(zip(members, moved, strict=True)):
            score = retrieval_scores(victim.retrieve(embeddings))["recall@1"]
            yield {**common, "fraction": 1.0, "detail": f"{i}->{j}", "scores": {"recall@1": score}}
    cosine = gradient_cosine(label, members)
    yield {**common, "steps": 0, "fraction": 1.0, "scores": {"gradient_cosine": cosine}}


def transfer_attack(target: Target) -> str | None:
    return next((label for label in target.settings.attacks if not target.method(label).joint), None)


def gradient_cosine(label: str, members: list[Target]) -> float:
    """Mean over images and pairs of members of the cosine of their input gradients of the attack's objective.

    Taken at the attack's random start, as some objectives have no gradient at the clean image.
    """
    first = members[0]
    attack = first.settings.attack(label)
    generator = torch_generator(first.seed, "attack", "gradient_cosine")
    rows = first.rows()
    like = first.images.view(rows[:1], first.device)
    (drawn,) = starts(attack.norm, attack.eps, like, len(rows), 1, generator)
    pairs = list(itertools.combinations(range(len(members)), 2))
    cosines: list[list[Tensor]] = [[] for _ in pairs]
    for part in rows.split(first.batch):
        start = drawn.around(first.images.view(part, first.device), part)
        directions = []
        for member in members:
            images = start.clone().requires_grad_(True)
            score = member.method(label).objective(member.net(images), part).sum()
            directions.append(F.normalize(torch.autograd.grad(score, images)[0].flatten(1)))
        for (a, b), found in zip(pairs, cosines, strict=True):
            found.append((directions[a] * directions[b]).sum(1))
    return float(np.mean([float(torch.cat(found).mean()) for found in cosines]))
