"""Surrogate model extension (Zhu, Yao and Blaschko 2023, arXiv 2306.00127)."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.inversion.base import Inversion
from gauntlet.inversion.matching import Surrogate
from gauntlet.inversion.searches import Adam


@register("inversion", "sme")
class SurrogateModel(Inversion):
    """Minimise ``1 - cos(grad l(w_a; x, y), D) + tv TV(x)`` over images x and a in [0, 1], with
    ``w_a = (1 - a) w + a w_U`` on the line that local training crossed.

    Args:
        alpha: where a starts; 0 with ``alpha_rate: 0`` freezes the weights at w, as ``agic`` does.
        alpha_rate: of Adam for a.
        tv: weight of the total variation; 0.005 in the release, on images scaled to unit variance.
        rate: of Adam for the images; 1 in the release, on such images.
        start: ``normal``, ``uniform`` or ``grey``.
        labels: ``given``, or a way to infer them.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        alpha_rate: float = 0.001,
        tv: float = 0.005,
        rate: float = 0.25,
        start: str = "normal",
        labels: str = "given",
    ):
        super().__init__(
            matching=Surrogate(alpha, alpha_rate),
            priors={"total_variation": tv},
            search=Adam(),
            rate=rate,
            start=start,
            source=labels,
        )
