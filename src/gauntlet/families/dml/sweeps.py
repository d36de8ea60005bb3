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

from gauntlet.attacks.embedding import BATCH
from gauntlet.attacks.pgd import random_start
from gauntlet.core.registry import resolve
from gauntlet.core.seeds import numpy_generator, torch_generator
from gauntlet.families.dml.target import Target, is_joint, retrieval_scores
from gauntlet.metrics import clustering

Point = dict[str, Any]


def budgets(target: Target, full: Callable[[Tensor], dict[str, float]], headline: Tensor) -> Iterator[Point]:
    """Suites ``eps`` and ``steps``: the sweep attack at each budget and length, on all images.

    ``full`` scores the embeddings of all perturbed images; ``headline`` (n, D) are those at the headline
    setting, which is not attacked again.
    """
    settings = target.settings
    points = [("eps", eps, settings.steps) for eps in settings.eps_sweep]
    points += [("steps", settings.eps, steps) for steps in settings.steps_sweep]
    for suite, eps, steps in points:
        if (eps, steps) == (settings.eps, settings.steps):
            embeddings = headline
        else:
            embeddings = target.embed(target.attack(settings.sweep_attack, eps=eps, steps=steps))
        yield {"suite": suite, "eps": eps, "steps": steps, "fraction": 1.0, "scores": full(embeddings)}


def fractions(target: Target, headline: Tensor) -> Iterator[Point]:
    """Suite ``fraction``: the attacker holds a random part of the images and optimises for just these.

    The parts are nested. Clustering scores of the mixed set.
    """
    settings = target.settings
    n = len(target.classes)
    order = numpy_generator(target.seed, "fraction").permutation(n)
    for fraction in settings.fractions:
        if fraction == 1:
            embeddings = headline
        else:
            rows = torch.from_numpy(np.sort(order[: max(1, round(fraction * n))])).to(target.images.device)
            embeddings = target.clean.clone()
            embeddings[rows] = target.embed(target.attack(settings.sweep_attack, rows=rows))
        yield {
            "suite": "fraction",
            "eps": settings.eps,
            "steps": settings.steps,
            "fraction": fraction,
            "scores": clustering.scores(target.classes, target.cluster(embeddings)),
        }


def transfer(target: Target, members: list[Target]) -> Iterator[Point]:
    """Suite ``transfer``: recall@1 of member j under examples made on member i, and the mean pairwise
    cosine of the members' input gradients. The attack is the first listed that works image by image.
    """
    settings = target.settings
    attack = transfer_attack(settings.attacks)
    if attack is None:
        return
    common = {"suite": "transfer", "attack": attack, "eps": settings.eps, "steps": settings.steps}
    for i, source in enumerate(members):
        images = source.attack(attack)
        for j, victim in enumerate(members):
            score = retrieval_scores(victim.retrieve(victim.embed(images)))["recall@1"]
            yield {**common, "fraction": 1.0, "detail": f"{i}->{j}", "scores": {"recall@1": score}}
    cosine = gradient_cosine(attack, members)
    yield {**common, "steps": 0, "fraction": 1.0, "scores": {"gradient_cosine": cosine}}


def transfer_attack(attacks: list[str]) -> str | None:
    return next((name for name in attacks if not is_joint(name)), None)


def gradient_cosine(attack: str, members: list[Target]) -> float:
    """Mean over images and pairs of members of the cosine of their input gradients of the attack's objective.

    Taken at the attack's random start, as some objectives have no gradient at the clean image.
    """
    first = members[0]
    start = random_start(
        first.images, first.settings.eps, torch_generator(first.seed, "attack", "gradient_cosine")
    )
    rows = torch.arange(len(start), device=start.device)
    gradients = []
    for member in members:
        method = resolve("attack", attack)(member.clean, member.labels)
        found = []
        for part in rows.split(BATCH):
            images = start[part].requires_grad_(True)
            found += torch.autograd.grad(method.objective(member.net(images), part).sum(), images)
        gradients.append(F.normalize(torch.cat(found).flatten(1)))
    pairs = [float((a * b).sum(1).mean()) for a, b in itertools.combinations(gradients, 2)]
    return float(np.mean(pairs))
