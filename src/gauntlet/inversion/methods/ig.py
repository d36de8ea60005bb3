"""Inverting Gradients (Geiping et al. 2020, arXiv 2003.14053): of one gradient, or of an update as if it
were one."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.inversion.base import Inversion


@register("inversion", "ig")
class InvertingGradients(Inversion):
    """Minimise ``1 - cos(grad l(w; x, y), g*) + tv TV(x)`` by Adam on the signs of the gradient, in [0, 1].

    Args:
        tv: weight of the total variation. The release has 0.1, on images scaled to unit variance.
        rate: of Adam; falls to a tenth at 3/8, 5/8 and 7/8 of the iterations.
        start: ``normal``, ``uniform`` or ``grey``.
        labels: ``given``, or a way to infer them.
    """

    def __init__(self, tv: float = 0.01, rate: float = 0.1, start: str = "normal", labels: str = "given"):
        super().__init__(priors={"total_variation": tv}, rate=rate, signed=True, start=start, source=labels)
