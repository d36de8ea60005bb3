"""The leaky baseline: as many real images as others share distilled ones."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.distillation.base import Distillation


@register("distillation", "random_real")
class RandomReal(Distillation):
    """Random images of the client's own with their labels, the same in all rounds. Not private at all: what
    sharing real images of the same number would give.

    Args:
        per_class: images of a class; a client that has fewer takes them repeatedly.
    """

    once = True

    def __init__(self, per_class: int = 10):
        super().__init__(per_class, iterations=0, start="real")
