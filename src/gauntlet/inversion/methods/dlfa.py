"""Data leakage in federated averaging (Dimitrov et al. 2022, arXiv 2206.12395)."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.inversion.base import Inversion
from gauntlet.inversion.matching import Simulation


@register("inversion", "dlfa")
class FederatedAveragingLeakage(Inversion):
    """``ig_simulation`` in which every local epoch has images of its own, since the client shuffles anew.

    A prior holds their sets together, and at the end the sets are matched and averaged. Unlike ``ig``, Adam
    sees the gradients and not their signs.

    Args:
        labels: ``counts`` estimates how many images each class has.
        order: weight of the prior on the sets' mean images.
        distance: ``cosine``, or ``l2`` as in the release.
        tv: weight of the total variation.
        rate: of Adam; falls to a tenth at 3/8, 5/8 and 7/8 of the iterations.
        start: ``normal``, ``uniform`` or ``grey``.
    """

    def __init__(
        self,
        labels: str = "counts",
        order: float = 1.0,
        distance: str = "cosine",
        tv: float = 0.01,
        rate: float = 0.1,
        start: str = "normal",
    ):
        super().__init__(
            matching=Simulation(own_sets=True),
            distance=distance,
            priors={"total_variation": tv, "epoch_order": order},
            rate=rate,
            start=start,
            source=labels,
        )
