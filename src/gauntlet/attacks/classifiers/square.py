"""Square attack (Andriushchenko et al. 2020, arXiv 1912.00049): random search, without gradients."""

from __future__ import annotations

from gauntlet.attacks.classifiers.base import Attack, margin
from gauntlet.attacks.random_search import squares, stripes
from gauntlet.core.registry import register


@register("classifier_attack", "square")
class Square(Attack):
    """Put squares of +-eps on the image and keep those that raise the margin (L-inf, algorithms 1 and 2).

    Starts with vertical stripes of +-eps. Queries scores only, so obfuscated gradients do not mislead it.

    Args:
        eps: L-inf radius, pixel range 1.
        queries: forward passes per image.
        area: share of the image that the first squares cover.
    """

    def __init__(self, eps: float, queries: int = 5000, area: float = 0.8):
        self.eps, self.queries, self.area = eps, queries, area

    def __call__(self, logits, x, labels, *, targeted=False, generator):
        sign = -1.0 if targeted else 1.0
        budget = {"eps": self.eps, "queries": self.queries, "area": self.area}
        start = stripes(x, self.eps, generator)
        found, _ = squares(
            lambda images: sign * margin(logits(images), labels), x, start, generator=generator, **budget
        )
        return found
