"""Attacks of a configuration, on many images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gauntlet.attacks.classifiers.base import Attack, Logits
from gauntlet.core.registry import create
from gauntlet.data.subset import Images
from gauntlet.families.classifier.network import BATCH
from gauntlet.families.classifier.settings import Evaluation


def make_attack(entry: Evaluation, **changed: Any) -> Attack:
    """The attack with its options. Raises GauntletError for an unknown attack or option."""
    options = {**entry.options, **changed}
    return create("classifier_attack", entry.classifier_attack, options, key="evaluate.attacks")


def perturb(attack: Attack, net: Logits, images: Images, generator: torch.Generator, **kind) -> Tensor:
    """The attack on all images, a batch at a time."""
    parts = zip(images.pixels.split(BATCH), images.labels.split(BATCH), strict=True)
    return torch.cat([attack(net, x, labels, generator=generator, **kind) for x, labels in parts])


def per_class(labels: Tensor, count: int | None) -> Tensor:
    """Ascending rows of the first ``count`` images of each class; of all when None."""
    if count is None:
        return torch.arange(len(labels), device=labels.device)
    rows = [(labels == label).nonzero()[:count, 0] for label in labels.unique()]
    return torch.cat(rows).sort().values
