"""Candidates and shadow models whose numbers are known by construction."""

from __future__ import annotations

import numpy as np

from gauntlet.membership.base import Evidence, Population, Shadows


def logits_of(confidence, labels, classes=3):
    """Logits whose logit-scaled confidence ``log(p / (1 - p))`` of the label is ``confidence`` (..., n)."""
    confidence = np.asarray(confidence, dtype=np.float64)
    found = np.zeros((*confidence.shape, classes))
    found[..., np.arange(len(labels)), labels] = confidence + np.log(classes - 1)
    return found


def gaussian(n=2000, models=64, shift=1.0, spread=1.0, queries=1, seed=0):
    """Confidences of candidate j are N(mu_j + shift [member], spread^2), mu_j of its own; and the truth."""
    rng = np.random.default_rng(seed)
    labels, member = rng.integers(0, 3, n), np.arange(n) % 2 == 0
    centre = rng.normal(scale=3, size=n)
    inside = np.zeros((models, n), dtype=bool)
    for j in range(n):
        inside[rng.permutation(models)[: models // 2], j] = True

    def draw(known, *leading):
        noise = rng.normal(scale=spread, size=(*leading, n))
        return logits_of(centre + shift * known + noise, labels)

    target = draw(member, queries)
    shadows = np.stack([draw(mask, queries) for mask in inside])
    if queries == 1:
        target, shadows = target[0], shadows[:, 0]
    z = 500
    z_labels = rng.integers(0, 3, z)
    z_centre = rng.normal(scale=3, size=z)
    answers = logits_of(z_centre + rng.normal(scale=spread, size=(models + 1, z)), z_labels)
    evidence = Evidence(
        labels=labels,
        logits=target,
        shadows=Shadows(shadows, inside),
        population=Population(z_labels, answers[0], answers[1:]),
    )
    return evidence, member
