"""Inverting Gradients of model updates (Geiping et al. 2020, arXiv 2003.14053, section 6): through the local
steps."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.inversion.base import Inversion
from gauntlet.inversion.matching import Simulation


@register("inversion", "ig_simulation")
class SimulatedSteps(Inversion):
    """``ig`` on ``w - w_U(x)``, the update that the images would cause in U steps of plain SGD.

    The batches are a guess: the images in the order of the labels, the same in every epoch. With labels in
    the client's own order, and one epoch, this is an oracle.

    Args:
        tv, rate, start, labels: as in ``ig``.
    """

    def __init__(self, tv: float = 0.01, rate: float = 0.1, start: str = "normal", labels: str = "given"):
        super().__init__(
            matching=Simulation(),
            priors={"total_variation": tv},
            rate=rate,
            signed=True,
            start=start,
            source=labels,
        )
